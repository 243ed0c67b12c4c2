//! The CSV of Qwen's two speed benchmark scripts: a row is a run, so that several rows or files of one name are samples.

use super::cells::{Cells, Measure};
use super::comma_table::{Row, Table};
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;
use crate::metric::Metric;

pub(super) const FORMAT: Format = Format {
    name: "qwen-csv",
    tool: "Qwen's speed benchmark",
    repeats: Repeats::Program,
    looks: |look| HEADERS.iter().any(|header| look.head.starts_with(header)),
    read,
};

/// The start of the first line, by script.
const HEADERS: [&str; 2] = ["model_id_or_path,batch_size,", "Model ID,Input Length,"];

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    let table = Table::read(file, cells)?;
    let add = if table.has("Model ID") { vllm } else { transformers };
    table.rows().try_for_each(|row| add(&row, cells).ok_or_else(|| row.error(file, "lacks its model or its speed")))
}

fn transformers(row: &Row, cells: &mut Cells) -> Option<()> {
    let [context, generated] =
        ["context_length_per_experiment", "generate_length_per_experiment"].map(|column| row.text(column));
    let mut case = case(row.text("model_id_or_path")?, context?, generated?);
    // The script measures a single prompt with flash attention, unless it is told otherwise.
    case.extend(row.text("batch_size").filter(|size| *size != "1").map(|size| format!(", batch {size}")));
    case.extend(row.text("use_flash_attn").filter(|flash| *flash == "False").map(|_| ", eager attention".to_owned()));
    case.extend(row.text("comment").filter(|comment| *comment != "default").map(|comment| format!(", {comment}")));
    cells.samples(&case, Measure::of(Metric::Speed, "tok/s"), [Some(row.number("tokens_per_second")?)]);
    let memory = row.number("max_gpu_memory_cost_gb");
    memory.into_iter().for_each(|gib| cells.samples(&case, Measure::of(Metric::AllocatedMemory, "GiB"), [Some(gib)]));
    Some(())
}

fn vllm(row: &Row, cells: &mut Cells) -> Option<()> {
    let mut case = case(row.text("Model ID")?, row.text("Input Length")?, row.text("Output Length")?);
    case.extend(row.text("TP Size").filter(|size| *size != "1").map(|size| format!(", {size} GPUs")));
    let speed = row.number("Average Throughput (tokens/s)")?;
    cells.samples(&case, Measure::of(Metric::Speed, "tok/s"), [Some(speed)]);
    let time = row.number("Average Time (s)");
    time.into_iter().for_each(|time| cells.samples(&case, Measure::of(Metric::E2eLatency, "s"), [Some(time)]));
    Some(())
}

fn case(model: &str, context: &str, generated: &str) -> String {
    format!("{model}, context {context}, {generated} tokens")
}
