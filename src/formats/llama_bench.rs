//! llama-bench of llama.cpp: JSON, JSON lines and CSV.
//!
//! Prompt processing and generation are the known metrics of prefill and decode. CSV has no samples, only their average.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::cells::{Cells, Measure};
use super::comma_table::{Row, Table};
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

/// A test. All of its values but the samples are settings; tools of other versions have others.
#[derive(Deserialize)]
struct Test {
    #[serde(default)]
    samples_ts: Option<Vec<Option<f64>>>,
    #[serde(default)]
    avg_ts: Option<f64>,
    n_prompt: u64,
    n_gen: u64,
    #[serde(default)]
    n_depth: u64,
    model_type: String,
    #[serde(flatten)]
    settings: BTreeMap<String, Value>,
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    let json = matches!(file.text.trim_ascii_start().first(), Some(b'{' | b'['));
    let tests = if json { file.documents()? } else { from_csv(file, cells)? };
    let varying: Vec<&str> = SETTINGS.into_iter().filter(|name| varies(&tests, name)).collect();
    for test in tests {
        let case = test.case(&varying);
        let measure = match (test.n_prompt, test.n_gen) {
            (_, 0) => Measure::of(Metric::PrefillThroughput, "tok/s"),
            (0, _) => Measure::of(Metric::DecodeThroughput, "tok/s"),
            // Of a prompt and what is generated after it.
            _ => Measure::higher("throughput", "tok/s"),
        };
        cells.samples_or(&case, measure, test.samples_ts, test.avg_ts);
    }
    Ok(())
}

fn varies(tests: &[Test], setting: &str) -> bool {
    let values: BTreeSet<String> = tests.iter().filter_map(|test| test.setting(setting)).collect();
    values.len() > 1
}

impl Test {
    /// The model and the test as llama-bench's own tables name it: `qwen2 7B Q4_0, pp512 @ d4096`.
    fn case(&self, varying: &[&str]) -> String {
        let mut parts = Vec::new();
        parts.extend((self.n_prompt > 0).then(|| format!("pp{}", self.n_prompt)));
        parts.extend((self.n_gen > 0).then(|| format!("tg{}", self.n_gen)));
        let depth = if self.n_depth > 0 { format!(" @ d{}", self.n_depth) } else { String::new() };
        let settings = varying.iter().filter_map(|name| Some(format!(", {name} {}", self.setting(name)?)));
        let settings: String = settings.collect();
        format!("{}, {}{depth}{settings}", self.model_type, parts.join("+"))
    }

    /// Absent in files of other versions.
    fn setting(&self, name: &str) -> Option<String> {
        self.settings.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }
}

fn from_csv(file: &ForeignFile, cells: &mut Cells) -> Result<Vec<Test>> {
    let table = Table::read(file, cells)?;
    let test = |row: &Row| {
        let count = |column: &str| row.number(column).map(|number| number as u64);
        let setting = |name: &&str| Some(((*name).to_owned(), Value::from(row.text(name)?)));
        Some(Test {
            samples_ts: None,
            avg_ts: row.number("avg_ts"),
            n_prompt: count("n_prompt")?,
            n_gen: count("n_gen")?,
            n_depth: count("n_depth").unwrap_or(0),
            model_type: row.text("model_type")?.to_owned(),
            settings: SETTINGS.iter().filter_map(setting).collect(),
        })
    };
    table.rows().map(|row| test(&row).ok_or_else(|| row.error(file, "has no test of a model"))).collect()
}
