//! The names of cells that are measured again.

use super::pair::Pair;
use super::row::Row;
use crate::metric::{Kind, Metric, MetricName};

/// A cell that looks changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Suspect {
    /// The case's id.
    pub case: String,
    /// The metric that looks changed.
    pub metric: MetricName,
}

impl Suspect {
    pub(super) fn of(pair: &Pair) -> Self {
        Self { case: pair.case.to_owned(), metric: pair.metric.clone() }
    }

    pub(super) fn is_memory(&self) -> bool {
        self.metric.known().map(Metric::definition).is_some_and(|known| known.kind == Kind::Memory)
    }

    pub(super) fn of_row(row: &Row) -> Self {
        Self { case: row.cell.case.clone(), metric: row.cell.metric.clone() }
    }
}
