//! Settings: the file `bench-diff.toml` and the flags become validated values here, once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::case::Case;
use crate::engine::ModelSpec;
use crate::results::Settings;

/// A validated configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub suites: Vec<Suite>,
    /// The file it came from; `None` for the built-in configuration.
    pub path: Option<PathBuf>,
}

/// One suite: what to measure, how, and what counts as a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    pub name: String,
    pub settings: Settings,
    /// In the order of the configuration; each model with its cases.
    pub models: Vec<SuiteModel>,
    pub thresholds: Thresholds,
    pub limits: Limits,
}

/// A model and the cases that share its loaded weights.
#[derive(Debug, Clone, PartialEq)]
pub struct SuiteModel {
    pub spec: ModelSpec,
    pub cases: Vec<Case>,
}

/// What counts as a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    pub alpha: f64,
    /// Metrics to test; empty means the default ones.
    pub metrics: Vec<String>,
    /// Noise threshold by metric name, as a share (0.02 is 2%); the metric's own where absent.
    pub margins: BTreeMap<String, f64>,
}

/// When to give up.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// For one case in one run, loading excluded.
    pub case_seconds: u64,
    /// For loading a model.
    pub load_seconds: u64,
    /// How long to wait for an idle GPU.
    pub idle_wait_seconds: u64,
}
