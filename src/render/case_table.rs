//! The table of a comparison: a row a case, a column a metric; the change first, and under it the values.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::case_names::Names;
use super::{metric_heading, metric_order, what_moved};
use crate::compare::{Cell as Compared, Row, Verdict};
use crate::metric::MetricName;
use crate::number::{alike, count, is_symmetric, percent, plus_minus, signed_percent};
use crate::page::{Align, Cell, Column, Icon, Line, Table, line, strong, unbroken};

/// More metrics than bench-diff has itself are too many to look through: those that changed come first, and as many have
/// a column.
const MOST_METRICS: usize = 12;

/// The rows of a comparison by their cases, worst first.
pub struct Cases<'a> {
    pub cases: Vec<CaseRows<'a>>,
    metrics: Vec<&'a Compared>,
    /// How many metrics there are, with a column or without.
    pub metrics_in_all: usize,
    pub names: Names,
}

/// What is known about a case.
pub struct CaseRows<'a> {
    id: &'a str,
    /// As its worst row.
    pub rank: Rank,
    /// Of the rows with that rank.
    size: f64,
    /// By the metric's column.
    rows: Vec<Option<&'a Row>>,
}

/// How rows come out, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Regressed,
    Unconfirmed,
    AtThreshold,
    Improved,
    Inconclusive,
    NotComparable,
    Unchanged,
}

impl Rank {
    pub fn of(row: &Row) -> Self {
        match row.verdict() {
            _ if row.is_unconfirmed() => Self::Unconfirmed,
            Verdict::Regressed => Self::Regressed,
            Verdict::AtThreshold => Self::AtThreshold,
            Verdict::Improved => Self::Improved,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::NotComparable => Self::NotComparable,
            Verdict::Unchanged => Self::Unchanged,
        }
    }

    pub fn icon(self) -> Icon {
        match self {
            Self::Regressed => Icon::Regressed,
            Self::Unconfirmed => Icon::Unconfirmed,
            Self::AtThreshold => Icon::AtThreshold,
            Self::Improved => Icon::Improved,
            Self::Inconclusive => Icon::Inconclusive,
            Self::NotComparable => Icon::NotComparable,
            Self::Unchanged => Icon::Unchanged,
        }
    }
}

impl<'a> Cases<'a> {
    pub fn of(rows: &'a [Row]) -> Self {
        let all = metrics(rows);
        let metrics: Vec<&Compared> = all.iter().copied().take(MOST_METRICS).collect();
        let columns = metrics.iter().enumerate().map(|(at, cell)| ((&cell.metric, cell.unit.as_str()), at));
        let columns: HashMap<(&MetricName, &str), usize> = columns.collect();
        let mut index: HashMap<&str, usize> = HashMap::new();
        let mut cases: Vec<CaseRows> = Vec::new();
        for row in rows {
            let id = row.cell.case.as_str();
            let at = *index.entry(id).or_insert_with(|| {
                cases.push(CaseRows::new(id, metrics.len()));
                cases.len() - 1
            });
            // Files with very many rows mostly have one metric.
            let column = match metrics.as_slice() {
                [_] if all.len() == 1 => Some(0),
                _ => columns.get(&(&row.cell.metric, row.cell.unit.as_str())).copied(),
            };
            cases[at].add(row, column);
        }
        let names = Names::of(cases.iter().map(|case| case.id));
        cases.sort_by_key(|case| (case.rank, Reverse((case.size * 1e6) as u64)));
        Self { cases, metrics_in_all: all.len(), metrics, names }
    }

    /// How many metrics have a column, where that isn't all.
    pub fn metrics_shown(&self) -> Option<usize> {
        (self.metrics_in_all > self.metrics.len()).then_some(self.metrics.len())
    }

    /// Those that `belongs` chooses by their worst row.
    pub fn ranked(&self, belongs: impl Fn(Rank) -> bool) -> Vec<&CaseRows<'a>> {
        self.cases.iter().filter(|case| belongs(case.rank)).collect()
    }

    /// These cases with all metrics that one of them has.
    pub fn table(&self, cases: &[&CaseRows<'a>], cell: fn(&Row) -> Cell) -> Table {
        let mut columns = vec![Column::left("Case", |case: &&CaseRows| self.names.short(case.id))];
        for (at, metric) in self.metrics.iter().enumerate() {
            if cases.iter().any(|case| case.rows[at].is_some()) {
                let heading = metric_heading(&metric.metric, &metric.unit, metric.better);
                let shown = move |case: &&CaseRows| case.rows[at].map(cell).unwrap_or_default();
                columns.push(Column::new(heading, Align::Right, shown));
            }
        }
        Table { wide: true, ..Table::of(columns, cases) }
    }
}

