//! The plain samples format, for tests and for foreign tools: a JSON array of cells that bring their own unit and
//! direction.
//!
//! ```json
//! [{"case": "7B", "metric": "decode", "unit": "tok/s", "better": "higher", "samples": [101.2, 100.9, 101.4]}]
//! ```
//!
//! `"sessions": [[..], [..]]` instead of `samples` keeps the values of several sessions apart. The format doesn't say when
//! these were measured: that they are hours apart is the caller's word. `"average": 101.2` is what is left of values that
//! nobody has.

use std::borrow::Cow;
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::side::{CaseSide, CellSide, SessionValues, Side};
use crate::error::{Error, Result};
use crate::metric::{Better, Metric, MetricName};
use crate::results::{Occasions, from_json};
use crate::unit;

/// One cell of one side. A value that wasn't a number is null, and reported.
#[derive(Debug, Deserialize)]
struct Entry {
    case: String,
    metric: MetricName,
    /// May be left out for a metric that bench-diff knows, as may `better`.
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    better: Option<Better>,
    #[serde(default)]
    samples: Option<Vec<Option<f64>>>,
    #[serde(default)]
    sessions: Option<Vec<Vec<Option<f64>>>>,
    /// Of samples that nobody has any more.
    #[serde(default)]
    average: Option<f64>,
}

/// The same, as it is written.
#[derive(Serialize)]
struct Written<'a> {
    case: &'a str,
    metric: &'a MetricName,
    unit: &'a str,
    better: Better,
    #[serde(flatten)]
    values: Values<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Values<'a> {
    Average(f64),
    Samples(&'a [f64]),
    Sessions(Vec<&'a [f64]>),
}

/// The file that holds a side's values, an entry a line. What was no number has no place in it.
pub fn write(side: &Side) -> Result<String> {
    let cells = side.cases.iter().flat_map(|case| case.cells.iter().map(|cell| (case.id.as_str(), cell)));
    let entries = cells.filter_map(|(case, cell)| {
        let zeros = vec![0.0; cell.good_zeros()];
        let mut sessions: Vec<&[f64]> = cell.sessions.iter().map(|session| session.values.as_slice()).collect();
        sessions.extend((!zeros.is_empty()).then_some(zeros.as_slice()));
        let values = match sessions.as_slice() {
            [] => return None,
            [[average]] if cell.is_average => Values::Average(*average),
            [samples] => Values::Samples(samples),
            _ => Values::Sessions(sessions),
        };
        let (metric, unit, better) = (&cell.metric, &*cell.unit, cell.better);
        Some(serde_json::to_string(&Written { case, metric, unit, better, values }))
    });
    let entries = entries.collect::<Result<Vec<String>, _>>().map_err(Error::usage)?;
    Ok(format!("[\n  {}\n]\n", entries.join(",\n  ")))
}

/// Parses and checks plain samples; `name` stands for the file in errors.
pub fn parse(name: &str, text: Vec<u8>) -> Result<Side> {
    let Gathered { cases, mistake, .. } = from_json(name, text, "a samples file")?;
    if let Some(mistake) = mistake {
        return Err(mistake.at(name));
    }
    if cases.is_empty() {
        return Err(Error::usage(format!("{name} holds no samples: the array is empty")));
    }
    let occasions = Occasions::declared(&contents(&cases));
    Ok(Side { name: name.to_owned(), occasions, cases, ..Side::default() })
}

/// The cells of a file, each put into its place as soon as it is read: as JSON has them, they would take twice the memory.
#[derive(Default)]
struct Gathered {
    cases: Vec<CaseSide>,
    /// Where the case is in `cases`.
    places: HashMap<String, usize>,
    /// Each metric's number, and its direction.
    metrics: HashMap<MetricName, (usize, Better)>,
    /// Case and metric, by their numbers.
    seen: HashSet<(usize, usize)>,
    /// The first; nothing is gathered after it.
    mistake: Option<Error>,
}

impl<'de> Deserialize<'de> for Gathered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(OneByOne)
    }
}

struct OneByOne;

impl<'de> Visitor<'de> for OneByOne {
    type Value = Gathered;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of cells")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Gathered, A::Error> {
        let mut gathered = Gathered::default();
        while let Some(entry) = entries.next_element::<Entry>()? {
            if gathered.mistake.is_none() {
                gathered.mistake = gathered.add(entry).err();
            }
        }
        Ok(gathered)
    }
}

