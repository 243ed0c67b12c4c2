//! The files of the programs that measured Qwen's published numbers, for tools that read them.
//!
//! Names, columns and units are theirs. A value is the mean over the last session's runs, as their README asks
//! ("run three times and average"). What wasn't measured is left out where they would write a zero.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Outcome, Results};
use crate::case::{Case, ImplementationName};
use crate::error::{Error, Result};
use crate::files::{self, Folder};
use crate::metric::{Metric, MetricName};
use crate::stats;

const TRANSFORMERS_HEADER: &str = "model_id_or_path,batch_size,context_length_per_experiment,\
generate_length_per_experiment,use_flash_attn,comment,tokens_per_second,max_gpu_memory_cost_gb";
const VLLM_HEADER: &str = "Model ID,Input Length,Output Length,TP Size,Average Time (s),Average Throughput (tokens/s)";

/// A directory for each.
const PROGRAMS: [&str; 3] = ["transformers", "vllm", "evalscope"];

/// MiB in the "GB" of all three: 1024^3 bytes.
const MIB_PER_GB: f64 = 1024.0;

impl Results {
    /// Writes `transformers/*.csv`, `vllm/*.csv` and `evalscope/MODEL/TIME/speed_benchmark.json` under `directory`, and
    /// says what they are.
    pub fn export(&self, directory: &Path) -> Result<Vec<PathBuf>> {
        let folder = Folder::wait_for(directory)?;
        let rows: Vec<Row> = self.cases.iter().filter_map(|case| self.row(case)).collect();
        let mut now = Timestamp::now();
        let mut files = exported(&rows, now)?;
        // Their names have whole seconds: another export's files stay.
        while files.keys().any(|name| folder.join(name).exists()) {
            now += SignedDuration::from_secs(1);
            files = exported(&rows, now)?;
        }
        let mut written = Vec::new();
        for (name, text) in files {
            let path = folder.join(name);
            path.parent().map_or(Ok(()), fs::create_dir_all).map_err(|error| Error::writing(&path, error))?;
            files::write(&path, |out| out.write_all(text.as_bytes()))?;
            written.push(path);
        }
        Ok(written)
    }

    /// Fails where [`export`](Self::export) would: nobody wants to hear of that after having measured.
    pub fn check_export(directory: &Path) -> Result<()> {
        PROGRAMS.iter().try_for_each(|program| Folder::check(&directory.join(program)))
    }

    fn row<'a>(&'a self, case: &'a Case) -> Option<Row<'a>> {
        let runs = self.sessions.last()?.runs.iter().filter(|run| run.case == case.id);
        let measured: Vec<_> = runs
            .filter_map(|run| match &run.outcome {
                Outcome::Ok(measurement) => Some(measurement),
                Outcome::Failed(_) => None,
            })
            .collect();
        let mean = |metric: Metric| {
            let name = MetricName::from(metric);
            stats::mean(&measured.iter().filter_map(|run| run.metrics.get(&name).copied()).collect::<Vec<_>>())
        };
        let ran = measured.iter().find_map(|run| run.implementation.as_ref());
        Some(Row {
            case,
            implementation: ran.unwrap_or(&case.implementation),
            // Of all sequences: theirs is of whatever was generated.
            speed: mean(Metric::BatchThroughput).or_else(|| mean(Metric::Speed))?,
            seconds: mean(Metric::E2eLatency)? / 1000.0,
            allocated_gb: mean(Metric::AllocatedMemory).map(|mib| mib / MIB_PER_GB),
        })
    }
}

/// A case with numbers; a case without has no row in any of the three, as with theirs.
struct Row<'a> {
    case: &'a Case,
    /// What ran, which may not be what the case asked for.
    implementation: &'a ImplementationName,
    speed: f64,
    seconds: f64,
    allocated_gb: Option<f64>,
}

impl Row<'_> {
    /// Their flag says which attention ran: `graph` has a flash kernel, and adapters/transformers.py names its own.
    fn has_flash_attention(&self) -> bool {
        let implementation = self.implementation.as_str();
        implementation == "graph" || implementation.starts_with("flash_attention")
    }

    /// `comment` is what whoever measured calls the row.
    fn transformers(&self, comment: &str) -> String {
        let case = self.case;
        let flash = if self.has_flash_attention() { "True" } else { "False" };
        let memory = self.allocated_gb.map_or_else(String::new, number);
        format!(
            "{},{},{},{},{flash},{},{},{memory}",
            field(&case.model),
            case.batch_size,
            case.context_length,
            case.generated_length,
            field(comment),
            number(self.speed)
        )
    }

    fn vllm(&self) -> String {
        let case = self.case;
        format!(
            "{},{},{},{},{},{}",
            field(&case.model),
            case.context_length,
            case.generated_length,
            case.gpus.max(1),
            number(self.seconds),
            number(self.speed)
        )
    }
}

