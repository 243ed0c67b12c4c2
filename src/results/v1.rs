//! Schema 1 of results files, as bench-diff 0.1.0 wrote them. Only read.
//!
//! What schema 2 didn't change is schema 2's type; of those, schema 1 had no `clock`.

use serde::{Deserialize, Serialize};

use super::v2::{Case, Ceilings, Discarded, Run, Settings};

/// One suite on one machine.
#[derive(Debug, Deserialize)]
pub struct Results {
    pub suite: String,
    #[serde(default)]
    pub label: Option<String>,
    pub cases: Vec<Case>,
    pub settings: Settings,
    pub sessions: Vec<Session>,
}

/// All cases measured in one go.
#[derive(Debug, Deserialize)]
pub struct Session {
    pub id: String,
    pub started: String,
    #[serde(default)]
    pub finished: Option<String>,
    pub program: Program,
    pub environment: Environment,
    #[serde(default)]
    pub ceilings: Option<Ceilings>,
    pub runs: Vec<Run>,
    #[serde(default)]
    pub discarded: Vec<Discarded>,
}

/// Also what a worker of protocol 1 says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Program {
    pub name: String,
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    pub candle_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candle_commit: Option<String>,
}

/// Unknown is empty or 0 where there is no option.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Environment {
    pub gpus: Vec<Gpu>,
    pub driver_version: Option<String>,
    pub cuda_version: Option<String>,
    pub cpu: String,
    pub cpu_cores: u32,
    pub memory_mib: Option<u64>,
    pub os: String,
    pub kernel: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Gpu {
    pub name: String,
    pub memory_mib: u64,
    pub compute_capability: Option<String>,
    pub power_limit_w: Option<f64>,
    pub ecc: Option<bool>,
    pub max_sm_clock_mhz: Option<u32>,
    pub max_memory_clock_mhz: Option<u32>,
}
