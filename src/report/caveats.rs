//! What keeps a report from being the verdict on the pull request that was asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Each is said before the verdict. None of them is there in most reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Caveats {
    /// Nothing of the pull request is in the program that was measured.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unrelated: bool,
    /// Why the base couldn't be run, where it was needed for a verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_out_of_reach: Option<String>,
    /// The base has no configuration, so that the defaults say what counts as a change.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub base_is_unconfigured: bool,
    /// What the pull request changes in the suite.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suite_changes: Vec<SuiteChange>,
}

/// A setting of the suite, in the base's configuration and in the pull request's. Foreign text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuiteChange {
    /// Its name in the configuration; `suite` where another suite is measured.
    pub setting: String,
    /// Before.
    pub base: String,
    /// Now.
    pub head: String,
    /// The base's holds all the same: it says what counts, and a pull request mustn't choose by what it is judged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overruled: bool,
}

impl SuiteChange {
    /// Of which suite is measured.
    pub const SUITE: &str = "suite";
}

impl Caveats {
    /// There is nothing to say.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A verdict was promised that this keeps from coming about.
    pub fn break_a_promise(&self) -> bool {
        self.base_out_of_reach.is_some() || self.measures_another_suite()
    }

    /// The pull request chose another suite than the base's, of which a comparison was promised.
    pub fn measures_another_suite(&self) -> bool {
        self.suite_changes.iter().any(|change| change.setting == SuiteChange::SUITE)
    }
}