impl<'a> CaseRows<'a> {
    fn new(id: &'a str, metrics: usize) -> Self {
        Self { id, rank: Rank::Unchanged, size: 0.0, rows: vec![None; metrics] }
    }

    fn add(&mut self, row: &'a Row, column: Option<usize>) {
        let rank = Rank::of(row);
        let size = row.change().unwrap_or_default().log_ratio().get().abs();
        if rank < self.rank {
            (self.rank, self.size) = (rank, 0.0);
        }
        if rank == self.rank {
            self.size = self.size.max(size);
        }
        if let Some(column) = column {
            // There is one row of each, but in a file that contradicts itself.
            let shown = &mut self.rows[column];
            *shown = shown.filter(|shown| Rank::of(shown) <= rank).or(Some(row));
        }
    }
}

/// One cell of each metric and unit: those that changed first where there are too many, then as metrics are listed.
fn metrics(rows: &[Row]) -> Vec<&Compared> {
    let mut found: HashMap<(&MetricName, &str), (usize, Rank, &Compared)> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        let first = found.entry((&row.cell.metric, &row.cell.unit)).or_insert((at, Rank::Unchanged, &row.cell));
        first.1 = first.1.min(Rank::of(row));
    }
    let mut metrics: Vec<(usize, Rank, &Compared)> = found.into_values().collect();
    let many = metrics.len() > MOST_METRICS;
    let rank = |rank: Rank| if many { rank } else { Rank::Unchanged };
    metrics.sort_by_key(|(at, of, cell)| (rank(*of), metric_order(&cell.metric), *at));
    metrics.into_iter().map(|(_, _, cell)| cell).collect()
}

/// `−9.0% ±0.3`, or `−9.0%` and under it `−9.4% .. −8.5%`; then `1689 → 1537`, and what would settle it.
pub fn change(row: &Row) -> Cell {
    let mut lines = change_lines(row);
    lines.extend(values(row));
    lines.extend(what_moved::cause(row));
    let runs = row.runs_needed().filter(|_| Rank::of(row) == Rank::Inconclusive);
    lines.extend(runs.map(|runs| unbroken(line!["needs ", count(runs as usize), " runs"])));
    let word = match Rank::of(row) {
        Rank::Regressed | Rank::Improved => row.direction().map_or("", |direction| direction.word()),
        Rank::Unconfirmed => "unconfirmed",
        Rank::AtThreshold => "at the threshold",
        Rank::Inconclusive if runs.is_none() => "inconclusive",
        Rank::Inconclusive | Rank::NotComparable | Rank::Unchanged => "",
    };
    Cell { mark: Some((Rank::of(row).icon(), word)), lines }
}

/// Of a self-check: nothing changed, so a difference is noise.
pub fn noise(row: &Row) -> Cell {
    let (icon, word) = if row.seems_to_differ() { (Icon::Inconclusive, "noise") } else { (Icon::Unchanged, "") };
    let mut lines = change_lines(row);
    lines.extend(row.minimum_detectable_effect().map(|share| unbroken(line!["detects ", percent(share)])));
    Cell { mark: Some((icon, word)), lines }
}

/// With its interval: beside it where both halves read the same, else its ends on a line of their own.
fn change_lines(row: &Row) -> Vec<Line> {
    let Some(change) = row.change().map(|change| strong(signed_percent(change))) else { return Vec::new() };
    match (row.halves(), row.interval()) {
        (Some([below, above]), _) if is_symmetric([below, above]) => {
            let longer = if above > below { above } else { below };
            vec![unbroken(line![change, " ", plus_minus(longer)])]
        }
        (Some(_), Some([low, high])) => {
            vec![change, unbroken(line![signed_percent(low), " .. ", signed_percent(high)])]
        }
        _ => vec![change],
    }
}

/// Once, where both read the same.
fn values(row: &Row) -> Option<Line> {
    let centers = [row.sides.base, row.sides.head].map(|side| side.map(|side| side.center()));
    let [base, head] = alike(centers);
    match (base, head) {
        (Some(base), Some(head)) if base == head => Some(base.into()),
        (Some(base), Some(head)) => Some(unbroken(line![base, " → ", head])),
        (Some(base), None) => Some(unbroken(line![base, " → –"])),
        (None, Some(head)) => Some(unbroken(line!["– → ", head])),
        (None, None) => None,
    }
}
