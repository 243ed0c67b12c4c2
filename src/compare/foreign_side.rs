//! What other tools' files hold, as a side: samples of one session, of which nothing else is known. And the way back.

use std::borrow::Cow;
use std::collections::HashMap;

use super::side::{CaseSide, CellSide, Side};
use crate::formats::{Cell, Reading};
use crate::metric::MetricName;
use crate::results::Occasions;

/// `name` is what the side is called.
pub(super) fn side(name: &str, reading: Reading) -> Side {
    let occasions = Occasions::declared(&[0]);
    let mut side = Side { name: name.to_owned(), warnings: reading.warnings, occasions, ..Side::default() };
    let mut cases: HashMap<String, usize> = HashMap::new();
    for cell in reading.cells {
        let case = *cases.entry(cell.case.clone()).or_insert_with(|| {
            side.cases.push(CaseSide { id: cell.case.clone(), ..CaseSide::default() });
            side.cases.len() - 1
        });
        let case = &mut side.cases[case];
        case.runs = case.runs.max(cell.values.len());
        case.cells.push(cell_side(cell));
    }
    side
}

fn cell_side(cell: Cell) -> CellSide {
    let mut side = CellSide::new(MetricName::from(&*cell.metric), Cow::Owned(cell.unit), cell.better);
    side.is_average = cell.is_average;
    cell.values.into_iter().for_each(|value| side.push(0, value));
    side
}

/// What a side holds, as other tools' formats take it: sessions one after the other.
pub fn cells(side: &Side) -> Vec<Cell> {
    let of_case = |case: &CaseSide| -> Vec<Cell> { case.cells.iter().map(|cell| cell_of(&case.id, cell)).collect() };
    side.cases.iter().flat_map(of_case).collect()
}

fn cell_of(case: &str, cell: &CellSide) -> Cell {
    let values = cell.sessions.iter().flat_map(|session| &session.values).copied();
    Cell {
        case: case.to_owned(),
        metric: cell.metric.to_string(),
        unit: cell.unit.to_string(),
        better: cell.better,
        values: values.chain(std::iter::repeat_n(0.0, cell.good_zeros())).collect(),
        is_average: cell.is_average,
    }
}
