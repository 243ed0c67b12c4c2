//! Schema 3 of `report.json`: what is written.
//!
//! This struct is the format: flat, each part absent where there is none of it. Which parts there can be together says
//! [`Answer`](super::Answer).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caveats, EqualBuilds, MeasuredAgain, Origin, ReleaseComparison, Reproduction};
use crate::calibrate::Calibration;
use crate::compare::Comparison;
use crate::results::{Level, Results};

/// One suite on one kind of hardware.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The version of this format: 3.
    pub schema: u32,
    /// Its name in the configuration.
    pub suite: String,
    /// The fingerprint that names the baseline file, such as `nvidia-h100-80gb-hbm3`.
    pub hardware: String,
    /// What was measured.
    pub head: Results,
    /// What it was compared with; absent on a first run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Results>,
    /// Of head and base; absent where there is no base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Against the last release: shows what creeps in over many pull requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseComparison>,
    /// Without a baseline, the same build measured as base and head: what this machine can tell apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_check: Option<Comparison>,
    /// What follows from a measurement of one program on both sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// How often the comparison was wrong about builds that are equal, as far as the report holds such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equal_builds: Option<EqualBuilds>,
    /// Without a baseline, what was measured in the last session, case by case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<Level>,
    /// The pull request, as the measuring job knew it. A claim: `publish` checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<u64>,
    /// What was measured where, as the measuring job knew it. `publish` refuses what is of something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What keeps it from being the verdict that was asked for; absent where nothing does.
    #[serde(default, skip_serializing_if = "Caveats::is_empty")]
    pub caveats: Caveats,
    /// The runs that decided what looked changed, base and head in turn; absent where nothing was measured again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_again: Option<MeasuredAgain>,
    /// How to measure the same again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reproduction: Option<Reproduction>,
    /// Why nothing could be measured: then there are neither numbers nor a comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}
