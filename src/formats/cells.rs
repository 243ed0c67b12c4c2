//! What formats fill: values by case and metric.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::metric::{Better, Metric};

/// All values of one metric of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// What was measured.
    pub case: String,
    /// By which measure.
    pub metric: String,
    /// Of all values.
    pub unit: String,
    /// Which direction is good.
    pub better: Better,
    /// One a repetition. Those that were no numbers are NaN.
    pub values: Vec<f64>,
    /// Its only value is an average of repetitions that the file doesn't hold: nothing tells how they varied.
    pub is_average: bool,
}

impl Cell {
    /// Of its values, of which there is one at least.
    pub fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len() as f64
    }
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// In the order of the file.
    pub cells: Vec<Cell>,
    /// One sentence each.
    pub warnings: Vec<String>,
}

impl Reading {
    pub(super) fn has_samples(&self) -> bool {
        self.cells.iter().any(|cell| !cell.is_average)
    }
}

/// A metric as a format's files have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure<'a> {
    pub name: &'a str,
    pub unit: &'a str,
    pub better: Better,
}

impl<'a> Measure<'a> {
    pub const fn lower(name: &'a str, unit: &'a str) -> Self {
        Self { name, unit, better: Better::Lower }
    }

    pub const fn higher(name: &'a str, unit: &'a str) -> Self {
        Self { name, unit, better: Better::Higher }
    }

    /// One that bench-diff measures as well, in the unit of the file.
    pub fn of(metric: Metric, unit: &'a str) -> Self {
        let known = metric.definition();
        Self { name: known.name, unit, better: known.better }
    }
}

/// Values that come one after the other: several of one case and metric are its samples.
#[derive(Debug, Default)]
pub(super) struct Cells {
    cells: Vec<Cell>,
    places: HashMap<(String, String), usize>,
    directions: HashMap<String, Better>,
    warnings: Vec<String>,
    /// Measures of which nobody knows what is better.
    undirected: Vec<String>,
    problem: Option<String>,
}

impl Cells {
    /// Adds what was measured itself. A `null` was no number.
    pub fn samples(&mut self, case: &str, measure: Measure, values: impl IntoIterator<Item = Option<f64>>) {
        let values: Vec<f64> = values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        if !values.is_empty() {
            self.add(case, measure, &values, false);
        }
    }

    /// Adds an average of what isn't there; without one, nothing.
    pub fn average(&mut self, case: &str, measure: Measure, value: Option<f64>) {
        if let Some(value) = value {
            self.add(case, measure, &[value], true);
        }
    }

    /// Adds an average that must be there: a `null` was no number.
    pub fn value(&mut self, case: &str, measure: Measure, value: Option<f64>) {
        self.average(case, measure, Some(value.unwrap_or(f64::NAN)));
    }

    /// Adds the samples, or else their average.
    pub fn samples_or(&mut self, case: &str, measure: Measure, samples: Option<Vec<Option<f64>>>, mean: Option<f64>) {
        match samples {
            Some(samples) if !samples.is_empty() => self.samples(case, measure, samples),
            _ => self.average(case, measure, mean),
        }
    }

    pub fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Notes a measure that is left out, as nobody knows what is better.
    pub fn leave_out(&mut self, measure: &str) {
        if !self.undirected.iter().any(|known| known == measure) {
            self.undirected.push(measure.to_owned());
        }
    }

    fn add(&mut self, case: &str, measure: Measure, values: &[f64], is_average: bool) {
        let Measure { name, unit, better } = measure;
        if *self.directions.entry(name.to_owned()).or_insert(better) != better {
            self.refuse(format!("of `{name}`, higher is better in one case and lower in another"));
        }
        let place = *self.places.entry((case.to_owned(), name.to_owned())).or_insert(self.cells.len());
        let Some(cell) = self.cells.get_mut(place) else {
            let (case, metric, unit) = (case.to_owned(), name.to_owned(), unit.to_owned());
            self.cells.push(Cell { case, metric, unit, better, values: values.to_vec(), is_average });
            return;
        };
        if cell.unit != unit {
            let problem = format!("`{name}` of `{case}` is in {} and in {unit}", cell.unit);
            return self.refuse(problem);
        }
        cell.values.extend(values);
        cell.is_average = false;
    }

    /// The first problem is told.
    fn refuse(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }

    pub fn finish(mut self, name: &str) -> Result<Reading> {
        if let Some(problem) = self.problem {
            return Err(Error::usage(format!("{name}: {problem}")));
        }
        if self.cells.iter().any(|cell| cell.case.is_empty() || cell.metric.is_empty()) {
            return Err(Error::usage(format!("{name}: a result has no name")));
        }
        if !self.undirected.is_empty() {
            let names: Vec<_> = self.undirected.iter().take(MOST_NAMED).map(|name| format!("`{name}`")).collect();
            let more = if self.undirected.len() > MOST_NAMED { " and others" } else { "" };
            let names = names.join(", ");
            self.warnings
                .push(format!("{name} doesn't say which direction is better, so these are left out: {names}{more}"));
        }
        Ok(Reading { cells: self.cells, warnings: self.warnings })
    }
}

/// A file may have very many.
const MOST_NAMED: usize = 20;
