//! hyperfine's JSON: version 1 has `times` in seconds, version 2 `measurements` that name their units.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::cells::{Cells, Measure};
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;
use crate::plural::counted;

pub(super) const FORMAT: Format = Format {
    name: "hyperfine",
    tool: "hyperfine",
    repeats: Repeats::Program,
    looks: |look| look.first.field("results").is_some_and(|results| results.has(&["command"])),
    read,
};

const TIME: Measure = Measure::lower("time", "s");
const MEMORY: Measure = Measure::lower("memory", "B");

#[derive(Deserialize)]
struct Document {
    results: Vec<Benchmark>,
}

#[derive(Deserialize)]
struct Benchmark {
    /// What people called it, if they did; version 1 puts that into `command`.
    #[serde(default)]
    name: Option<String>,
    command: String,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
    #[serde(default)]
    mean: Option<f64>,
    #[serde(default)]
    times: Option<Vec<Option<f64>>>,
    #[serde(default)]
    memory_usage_byte: Vec<Option<f64>>,
    #[serde(default)]
    exit_codes: Vec<Option<i64>>,
    #[serde(default)]
    measurements: Vec<Measurement>,
}

/// A run of version 2.
#[derive(Deserialize)]
struct Measurement {
    #[serde(default)]
    time_wall_clock: Option<Amount>,
    /// As versions before the release had it.
    #[serde(default, alias = "peak_memory_usage")]
    memory_peak_resident: Option<Amount>,
    #[serde(default)]
    exit_code: Option<i64>,
}

#[derive(Deserialize)]
struct Amount {
    value: Option<f64>,
    unit: String,
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    for benchmark in file.json::<Document>()?.results {
        let case = benchmark.case();
        let codes = benchmark.exit_codes.iter().chain(benchmark.measurements.iter().map(|run| &run.exit_code));
        let failed = codes.flatten().filter(|code| **code != 0).count();
        if failed > 0 {
            cells.warn(format!("{}: {} of `{case}` exited with an error", file.name, counted(failed, "run")));
        }
        for run in &benchmark.measurements {
            run.add(&case, file, cells)?;
        }
        if benchmark.measurements.is_empty() {
            cells.samples_or(&case, TIME, benchmark.times, benchmark.mean);
            cells.samples(&case, MEMORY, benchmark.memory_usage_byte);
        }
    }
    Ok(())
}

impl Benchmark {
    /// With the parameters that its command doesn't show.
    fn case(&self) -> String {
        let name = self.name.as_ref().unwrap_or(&self.command);
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let parameters = self.parameters.iter().map(|(name, value)| (name, text(value)));
        let hidden = parameters.filter(|(_, value)| !name.contains(value.as_str()));
        name.clone() + &hidden.map(|(name, value)| format!(", {name} {value}")).collect::<String>()
    }
}

impl Measurement {
    fn add(&self, case: &str, file: &ForeignFile, cells: &mut Cells) -> Result<()> {
        let amounts = [(TIME, "second", &self.time_wall_clock), (MEMORY, "byte", &self.memory_peak_resident)];
        for (measure, unit, amount) in amounts {
            let Some(amount) = amount else { continue };
            if amount.unit != unit {
                return Err(
                    file.error(&format!("`{case}` has its {} in {}, not in {unit}s", measure.name, amount.unit))
                );
            }
            cells.samples(case, measure, [amount.value]);
        }
        Ok(())
    }
}
