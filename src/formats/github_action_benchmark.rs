//! github-action-benchmark: what it takes in (a list of names, values and units), and `data.js`, which it keeps.
//!
//! The input doesn't say which direction is good: the unit does, or the name of the tool that the Action is told.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::cells::{Cells, Measure};
use super::direction;
use super::foreign_file::{ForeignFile, number_or_text};
use super::{Format, Repeats};
use crate::error::Result;
use crate::metric::Better;

const TOOL: &str = "github-action-benchmark";

pub(super) const INPUT: Format = Format {
    name: "github-action-benchmark",
    tool: TOOL,
    repeats: Repeats::Program,
    looks: |look| look.is_list && look.first.has(&["name", "value", "unit"]),
    read: |file, cells| read_input(file, cells, None),
};

/// The same where every value is to be small.
pub(super) const SMALLER: Format = Format {
    name: "customSmallerIsBetter",
    looks: |_| false,
    read: |file, cells| read_input(file, cells, Some(Better::Lower)),
    ..INPUT
};

/// The same where every value is to be large.
pub(super) const BIGGER: Format = Format {
    name: "customBiggerIsBetter",
    looks: |_| false,
    read: |file, cells| read_input(file, cells, Some(Better::Higher)),
    ..INPUT
};

pub(super) const DATA: Format = Format {
    name: "github-action-benchmark-data",
    tool: TOOL,
    repeats: Repeats::Program,
    looks: |look| look.head.starts_with(START),
    read: read_data,
};

/// What makes JavaScript of the JSON.
const START: &str = "window.BENCHMARK_DATA";

/// Tools whose values are to be large; of the others the Action takes the smaller one for better.
const BIGGER_IS_BETTER: [&str; 3] = ["customBiggerIsBetter", "benchmarkjs", "pytest"];

#[derive(Deserialize)]
struct Bench {
    name: String,
    #[serde(deserialize_with = "number_or_text")]
    value: Option<f64>,
    #[serde(default)]
    unit: String,
}

#[derive(Deserialize)]
struct Data {
    entries: BTreeMap<String, Vec<Entry>>,
}

/// A run of the workflow.
#[derive(Deserialize)]
struct Entry {
    tool: String,
    benches: Vec<Bench>,
}

fn read_input(file: &ForeignFile, cells: &mut Cells, better: Option<Better>) -> Result<()> {
    add(&file.json::<Vec<Bench>>()?, "", better, cells);
    Ok(())
}

/// The newest entry of each suite.
fn read_data(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    let start = file.text.iter().position(|&byte| byte == b'{').unwrap_or(file.text.len());
    let json = file.text[start..].trim_ascii_end();
    let json = ForeignFile { text: json.strip_suffix(b";").unwrap_or(json), ..*file };
    for (suite, entries) in json.json::<Data>()?.entries {
        let Some(Entry { tool, benches }) = entries.last() else { continue };
        let better = if BIGGER_IS_BETTER.contains(&tool.as_str()) { Better::Higher } else { Better::Lower };
        add(benches, &format!("{suite}: "), Some(better), cells);
    }
    Ok(())
}

fn add(benches: &[Bench], suite: &str, better: Option<Better>, cells: &mut Cells) {
    for Bench { name, value, unit } in benches {
        // Of Go's benchmarks the Action keeps the whole line beside each of its values.
        if unit.contains('\t') {
            continue;
        }
        let metric = if unit.is_empty() { "value" } else { unit };
        match better.or_else(|| direction::of_unit(unit)) {
            Some(better) => cells.value(&format!("{suite}{name}"), Measure { name: metric, unit, better }, *value),
            None => cells.leave_out(metric),
        }
    }
}
