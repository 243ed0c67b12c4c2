//! EvalScope's `speed_benchmark.json`: a row for each prompt length, of averages.

use serde::Deserialize;

use super::cells::{Cells, Measure};
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;
use crate::metric::Metric;

pub(super) const FORMAT: Format = Format {
    name: "evalscope",
    tool: "EvalScope",
    repeats: Repeats::Program,
    looks: |look| look.is_list && look.first.has(&["Prompt Tokens", "Speed(tokens/s)"]),
    read,
};

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "Prompt Tokens")]
    prompt_tokens: f64,
    #[serde(rename = "Speed(tokens/s)")]
    speed: Option<f64>,
    /// Zero where it wasn't measured, as with vLLM.
    #[serde(rename = "GPU Memory(GB)", default)]
    memory: Option<f64>,
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    for Row { prompt_tokens, speed, memory } in file.json::<Vec<Row>>()? {
        let case = format!("context {prompt_tokens}");
        cells.value(&case, Measure::of(Metric::Speed, "tok/s"), speed);
        let measured = memory.filter(|gib| *gib != 0.0);
        cells.average(&case, Measure::of(Metric::AllocatedMemory, "GiB"), measured);
    }
    Ok(())
}