/// What an export at that time consists of: contents by path.
fn exported(rows: &[Row], now: Timestamp) -> Result<BTreeMap<PathBuf, String>> {
    let stamp = now.strftime("%m%d%H%M%S").to_string();
    let mut files = BTreeMap::new();
    for (name, rows) in by_file(rows, &stamp) {
        // Theirs hold one row. Where several engines ran the same, a reader must know which row is whose.
        let comment = |row: &Row| if rows.len() == 1 { "default".to_owned() } else { row.case.id.clone() };
        let transformers = csv(TRANSFORMERS_HEADER, &rows, |row| row.transformers(&comment(row)));
        files.insert(Path::new("transformers").join(&name), transformers);
        // These have no column for a batch.
        let single: Vec<&Row> = rows.into_iter().filter(|row| row.case.batch_size <= 1).collect();
        if !single.is_empty() {
            files.insert(Path::new("vllm").join(&name), csv(VLLM_HEADER, &single, |row| row.vllm()));
        }
    }
    let stamp = now.strftime("%Y%m%d_%H%M%S").to_string();
    for (model, rows) in by_model(rows) {
        let path = Path::new("evalscope").join(model).join(&stamp).join("speed_benchmark.json");
        files.insert(path, serde_json::to_string_pretty(&evalscope(&rows)).map_err(Error::usage)? + "\n");
    }
    Ok(files)
}

/// Python's CSV ends its lines as Windows does.
fn csv(header: &str, rows: &[&Row], line: impl Fn(&Row) -> String) -> String {
    let lines = rows.iter().map(|row| line(row) + "\r\n");
    std::iter::once(format!("{header}\r\n")).chain(lines).collect()
}

/// Rounded to four decimals, of which Python drops zeros at the end: `47.5`, `80.0`.
fn number(value: f64) -> String {
    let rounded = (value * 1e4).round() / 1e4;
    if rounded.fract() == 0.0 { format!("{rounded:.1}") } else { rounded.to_string() }
}

/// The rows of each file by its name.
type Files<'a, 'b> = BTreeMap<String, Vec<&'a Row<'b>>>;

/// One file for each model and context length. Cases that differ only in what the name doesn't say share it.
fn by_file<'a, 'b>(rows: &'a [Row<'b>], stamp: &str) -> Files<'a, 'b> {
    let mut files = Files::new();
    for row in rows {
        let model = file_name(&row.case.model);
        files.entry(format!("{model}_context_length-{}_{stamp}.csv", row.case.context_length)).or_default().push(row);
    }
    files
}

fn by_model<'a, 'b>(rows: &'a [Row<'b>]) -> Files<'a, 'b> {
    let mut models = Files::new();
    for row in rows.iter().filter(|row| row.case.batch_size <= 1) {
        models.entry(file_name(row.case.model.rsplit('/').next().unwrap_or_default())).or_default().push(row);
    }
    models
}

/// `/` becomes `__`, and a name stays in its directory.
fn file_name(model: &str) -> String {
    let name = model.replace(['/', '\\'], "__").replace(|c: char| c.is_control(), "_");
    if name.chars().all(|c| c == '.') { format!("_{name}") } else { name }
}

/// Quoted where CSV needs it.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// An entry of `speed_benchmark.json`.
#[derive(Serialize)]
struct Entry {
    #[serde(rename = "Prompt Tokens")]
    prompt_tokens: u32,
    #[serde(rename = "Speed(tokens/s)")]
    speed: f64,
    #[serde(rename = "GPU Memory(GB)", skip_serializing_if = "Option::is_none")]
    memory: Option<f64>,
}

/// Means grouped by prompt tokens; two decimals, as in EvalScope's own tables.
fn evalscope(rows: &[&Row]) -> Vec<Entry> {
    let mut groups: BTreeMap<u32, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        groups.entry(row.case.context_length).or_default().push(row);
    }
    let mean = |values: Vec<f64>| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (!values.is_empty()).then(|| (mean * 100.0).round() / 100.0)
    };
    let entries = groups.into_iter().filter_map(|(prompt_tokens, rows)| {
        let speed = mean(rows.iter().map(|row| row.speed).collect())?;
        Some(Entry { prompt_tokens, speed, memory: mean(rows.iter().filter_map(|row| row.allocated_gb).collect()) })
    });
    entries.collect()
}
