//! What was tried of a program that is to speak the engine protocol, and what came of it.

use super::SENTENCE;
use crate::engine::command::{Check, Found};
use crate::number::counted;
use crate::page::{Block, Column, Line, Page, Table, foreign, line};

/// The page of `bench-diff check-engine`.
pub fn page(checks: &[Check]) -> Page {
    let broken = checks.iter().filter(|check| matches!(check.found, Found::Broken(_))).count();
    let headline = match broken {
        0 => line!["The program speaks the engine protocol: ", counted(checks.len(), "check"), ", nothing wrong."],
        _ => line![counted(broken, "promise"), " of the engine protocol broken."],
    };
    Page { headline, body: vec![Block::Table(table(checks))], ..Page::default() }
}

fn table(checks: &[Check]) -> Table {
    let columns = vec![
        Column::left("", |check: &Check| mark(&check.found)),
        Column::left("the program", |check: &Check| foreign(&check.promise, SENTENCE)),
        Column::left("", |check: &Check| match &check.found {
            Found::Kept(said) | Found::Broken(said) => foreign(said, SENTENCE),
            Found::NotTried => Line::from("not tried"),
        }),
    ];
    Table::of(columns, checks)
}

fn mark(found: &Found) -> Line {
    match found {
        Found::Kept(_) => "OK",
        Found::Broken(_) => "WRONG",
        Found::NotTried => "-",
    }
    .into()
}
