//! Bencher's metric format: benchmarks with measures, each a value.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::cells::{Cells, Measure};
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;
use crate::metric;

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
