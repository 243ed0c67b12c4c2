//! Schema "bench-diff trace 1": what the tracer writes for its process, and what `trace --output` makes of several.

use serde::{Deserialize, Serialize};

pub const SCHEMA: &str = "bench-diff trace 1";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct File {
    pub schema: String,
    pub processes: Vec<Process>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    pub program: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cupti: Option<Cupti>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    pub ended: bool,
    #[serde(default)]
    pub dropped: u64,
    #[serde(default)]
    pub names: Vec<String>,
    #[serde(default)]
    pub phases: Vec<Phase>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cupti {
    pub library: String,
    pub version: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Phase {
    pub name: String,
    #[serde(default)]
    pub graph_launches: u64,
    #[serde(default)]
    pub devices: Vec<Device>,
    #[serde(default)]
    pub copies: Vec<OfKind>,
    #[serde(default)]
    pub sets: Vec<OfKind>,
    #[serde(default)]
    pub synchronizations: Vec<OfKind>,
    #[serde(default)]
    pub allocations: Vec<OfKind>,
    #[serde(default)]
    pub releases: Vec<OfKind>,
    #[serde(default)]
    pub kernels: Vec<Kernel>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    pub device: u32,
    pub busy: Sum,
    #[serde(default)]
    pub gaps: Option<Sum>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OfKind {
    pub device: u32,
    pub kind: u32,
    #[serde(flatten)]
    pub sum: Sum,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kernel {
    pub device: u32,
    /// Its place in the process's `names`.
    pub name: usize,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    #[serde(default)]
    pub registers: u16,
    #[serde(default)]
    pub shared_bytes: u64,
    #[serde(flatten)]
    pub sum: Sum,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sum {
    pub calls: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
    pub total_ns: u64,
    pub min_ns: u64,
    pub max_ns: u64,
    #[serde(default)]
    pub buckets: Vec<(u16, u64)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}
