//! `vllm bench latency`: the seconds of each iteration. The file names neither model nor lengths.

use serde::Deserialize;

use super::cells::{Cells, Measure};
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;
use crate::metric::Metric;

pub(super) const FORMAT: Format = Format {
    name: "vllm-latency",
    tool: "vllm bench latency",
    repeats: Repeats::WithinProgram,
    looks: |look| look.first.has(&["avg_latency"]),
    read,
};

#[derive(Deserialize)]
struct Document {
    avg_latency: Option<f64>,
    #[serde(default)]
    latencies: Option<Vec<Option<f64>>>,
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    for document in file.documents::<Document>()? {
        let measure = Measure::of(Metric::E2eLatency, "s");
        cells.samples_or("latency", measure, document.latencies, document.avg_latency);
    }
    Ok(())
}
