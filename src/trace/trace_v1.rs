//! Schema "bench-diff trace 1": what the tracer writes for its process, and what `trace --output` makes of several.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub const SCHEMA: &str = "bench-diff trace 1";

/// What programs did on GPUs, as the tracer saw it: the file of `trace --output`, and what the tracer writes for a process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Trace")]
pub struct File {
    /// "bench-diff trace 1".
    pub schema: String,
    /// Those that initialised CUDA.
    pub processes: Vec<Process>,
}

/// A process that the tracer was in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Its number on its machine.
    pub pid: u32,
    /// The name of its file, without arguments.
    pub program: String,
    /// Where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cupti: Option<Cupti>,
    /// Why nothing could be traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// It ended in good order, so that nothing is missing.
    pub ended: bool,
    /// Records that CUPTI had no room for.
    #[serde(default)]
    pub dropped: u64,
    /// Of kernels, as CUPTI has them; the first is empty and stands for those that had no room.
    #[serde(default)]
    pub names: Vec<String>,
    /// That anything happened in.
    #[serde(default)]
    pub phases: Vec<Phase>,
}

/// The library that the records come from.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Cupti {
    /// As it was found.
    pub library: String,
    /// As CUPTI numbers itself: 18 is CUDA 12.0, 130001 is CUDA 13.0.
    pub version: u32,
}

/// What happened in a phase that somebody told the tracer of; the first has no name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    pub name: String,
    /// Launches of CUDA graphs.
    #[serde(default)]
    pub graph_launches: u64,
    /// That ran kernels.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// By CUPTI's kinds of copies.
    #[serde(default)]
    pub copies: Vec<OfKind>,
    /// Of memory.
    #[serde(default)]
    pub sets: Vec<OfKind>,
    /// By CUPTI's kinds of them.
    #[serde(default)]
    pub synchronizations: Vec<OfKind>,
    /// By CUPTI's kinds of memory.
    #[serde(default)]
    pub allocations: Vec<OfKind>,
    /// Of what was allocated.
    #[serde(default)]
    pub releases: Vec<OfKind>,
    /// By device, name, grid and block.
    #[serde(default)]
    pub kernels: Vec<Kernel>,
    /// What happened one after the other, where somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
}

/// The newest window of a phase, from its begin on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// In the order of their records.
    pub events: Vec<Event>,
    /// How many more there were, which had no room.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

/// A kernel, copy, memory set or synchronisation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    pub what: What,
    /// Of a kernel: its place in the process's `names`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<usize>,
    /// As CUPTI numbers copies and synchronisations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<u32>,
    /// As CUDA numbers it; of synchronisations 0.
    #[serde(default)]
    pub device: u32,
    /// As CUPTI numbers it; of synchronisations 0.
    #[serde(default)]
    pub stream: u32,
    /// In nanoseconds of CUPTI's clock.
    pub start_ns: u64,
    /// How long it took.
    pub ns: u64,
    /// Copied or set.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
    /// Blocks of a kernel in each direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<[u32; 3]>,
    /// Threads of a block in each direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<[u32; 3]>,
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Kernel,
    Copy,
    Set,
    Synchronization,
}

/// When a device ran kernels.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// As CUDA numbers it.
    pub device: u32,
    /// Stretches without a break.
    pub busy: Sum,
    /// Between those of one window of the phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gaps: Option<Sum>,
}

/// Copies, synchronisations or memory of a kind.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OfKind {
    /// As CUDA numbers it.
    pub device: u32,
    /// As CUPTI numbers copies, synchronisations and kinds of memory; 0 for memory sets.
    pub kind: u32,
    #[serde(flatten)]
    pub sum: Sum,
}

/// Calls of a kernel that are alike.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Kernel {
    /// As CUDA numbers it.
    pub device: u32,
    /// Its place in the process's `names`.
    pub name: usize,
    /// Blocks in each direction.
    pub grid: [u32; 3],
    /// Threads of a block in each direction.
    pub block: [u32; 3],
    /// Of a thread.
    #[serde(default)]
    pub registers: u16,
    /// Shared memory of a block, static and dynamic.
    #[serde(default)]
    pub shared_bytes: u64,
    #[serde(flatten)]
    pub sum: Sum,
}

/// Many calls: how many, how long, how large.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Sum {
    /// How many.
    pub calls: u64,
    /// Of all, where bytes are moved, set or allocated.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
    /// Of all, in nanoseconds of the device's clock; of synchronisations, the host's.
    pub total_ns: u64,
    /// The shortest.
    pub min_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// How many took how long: buckets 0 to 7 are so many nanoseconds, and each doubling from 8 on has 8 of equal width.
    #[serde(default)]
    pub buckets: Vec<(u16, u64)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}
