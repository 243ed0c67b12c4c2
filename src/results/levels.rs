//! What a session measured, case by case: the numbers that are read where there is nothing to compare with.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Measurement, Outcome, Roofline, Session};
use crate::case::Case;
use crate::metric::MetricName;
use crate::stats::{self, Share, Summary};

/// A case over the runs of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Level {
    /// Its id.
    pub case: String,
    /// Runs that gave numbers.
    pub runs: usize,
    /// Each metric over the runs.
    pub metrics: BTreeMap<MetricName, Summary>,
    /// Mean share of the device's limit that decoding reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub decode_of_limit: Option<Share>,
    /// The same of its prefill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub prefill_of_limit: Option<Share>,
}

/// Of every case that was planned, also of those that gave no numbers.
pub fn levels(cases: &[Case], session: &Session) -> Vec<Level> {
    let mut measured: HashMap<&str, Vec<&Measurement>> = HashMap::new();
    for run in &session.runs {
        if let Outcome::Ok(measurement) = &run.outcome {
            measured.entry(&run.case).or_default().push(measurement);
        }
    }
    cases.iter().map(|case| level(&case.id, measured.get(case.id.as_str()).map_or(&[][..], Vec::as_slice))).collect()
}

fn level(case: &str, runs: &[&Measurement]) -> Level {
    let mut values: BTreeMap<&MetricName, Vec<f64>> = BTreeMap::new();
    for (metric, value) in runs.iter().flat_map(|run| &run.metrics) {
        values.entry(metric).or_default().push(*value);
    }
    let summary = |(metric, values): (&MetricName, Vec<f64>)| Some((metric.clone(), Summary::of(&values)?));
    Level {
        case: case.to_owned(),
        runs: runs.len(),
        metrics: values.into_iter().filter_map(summary).collect(),
        decode_of_limit: mean_share(runs, |roofline| roofline.decode),
        prefill_of_limit: mean_share(runs, |roofline| roofline.prefill),
    }
}

fn mean_share(runs: &[&Measurement], share: fn(&Roofline) -> Option<f64>) -> Option<Share> {
    let shares: Vec<f64> = runs.iter().filter_map(|run| share(run.roofline.as_ref()?)).collect();
    stats::mean(&shares).map(Share::new)
}