impl Gathered {
    fn add(&mut self, entry: Entry) -> Result<()> {
        let (case_name, metric) = (entry.case.clone(), entry.metric.clone());
        let fail = |problem: &str| Error::usage(format!("case `{case_name}`, metric `{metric}`: {problem}"));
        let cell = entry.into_cell(fail)?;
        let next = self.metrics.len();
        let (number, better) = *self.metrics.entry(metric.clone()).or_insert((next, cell.better));
        if better != cell.better {
            return Err(fail("`better` is the other way than in another case"));
        }
        let case = self.place(&case_name);
        if !self.seen.insert((case, number)) {
            return Err(fail("occurs twice"));
        }
        let case = &mut self.cases[case];
        let valid: usize = cell.sessions.iter().map(|session| session.values.len()).sum();
        case.runs = case.runs.max(valid + cell.dropped);
        case.cells.push(cell);
        Ok(())
    }

    /// Where the case is, which may be new.
    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        self.cases.push(CaseSide { id: name.to_owned(), ..CaseSide::default() });
        self.places.insert(name.to_owned(), self.cases.len() - 1);
        self.cases.len() - 1
    }
}

/// For each session, what it holds of all cells.
fn contents(cases: &[CaseSide]) -> Vec<u64> {
    let cells = || cases.iter().flat_map(|case| case.cells.iter().map(|cell| (&case.id, cell)));
    let last = cells().filter_map(|(_, cell)| cell.sessions.last()).map(|last| last.session).max();
    let mut hashers = vec![DefaultHasher::new(); last.map_or(0, |last| last + 1)];
    if hashers.len() > 1 {
        for (case, cell) in cells() {
            for SessionValues { session, values } in &cell.sessions {
                let hasher = &mut hashers[*session];
                (case, cell.metric.as_str()).hash(hasher);
                values.iter().for_each(|value| value.to_bits().hash(hasher));
            }
        }
    }
    hashers.into_iter().map(|hasher| hasher.finish()).collect()
}

impl Entry {
    /// The cell, or an error of what is wrong with it.
    fn into_cell(self, fail: impl Fn(&str) -> Error) -> Result<CellSide> {
        if self.case.is_empty() || self.metric.as_str().is_empty() {
            return Err(fail("`case` and `metric` must not be empty"));
        }
        let known = self.metric.known().map(Metric::definition);
        let unit = self.unit.map(Cow::Owned).or(known.map(|known| Cow::Borrowed(known.unit)));
        let unit = unit.ok_or_else(|| fail("`unit` is missing, and bench-diff doesn't know the metric"))?;
        if let Some(meant) = unit::meant(&unit) {
            return Err(fail(&format!("the unit `{unit}` is unknown")).hint(format!("did you mean `{meant}`?")));
        }
        if let Some(known) = known.filter(|known| unit::factor(&unit, known.unit).is_none()) {
            return Err(fail(&format!("the unit is wrong: {} is in {}, not in `{unit}`", known.title, known.unit)));
        }
        let better = self.better.or(known.map(|known| known.better));
        let better = better.ok_or_else(|| fail("`better` is missing (\"higher\" or \"lower\")"))?;
        if let Some(known) = known.filter(|known| known.better != better) {
            let problem = format!("`better` is wrong: of {}, {:?} is better", known.title, known.better);
            return Err(fail(&problem.to_lowercase()));
        }
        let is_average = self.average.is_some();
        let sessions = match (self.samples, self.sessions, self.average) {
            (Some(samples), None, None) => vec![samples],
            (None, Some(sessions), None) => sessions,
            (None, None, Some(average)) => vec![vec![Some(average)]],
            (None, None, None) => return Err(fail("has neither `samples` nor `sessions`")),
            (Some(_), Some(_), _) => return Err(fail("has both `samples` and `sessions`").hint("give one of them")),
            _ => return Err(fail("has an `average` and its samples").hint("leave out the average")),
        };
        if sessions.is_empty() || sessions.iter().any(Vec::is_empty) {
            return Err(fail("has no values").hint("leave out what wasn't measured"));
        }
        let mut cell = CellSide::new(self.metric, unit, better);
        cell.is_average = is_average;
        cell.sessions.reserve_exact(sessions.len());
        for (session, values) in sessions.iter().enumerate() {
            cell.sessions.push(SessionValues { session, values: Vec::with_capacity(values.len()) });
            values.iter().for_each(|value| cell.push(session, value.unwrap_or(f64::NAN)));
        }
        cell.sessions.retain(|session| !session.values.is_empty());
        Ok(cell)
    }
}
