//! What was looked at before anything is measured, and what is missing.

use super::SENTENCE;
use crate::doctor::{Check, Found};
use crate::number::counted;
use crate::page::{Block, Cell, Column, Line, Page, Table, foreign, line};

/// The page of `bench-diff doctor`.
pub fn page(checks: &[Check]) -> Page {
    let missing = checks.iter().filter(|check| check.is_missing()).count();
    let headline = match missing {
        0 => line!["Ready: nothing that is needed is missing."],
        1 => line!["Not ready: 1 thing is missing."],
        _ => line!["Not ready: ", counted(missing, "thing"), " are missing."],
    };
    Page { headline, body: vec![Block::Table(table(checks))], ..Page::default() }
}

fn table(checks: &[Check]) -> Table {
    let columns = vec![
        Column::left("", |check: &Check| mark(check.found)),
        Column::left("Checked", |check: &Check| Line::from(check.about)),
        Column::left("Found", said),
    ];
    Table::of(columns, checks)
}

fn mark(found: Found) -> Line {
    match found {
        Found::Fine => "OK",
        Found::Missing => "MISSING",
        Found::Note => "NOTE",
    }
    .into()
}

/// With what to do about it on a line of its own.
fn said(check: &Check) -> Cell {
    let hint = check.hint.as_ref().map(|hint| line!["→ ", foreign(hint, SENTENCE)]);
    Cell { mark: None, lines: std::iter::once(foreign(&check.said, SENTENCE)).chain(hint).collect() }
}
