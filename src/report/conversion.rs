//! Between memory and schema 2, both ways. A report in memory serializes as schema 2 says.
//!
//! A file may hold parts that contradict each other, whoever wrote it. What says most against the head counts, so that
//! nothing passes for the better by what is added to a file:
//! 1. with a failure, nothing was measured, and no comparison counts;
//! 2. with a comparison, this is no first run: a self-check is passed over. If its base is missing, nothing is known of the
//!    base, and the comparison stays what it is;
//! 3. else it is a first run, and a base is passed over: nothing was compared with it.
//!
//! What follows from other parts (the calibration, the equal builds, the levels) is written, and passed over when it is read.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::report_v3 as v3;
use super::{Answer, Report, SCHEMA, nothing_of};

impl From<v3::Report> for Report {
    fn from(file: v3::Report) -> Self {
        let v3::Report { suite, hardware, head, base, comparison, release, self_check, .. } = file;
        let answer = match (file.failure, comparison) {
            (Some(why), _) => Answer::Failed { why },
            (None, Some(comparison)) => {
                let base = base.unwrap_or_else(|| nothing_of(&suite));
                Answer::Compared { base, comparison, release }
            }
            (None, None) => Answer::FirstRun { self_check, release },
        };
        Self {
            suite,
            hardware,
            head,
            answer,
            pull_request: file.pull_request,
            origin: file.origin,
            caveats: file.caveats,
            measured_again: file.measured_again,
            reproduction: file.reproduction,
        }
    }
}

impl From<&Report> for v3::Report {
    fn from(report: &Report) -> Self {
        Self {
            schema: SCHEMA,
            suite: report.suite.clone(),
            hardware: report.hardware.clone(),
            head: report.head.clone(),
            base: report.base().cloned(),
            comparison: report.comparison().cloned(),
            release: report.release().cloned(),
            self_check: report.self_check().cloned(),
            calibration: report.calibration(),
            equal_builds: report.equal_builds(),
            levels: report.levels(),
            pull_request: report.pull_request,
            origin: report.origin.clone(),
            caveats: report.caveats.clone(),
            measured_again: report.measured_again.clone(),
            reproduction: report.reproduction.clone(),
            failure: report.failure().map(str::to_owned),
        }
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        v3::Report::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Report {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        v3::Report::deserialize(deserializer).map(Into::into)
    }
}

impl JsonSchema for Report {
    fn schema_name() -> Cow<'static, str> {
        v3::Report::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        v3::Report::json_schema(generator)
    }
}
