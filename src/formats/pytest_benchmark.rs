//! pytest-benchmark's JSON: `data` with `--benchmark-save-data`, else only the mean.

use serde::Deserialize;

use super::cells::{Cells, Measure};
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;

pub(super) const FORMAT: Format = Format {
    name: "pytest-benchmark",
    tool: "pytest-benchmark",
    repeats: Repeats::WithinProgram,
    looks: |look| look.first.has(&["machine_info", "benchmarks"]),
    read,
};

#[derive(Deserialize)]
struct Document {
    benchmarks: Vec<Benchmark>,
}

#[derive(Deserialize)]
struct Benchmark {
    name: String,
    /// With its file.
    #[serde(default)]
    fullname: Option<String>,
    stats: Statistics,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    data: Option<Vec<Option<f64>>>,
    #[serde(default)]
    mean: Option<f64>,
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    for Benchmark { name, fullname, stats } in file.json::<Document>()?.benchmarks {
        let case = fullname.unwrap_or(name);
        cells.samples_or(&case, Measure::lower("time", "s"), stats.data, stats.mean);
    }
    Ok(())
}
