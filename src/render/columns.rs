//! The columns of a comparison's rows, listed once for all tables that people read. A printer says how a cell is spelled
//! there; programs read [`csv`](super::csv), which has all numbers.

use crate::compare::{self, Row, Summary};
use crate::stats::Share;

/// What stands in a cell, before a printer spells it.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    Verdict(&'a Row),
    Case(&'a str),
    Metric(&'a compare::Cell),
    /// The mean of a side, with its unit.
    Mean(Option<Summary>, &'a str),
    Unit(&'a str),
    /// The change, its interval, and what else must be said.
    Change(&'a Row),
    P(Option<f64>),
    Threshold(Share),
}

/// A column, with its place in each table.
pub struct Column {
    pub terminal: Option<Place>,
    pub markdown: Option<Place>,
    pub comment: Option<Place>,
    pub cell: for<'a> fn(&'a Row) -> Shown<'a>,
}

/// How a table heads and aligns a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub heading: &'static str,
    pub right: bool,
}

const fn left(heading: &'static str) -> Option<Place> {
    Some(Place { heading, right: false })
}

const fn right(heading: &'static str) -> Option<Place> {
    Some(Place { heading, right: true })
}

const COLUMNS: &[Column] = &[
    Column { terminal: left("verdict"), markdown: left("Verdict"), comment: left(""), cell: |row| Shown::Verdict(row) },
    Column {
        terminal: left("case"),
        markdown: left("Case"),
        comment: left("Case"),
        cell: |row| Shown::Case(&row.cell.case),
    },
    Column {
        terminal: left("metric"),
        markdown: left("Metric"),
        comment: left("Metric"),
        cell: |row| Shown::Metric(&row.cell),
    },
    Column {
        terminal: right("base"),
        markdown: left("Base"),
        comment: right("Base"),
        cell: |row| Shown::Mean(row.sides.base, &row.cell.unit),
    },
    Column {
        terminal: right("head"),
        markdown: left("Head"),
        comment: right("PR"),
        cell: |row| Shown::Mean(row.sides.head, &row.cell.unit),
    },
    Column { terminal: left(""), markdown: None, comment: None, cell: |row| Shown::Unit(&row.cell.unit) },
    Column {
        terminal: left("change"),
        markdown: left("Change"),
        comment: right("Change (interval)"),
        cell: |row| Shown::Change(row),
    },
    Column {
        terminal: None,
        markdown: left("Adjusted p"),
        comment: right("Adj. p"),
        cell: |row| Shown::P(row.p_adjusted()),
    },
    Column {
        terminal: None,
        markdown: left("Threshold"),
        comment: right("Floor"),
        cell: |row| Shown::Threshold(row.cell.margin),
    },
];

/// The columns of a table, which is chosen by where their place is: `in_table(|column| column.comment)`.
pub fn in_table(place: fn(&Column) -> Option<Place>) -> Vec<(Place, &'static Column)> {
    COLUMNS.iter().filter_map(|column| Some((place(column)?, column))).collect()
}
