//! Criterion.rs: `sample.json` has the nanoseconds of each sample's iterations, `estimates.json` only their mean.

use serde::Deserialize;

use super::cells::{Cells, Measure};
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;

pub(super) const FORMAT: Format = Format {
    name: "criterion",
    tool: "criterion",
    repeats: Repeats::WithinProgram,
    looks: |look| {
        look.first.has(&["iters", "times"])
            || look.first.field("mean").is_some_and(|mean| mean.has(&["confidence_interval", "point_estimate"]))
    },
    read,
};

const TIME: Measure = Measure::lower("time", "ns");
/// The files don't name what they measure; a folder does.
pub(super) const UNNAMED: &str = "benchmark";

/// Either file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Sample { iters: Vec<Option<f64>>, times: Vec<Option<f64>> },
    Estimates { mean: Estimate },
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: Option<f64>,
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    add(file, UNNAMED, cells)
}

/// Adds a file's numbers to those of the case.
pub(super) fn add(file: &ForeignFile, case: &str, cells: &mut Cells) -> Result<()> {
    match file.json()? {
        Document::Sample { iters, times } if iters.len() != times.len() => {
            return Err(file.error(&format!("has {} times of {} samples", times.len(), iters.len())));
        }
        Document::Sample { iters, times } => {
            let each = times.iter().zip(&iters).map(|(time, count)| Some((*time)? / (*count)?));
            cells.samples(case, TIME, each);
        }
        Document::Estimates { mean } => cells.value(case, TIME, mean.point_estimate),
    }
    Ok(())
}
