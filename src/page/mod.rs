//! A report as a document, before it is known where it is read. A writer for each place: [`github`], [`terminal`].
//!
//! Our own words are `&'static str`, numbers are [`Figure`](crate::number::Figure)s. Everything else is foreign text and
//! says so by its type, so that no writer can forget to escape it.

pub mod github;
mod grid;
mod line;
pub mod terminal;

pub use grid::{Align, Cell, Column, Table};
pub(crate) use line::line;
pub use line::{Icon, Line, Span, Tone, Url, code, command, foreign, link, name, strong, unbroken};

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
    /// What was said elsewhere, or of something else.
    Quote(Line),
    /// What the reader must know before trusting the numbers.
    Warnings(Vec<Line>),
    List(Vec<Line>),
    Table(Table),
    /// Details: hidden until it is opened, where the reader can open things.
    Fold {
        title: Line,
        blocks: Vec<Block>,
    },
    /// Shell commands to copy. Only checked words go into them.
    Commands(String),
    Next(Line),
    /// Side by side, at the end.
    Facts(Vec<Line>),
}

impl Block {
    /// Details that aren't there when there are none.
    pub fn fold(title: Line, table: Table) -> Option<Self> {
        (!table.rows.is_empty()).then(|| Self::Fold { title, blocks: vec![Self::Table(table)] })
    }
}
