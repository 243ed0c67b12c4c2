//! github-action-benchmark: what it takes in (a list of names, values and units), and `data.js`, which it keeps.
//!
//! The input doesn't say which direction is good: the unit does, or the name of the tool that the Action is told.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::cells::{Cell, Cells, Measure};
use super::direction;
use super::foreign_file::{ForeignFile, number_or_text};
use super::writer::{Writer, Written, pretty};
use super::{Format, Repeats};
use crate::error::{Error, Result};
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
    /// Text beside a point of the chart. Ours names the samples.
    #[serde(default)]
    extra: Option<String>,
}

impl Bench {
    fn samples(&self) -> Option<Vec<Option<f64>>> {
        let listed = self.extra.as_deref()?.strip_prefix(SAMPLES)?;
        listed.split(", ").map(|number| number.parse().ok().map(Some)).collect()
    }
}

/// Begins the text beside a point that has several samples.
const SAMPLES: &str = "samples: ";

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
    for bench in benches {
        let Bench { name, value, unit, .. } = bench;
        // Of Go's benchmarks the Action keeps the whole line beside each of its values.
        if unit.contains('\t') {
            continue;
        }
        let metric = if unit.is_empty() { "value" } else { unit };
        let Some(better) = better.or_else(|| direction::of_unit(unit)) else {
            cells.leave_out(metric);
            continue;
        };
        let (case, measure) = (format!("{suite}{name}"), Measure { name: metric, unit, better });
        match bench.samples() {
            Some(samples) => cells.samples(&case, measure, samples),
            None => cells.value(&case, measure, *value),
        }
    }
}

pub(super) const WRITER: Writer = Writer {
    name: INPUT.name,
    what: "github-action-benchmark's input: the mean of each case and metric, with its samples beside it",
    write: |cells| write(cells, None),
};

/// Only what is to be small, for `tool: customSmallerIsBetter`.
pub(super) const SMALLER_WRITER: Writer = Writer {
    name: SMALLER.name,
    what: "the same, only metrics that are better when smaller",
    write: |cells| write(cells, Some(Better::Lower)),
};

/// Only what is to be large, for `tool: customBiggerIsBetter`.
pub(super) const BIGGER_WRITER: Writer = Writer {
    name: BIGGER.name,
    what: "the same, only metrics that are better when larger",
    write: |cells| write(cells, Some(Better::Higher)),
};

#[derive(Serialize)]
struct Point<'a> {
    name: String,
    unit: &'a str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<String>,
}

/// The Action is told one direction for a whole file.
fn write(cells: &[Cell], only: Option<Better>) -> Result<Written> {
    let wanted = || cells.iter().filter(|cell| only.is_none_or(|better| better == cell.better));
    let mixed = wanted().any(|cell| cell.better == Better::Lower) && wanted().any(|cell| cell.better == Better::Higher);
    let warning = "metrics of both directions are in one file, of which the Action is told one: \
                   write `customSmallerIsBetter` and `customBiggerIsBetter` apart";
    check_names(wanted())?;
    let points: Vec<Point> = wanted().map(point).collect();
    Ok(Written { text: pretty(&points)?, warnings: mixed.then(|| warning.to_owned()).into_iter().collect() })
}

/// The Action tells points apart by their names alone: two of one name would be one line of its chart.
fn check_names<'a>(cells: impl Iterator<Item = &'a Cell>) -> Result<()> {
    let mut names: HashMap<String, &Cell> = HashMap::new();
    for cell in cells {
        if let Some(other) = names.insert(name_of(cell), cell) {
            let [one, two] = [other, cell].map(|cell| format!("`{}` of `{}`", cell.metric, cell.case));
            let problem = format!("{one} and {two} would have one name for {TOOL}, `{}`", name_of(cell));
            return Err(Error::usage(problem));
        }
    }
    Ok(())
}

/// A metric that is named as its unit is told by that.
fn name_of(cell: &Cell) -> String {
    if cell.metric == cell.unit { cell.case.clone() } else { format!("{} / {}", cell.case, cell.metric) }
}

fn point(cell: &Cell) -> Point<'_> {
    let mean = cell.mean();
    let several = cell.values.len() > 1;
    let half = cell.values.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max);
    let samples: Vec<String> = cell.values.iter().map(f64::to_string).collect();
    Point {
        name: name_of(cell),
        unit: &cell.unit,
        value: mean,
        range: several.then(|| format!("± {half}")),
        extra: several.then(|| format!("{SAMPLES}{}", samples.join(", "))),
    }
}
