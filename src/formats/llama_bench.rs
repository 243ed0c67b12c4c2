//! llama-bench of llama.cpp: JSON, JSON lines and CSV.
//!
//! Prompt processing and generation are the known metrics of prefill and decode. CSV has no samples, only their average.

use std::collections::BTreeSet;

use super::cells::{Cells, Measure};
use super::comma_table::Table;
use super::flat::Flat;
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;
use crate::metric::Metric;

pub(super) const FORMAT: Format = Format {
    name: "llama-bench",
    tool: "llama-bench",
    repeats: Repeats::WithinProgram,
    looks: |look| {
        look.first.has(&["n_prompt", "n_gen"])
            || look.head.lines().next().is_some_and(|line| line.starts_with("build_commit,"))
    },
    read,
};

/// Settings that name a case where a file has tests of several.
const SETTINGS: [&str; 17] = [
    "model_filename",
    "backends",
    "n_batch",
    "n_ubatch",
    "n_threads",
    "n_gpu_layers",
    "n_cpu_moe",
    "split_mode",
    "main_gpu",
    "tensor_split",
    "devices",
    "no_kv_offload",
    "flash_attn",
    "type_k",
    "type_v",
    "use_mmap",
    "embeddings",
];

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    let json = matches!(file.text.trim_ascii_start().first(), Some(b'{' | b'['));
    let tests: Vec<Flat> = if json { file.documents()? } else { from_csv(file, cells)? };
    let varying: Vec<&str> = SETTINGS.into_iter().filter(|name| varies(&tests, name)).collect();
    let added = tests.iter().try_for_each(|test| add(test, &varying, cells));
    added.ok_or_else(|| file.error("a test lacks `model_type`, `n_prompt` or `n_gen`"))
}

fn varies(tests: &[Flat], setting: &str) -> bool {
    let values: BTreeSet<String> = tests.iter().filter_map(|test| test.text(setting)).collect();
    values.len() > 1
}

fn add(test: &Flat, varying: &[&str], cells: &mut Cells) -> Option<()> {
    let [prompt, generated] = [test.number("n_prompt")?, test.number("n_gen")?];
    let measure = if generated == 0.0 {
        Measure::of(Metric::PrefillThroughput, "tok/s")
    } else if prompt == 0.0 {
        Measure::of(Metric::DecodeThroughput, "tok/s")
    } else {
        // Of a prompt and what is generated after it.
        Measure::higher("throughput", "tok/s")
    };
    cells.samples_or(&case(test, varying)?, measure, test.list("samples_ts"), test.number("avg_ts"));
    Some(())
}

/// The model and the test as llama-bench's own tables name it: `qwen2 7B Q4_0, pp512 @ d4096`.
fn case(test: &Flat, varying: &[&str]) -> Option<String> {
    // Older versions have no depth.
    let part =
        |name: &str, short: &str| test.text(name).filter(|count| count != "0").map(|count| format!("{short}{count}"));
    let parts: Vec<String> = [part("n_prompt", "pp"), part("n_gen", "tg")].into_iter().flatten().collect();
    let depth = part("n_depth", " @ d").unwrap_or_default();
    let settings = varying.iter().filter_map(|name| Some(format!(", {name} {}", test.text(name)?)));
    Some(format!("{}, {}{depth}{}", test.text("model_type")?, parts.join("+"), settings.collect::<String>()))
}

fn from_csv(file: &ForeignFile, cells: &mut Cells) -> Result<Vec<Flat>> {
    let table = Table::read(file, cells)?;
    Ok(table.rows().map(|row| Flat::of(row.fields().map(|(name, text)| (name.to_owned(), text.into())))).collect())
}
