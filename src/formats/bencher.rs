//! Bencher's metric format: benchmarks with measures, each a value.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value as Json, json};

use super::cells::{Cell, Cells, Measure};
use super::foreign_file::ForeignFile;
use super::writer::{Writer, Written, pretty};
use super::{Format, Repeats};
use crate::error::{Error, Result};
use crate::metric;
use crate::unit::{self, Quantity};

pub(super) const FORMAT: Format = Format {
    name: "bencher",
    tool: "Bencher",
    repeats: Repeats::Program,
    looks: |look| {
        let measure = look.first.inner().and_then(|benchmark| benchmark.inner());
        !look.is_list && measure.is_some_and(|measure| measure.has(&["value"]))
    },
    read,
};

/// Measures that Bencher names itself, of which it is clear what is better.
const KNOWN: [Measure; 6] = [
    Measure::lower("latency", "ns"),
    Measure::higher("throughput", "ops/s"),
    Measure::lower("build-time", "s"),
    Measure::lower("file-size", "B"),
    Measure::lower("instructions", "instructions"),
    Measure::lower("estimated-cycles", "cycles"),
];

#[derive(Deserialize)]
struct Value {
    value: Option<f64>,
}

/// An object that may hold a name twice, which others would overlook.
struct Pairs<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Each(std::marker::PhantomData))
    }
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    let mut seen = HashSet::new();
    for (benchmark, measures) in file.json::<Pairs<Pairs<Value>>>()?.0 {
        for (name, Value { value }) in measures.0 {
            if !seen.insert((benchmark.clone(), name.clone())) {
                return Err(file.error(&format!("`{name}` of `{benchmark}` occurs twice")));
            }
            match measure(&name) {
                Some(measure) => cells.value(&benchmark, measure, value),
                None => cells.leave_out(&name),
            }
        }
    }
    Ok(())
}

/// One of Bencher's own, or one that bench-diff knows.
fn measure(name: &str) -> Option<Measure<'static>> {
    let ours = || metric::find(name).map(|metric| Measure::of(metric, metric.definition().unit));
    KNOWN.into_iter().find(|measure| measure.name == name).or_else(ours)
}

pub(super) const WRITER: Writer =
    Writer { name: FORMAT.name, what: "Bencher's metric format: the mean of each measure, with its range", write };

/// Bencher takes one value of a measure, and knows its unit by its name.
fn write(cells: &[Cell]) -> Result<Written> {
    let (mut benchmarks, mut unknown) = (Map::new(), Vec::new());
    for cell in cells {
        let (name, factor) = named(cell);
        if measure(name).is_none() && !unknown.contains(&name) {
            unknown.push(name);
        }
        let measures = benchmarks.entry(&cell.case).or_insert_with(|| json!({}));
        if measures.get(name).is_some() {
            let problem =
                format!("`{}` of `{}` would be the measure `{name}`, which it has already", cell.metric, cell.case);
            return Err(Error::usage(problem));
        }
        measures[name] = value(cell, factor);
    }
    let told = |name: &&str| format!("Bencher's format holds neither unit nor direction of `{name}`: tell Bencher");
    Ok(Written { text: pretty(&Json::Object(benchmarks))?, warnings: unknown.iter().map(told).collect() })
}

/// The measure, and what its values are multiplied with.
fn named(cell: &Cell) -> (&str, f64) {
    let known = measure(&cell.metric);
    if let Some(factor) = known.and_then(|known| unit::factor(&cell.unit, known.unit)) {
        return (&cell.metric, factor);
    }
    // What others call their only time.
    let is_time = cell.metric == "time" && unit::quantity(&cell.unit) == Some(Quantity::Time);
    let nanoseconds = unit::factor(&cell.unit, "ns").filter(|_| is_time);
    nanoseconds.map_or((&cell.metric, 1.0), |factor| ("latency", factor))
}

/// A unit's factor isn't exact: what it leaves in the last digits is nobody's measurement.
fn without_residue(value: f64) -> f64 {
    format!("{value:.13e}").parse().unwrap_or(value)
}

fn value(cell: &Cell, factor: f64) -> Json {
    let converted = |value: f64| if factor == 1.0 { value } else { without_residue(value * factor) };
    let values = cell.values.iter().map(|value| converted(*value));
    let mean = converted(cell.mean());
    if cell.values.len() == 1 {
        return json!({ "value": mean });
    }
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| (low.min(it), high.max(it)));
    json!({ "value": mean, "lower_value": low, "upper_value": high })
}
