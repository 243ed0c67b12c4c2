//! A trace as numbers to show: kernels by their total time, and what there was beside them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::part::{Kernel, Kind, Part, Shape};
use super::sum::Sum;

/// What `trace` shows, and prints as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Numbers {
    /// The longest together first.
    pub kernels: Vec<KernelRow>,
    pub beside: Vec<BesideRow>,
    /// Of all kernels: launches, and milliseconds; those that run at the same time count each.
    pub launches: u64,
    pub kernel_ms: f64,
    /// Devices of processes; the times below are sums over them.
    pub devices: usize,
    /// From the first kernel to the last, how long any ran, and how long none.
    pub span_ms: f64,
    pub busy_ms: f64,
    pub no_kernel_ms: f64,
    pub gaps: u64,
    pub longest_gap_ms: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelRow {
    pub name: String,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub registers: u16,
    pub shared_bytes: u64,
    pub calls: u64,
    pub total_ms: f64,
    /// Of the time of all kernels.
    pub share: f64,
    pub mean_us: f64,
    pub min_us: f64,
    pub median_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
}

/// Copies of a kind, say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BesideRow {
    pub what: Beside,
    /// In words, or as CUPTI numbers it.
    pub kind: Option<String>,
    pub calls: u64,
    pub bytes: u64,
    /// Where they take time.
    pub total_ms: Option<f64>,
    /// Bytes of that time, in GB/s.
    pub bandwidth_gb_s: Option<f64>,
}

/// What a program does beside kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Beside {
    /// Bytes copied, of a direction.
    Copy,
    /// Memory that is set.
    Set,
    /// The host waits for the device.
    Synchronization,
    /// Memory that is allocated.
    Allocation,
    /// Memory that is given back.
    Release,
    /// A CUDA graph is launched.
    GraphLaunch,
}

impl Numbers {
    pub fn of(part: &Part) -> Self {
        let kernel_ms = part.kernel_ms();
        let mut kernels: Vec<KernelRow> =
            part.kernels.iter().map(|(shape, kernel)| KernelRow::of(shape, kernel, kernel_ms)).collect();
        kernels.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms));
        Self {
            kernels,
            beside: beside(part),
            launches: part.launches(),
            kernel_ms,
            devices: part.devices.len(),
            span_ms: part.span_ms(),
            busy_ms: part.busy.total_ms(),
            no_kernel_ms: part.gaps.total_ms(),
            gaps: part.gaps.calls,
            longest_gap_ms: part.gaps.max_ns as f64 / 1e6,
        }
    }
}

impl KernelRow {
    fn of(shape: &Shape, kernel: &Kernel, all_ms: f64) -> Self {
        let (Shape { name, grid, block }, Kernel { sum, registers, shared_bytes }) = (shape, kernel);
        Self {
            name: name.clone(),
            grid: *grid,
            block: *block,
            registers: *registers,
            shared_bytes: *shared_bytes,
            calls: sum.calls,
            total_ms: sum.total_ms(),
            share: if all_ms > 0.0 { sum.total_ms() / all_ms } else { 0.0 },
            mean_us: sum.mean_us(),
            min_us: sum.min_ns as f64 / 1e3,
            median_us: sum.quantile_us(0.5),
            p99_us: sum.quantile_us(0.99),
            max_us: sum.max_ns as f64 / 1e3,
        }
    }
}

pub(super) fn beside(part: &Part) -> Vec<BesideRow> {
    let mut rows = of_kinds(Beside::Copy, Kind::Copy, &part.copies, true);
    if part.sets.calls > 0 {
        rows.push(BesideRow::of(Beside::Set, None, &part.sets, true));
    }
    rows.extend(of_kinds(Beside::Synchronization, Kind::Synchronization, &part.synchronizations, true));
    rows.extend(of_kinds(Beside::Allocation, Kind::Memory, &part.allocations, false));
    rows.extend(of_kinds(Beside::Release, Kind::Memory, &part.releases, false));
    if part.graph_launches > 0 {
        let launches = Sum { calls: part.graph_launches, ..Sum::default() };
        rows.push(BesideRow::of(Beside::GraphLaunch, None, &launches, false));
    }
    rows
}

fn of_kinds(what: Beside, kind: fn(u32) -> Kind, sums: &BTreeMap<u32, Sum>, timed: bool) -> Vec<BesideRow> {
    sums.iter().map(|(number, sum)| BesideRow::of(what, Some(kind(*number)), sum, timed)).collect()
}

impl BesideRow {
    fn of(what: Beside, kind: Option<Kind>, sum: &Sum, timed: bool) -> Self {
        let kind = kind.map(|kind| kind.words().map_or_else(|| format!("of kind {}", kind.number()), str::to_owned));
        let total_ms = timed.then(|| sum.total_ms());
        let moved = total_ms.filter(|ms| *ms > 0.0 && sum.bytes > 0);
        let bandwidth_gb_s = moved.map(|ms| sum.bytes as f64 / ms / 1e6);
        Self { what, kind, calls: sum.calls, bytes: sum.bytes, total_ms, bandwidth_gb_s }
    }
}
