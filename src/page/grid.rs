//! Tables: rows of cells under headings.

use super::line::{Icon, Line};

/// Rows of cells under headings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    pub columns: Vec<Heading>,
    /// As many as any place can show.
    pub rows: Vec<Vec<Cell>>,
    /// How many there are, shown or not.
    pub total: usize,
    /// Its cells aren't broken at spaces: where the columns are too wide, they go on below.
    pub wide: bool,
}

/// A column's heading and alignment.
#[derive(Debug, Clone, PartialEq)]
pub struct Heading {
    pub lines: Vec<Line>,
    pub align: Align,
}

/// Text stands to the left, numbers to the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// One or more lines, and what they are about at a glance: an icon where there are icons, else a word.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    pub mark: Option<(Icon, &'static str)>,
    pub lines: Vec<Line>,
}

impl<L: Into<Line>> From<L> for Cell {
    fn from(line: L) -> Self {
        Self { mark: None, lines: vec![line.into()] }
    }
}

/// A column: its heading, and what a row shows there.
pub struct Column<'a, T> {
    heading: Heading,
    cell: Box<dyn Fn(&T) -> Cell + 'a>,
}

impl<'a, T> Column<'a, T> {
    pub fn left<C: Into<Cell>>(heading: impl Into<Line>, cell: impl Fn(&T) -> C + 'a) -> Self {
        Self::new(vec![heading.into()], Align::Left, cell)
    }

    pub fn right<C: Into<Cell>>(heading: impl Into<Line>, cell: impl Fn(&T) -> C + 'a) -> Self {
        Self::new(vec![heading.into()], Align::Right, cell)
    }

    /// With a heading of several lines.
    pub fn new<C: Into<Cell>>(lines: Vec<Line>, align: Align, cell: impl Fn(&T) -> C + 'a) -> Self {
        Self { heading: Heading { lines, align }, cell: Box::new(move |row| cell(row).into()) }
    }
}

/// No place has room for more rows; a hostile report may have millions.
const MOST_ROWS: usize = 5_000;

impl Table {
    /// A row for each item.
    pub fn of<T>(columns: Vec<Column<T>>, items: &[T]) -> Self {
        let row = |item: &T| columns.iter().map(|column| (column.cell)(item)).collect();
        Self {
            rows: items.iter().take(MOST_ROWS).map(row).collect(),
            columns: columns.into_iter().map(|column| column.heading).collect(),
            total: items.len(),
            wide: false,
        }
    }
}
