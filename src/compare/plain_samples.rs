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
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

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
    let entries: Vec<Entry> = from_json(name, text, "a samples file")?;
    if entries.is_empty() {
        return Err(Error::usage(format!("{name} holds no samples: the array is empty")));
    }
    let mut side = Side { name: name.to_owned(), ..Side::default() };
    let mut cases: HashMap<String, usize> = HashMap::new();
    let mut directions: HashMap<MetricName, Better> = HashMap::new();
    let mut seen: HashSet<(usize, MetricName)> = HashSet::new();
    for entry in entries {
        let place = format!("case `{}`, metric `{}`", entry.case, entry.metric);
        let fail = |problem: &str| Error::usage(format!("{name}: {place}: {problem}"));
        let case_name = entry.case.clone();
        let cell = entry.into_cell(fail)?;
        if *directions.entry(cell.metric.clone()).or_insert(cell.better) != cell.better {
            return Err(fail("`better` is the other way than in another case"));
        }
        let case = *cases.entry(case_name.clone()).or_insert_with(|| {
            side.cases.push(CaseSide { id: case_name, ..CaseSide::default() });
            side.cases.len() - 1
        });
        if !seen.insert((case, cell.metric.clone())) {
            return Err(fail("occurs twice"));
        }
        let case = &mut side.cases[case];
        let valid: usize = cell.sessions.iter().map(|session| session.values.len()).sum();
        case.runs = case.runs.max(valid + cell.dropped);
        case.cells.push(cell);
    }
    let contents = contents(&side.cases);
    side.occasions = Occasions::declared(&contents);
    Ok(side)
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
