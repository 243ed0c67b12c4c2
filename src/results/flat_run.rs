//! How a run is read. What serde derives for a flattened enum copies every value first, which is slow for large files
//! and loses the line of an error.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::v2::{
    CardState, DeviceState, Distribution, Failure, FailureKind, Measurement, Outcome, Program, Roofline, Run,
};
use crate::case::{Clock, ImplementationName};
use crate::metric::MetricName;
use crate::word::Word;

/// A run's fields side by side. Those of schema 1 are the same, without a clock.
#[derive(Deserialize)]
struct FlatRun {
    case: String,
    round: u32,
    started: String,
    status: Status,
    #[serde(default, deserialize_with = "metrics")]
    metrics: Option<BTreeMap<MetricName, f64>>,
    #[serde(default)]
    itl: Option<Distribution>,
    #[serde(default)]
    token_hash: Option<String>,
    #[serde(default)]
    implementation: Option<ImplementationName>,
    #[serde(default)]
    program: Option<Program>,
    #[serde(default)]
    clock: Option<Word<Clock>>,
    #[serde(default)]
    device: Option<DeviceState>,
    #[serde(default)]
    by_card: Vec<CardState>,
    #[serde(default)]
    roofline: Option<Roofline>,
    #[serde(default)]
    shared_process: bool,
    #[serde(default)]
    load_ms: Option<f64>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    kind: Option<FailureKind>,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Failed,
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let flat = FlatRun::deserialize(deserializer)?;
        let missing = de::Error::missing_field;
        let outcome = match flat.status {
            Status::Ok => Outcome::Ok(Measurement {
                metrics: flat.metrics.ok_or_else(|| missing("metrics"))?,
                itl: flat.itl,
                token_hash: flat.token_hash,
                implementation: flat.implementation,
                program: flat.program,
                clock: flat.clock,
                device: flat.device,
                by_card: flat.by_card,
                roofline: flat.roofline,
                shared_process: flat.shared_process,
                load_ms: flat.load_ms,
                warnings: flat.warnings,
            }),
            Status::Failed => Outcome::Failed(Failure {
                kind: flat.kind.ok_or_else(|| missing("kind"))?,
                reason: flat.reason.ok_or_else(|| missing("reason"))?,
            }),
        };
        Ok(Self { case: flat.case, round: flat.round, started: flat.started, outcome })
    }
}

/// Metrics by name, each once. A null is a value that wasn't a number: kept as NaN, so that it is reported.
fn metrics<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeMap<MetricName, f64>>, D::Error> {
    struct Metrics;
    impl<'de> Visitor<'de> for Metrics {
        type Value = BTreeMap<MetricName, f64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of metrics and their values")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut metrics = BTreeMap::new();
            while let Some(name) = map.next_key::<MetricName>()? {
                if metrics.contains_key(&name) {
                    map.next_value::<IgnoredAny>()?;
                    return Err(de::Error::custom(format_args!("the metric `{name}` occurs twice in a run")));
                }
                metrics.insert(name, map.next_value::<Option<f64>>()?.unwrap_or(f64::NAN));
            }
            Ok(metrics)
        }
    }
    deserializer.deserialize_map(Metrics).map(Some)
}
