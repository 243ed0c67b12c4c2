//! `vllm bench throughput`: one rate of a whole process. Its tokens count those of the prompts.

use serde::Deserialize;

use super::cells::{Cells, Measure};
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;

pub(super) const FORMAT: Format = Format {
    name: "vllm-throughput",
    tool: "vllm bench throughput",
    repeats: Repeats::Program,
    looks: |look| look.first.has(&["elapsed_time", "num_requests"]),
    read,
};

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    requests_per_second: Option<f64>,
    #[serde(default)]
    tokens_per_second: Option<f64>,
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    for document in file.documents::<Document>()? {
        let mut add = |name, unit, value| cells.average("throughput", Measure::higher(name, unit), value);
        add("request_throughput", "req/s", document.requests_per_second);
        add("total_token_throughput", "tok/s", document.tokens_per_second);
    }
    Ok(())
}
