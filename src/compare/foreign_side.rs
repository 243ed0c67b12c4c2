//! What other tools' files hold, as a side: samples of one session, of which nothing else is known.

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
