//! A report as a document, before it is known where it is read: [`github`] and [`terminal`] write it.
//!
//! Our own words are `&'static str` or a [`Figure`]. Everything else is foreign text and says so by its type, so that no
//! writer can forget to escape it.

pub mod github;
mod line;
pub mod terminal;

pub use line::{Figure, Icon, Line, Span, Tone, Url};

/// The document. `top` and `end` are always shown; what of the `body` doesn't fit is left out, and said to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The answer, in one line.
    pub headline: Line,
    /// What was measured where, and what weakens the answer.
    pub top: Vec<Block>,
    /// Tables and details.
    pub body: Vec<Block>,
    /// What to do next, and where the rest is.
    pub end: Vec<Block>,
}

/// A piece of the document.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    Paragraph(Line),
    /// Facts in small print, side by side.
    Facts(Vec<Line>),
    /// What the reader must know before trusting the numbers.
    Warning(Line),
    List(Vec<Line>),
    Table(Table),
    /// Hidden until it is opened, where the reader can open things.
    Fold {
        title: Line,
        blocks: Vec<Block>,
    },
    /// Shell commands to copy. Only checked words go into them.
    Commands(String),
}

impl Block {
    /// A fold that isn't there when it would hold nothing.
    pub fn fold(title: Line, blocks: Vec<Block>) -> Option<Self> {
        let empty = blocks.iter().all(|block| match block {
            Self::Table(table) => table.rows.is_empty(),
            Self::List(lines) | Self::Facts(lines) => lines.is_empty(),
            _ => false,
        });
        (!empty).then_some(Self::Fold { title, blocks })
    }
}

/// Rows of cells under headings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    pub columns: Vec<Column>,
    /// As many as any place can show.
    pub rows: Vec<Vec<Line>>,
    /// How many there are, shown or not.
    pub total: usize,
}

/// A column's heading and alignment.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub heading: Line,
    pub align: Align,
}

/// Text stands to the left, numbers to the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

impl Column {
    pub fn left(heading: &'static str) -> Self {
        Self { heading: Line::text(heading), align: Align::Left }
    }

    pub fn right(heading: &'static str) -> Self {
        Self { heading: Line::text(heading), align: Align::Right }
    }
}

/// No place shows more rows; a hostile report may have millions.
const MOST_ROWS: usize = 20_000;

impl Table {
    /// A row for each item.
    pub fn of<T>(columns: Vec<Column>, items: &[T], row: impl Fn(&T) -> Vec<Line>) -> Self {
        Self { columns, rows: items.iter().take(MOST_ROWS).map(row).collect(), total: items.len() }
    }
}
