//! The metrics: name, unit, direction and noise threshold belong together and are defined only here.
//!
//! Measuring and comparing share this file and the results format, nothing else.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which direction is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    Higher,
    Lower,
}

/// How values of a metric vary, and so how two sets of them are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Varies from run to run: compared with a t-test.
    Timed,
    /// Deterministic up to allocation granularity: compared by ranges.
    Memory,
}

/// A metric that bench-diff measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The key in results files and on the command line.
    pub name: &'static str,
    /// The heading in tables.
    pub title: &'static str,
    pub unit: &'static str,
    pub better: Better,
    pub kind: Kind,
    /// The smallest relative change worth a word, by default (0.02 is 2%).
    pub margin: f64,
    /// Tested when the caller names no metrics. The others repeat these (`e2e_latency` is mostly decode), and
    /// every test more costs the whole report power.
    pub default: bool,
    pub description: &'static str,
}

/// The noise threshold of metrics that bench-diff doesn't know.
pub const DEFAULT_MARGIN: f64 = 0.02;

const fn timed(
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    better: Better,
    description: &'static str,
) -> Metric {
    Metric { name, title, unit, better, kind: Kind::Timed, margin: DEFAULT_MARGIN, default: false, description }
}

pub const DECODE_THROUGHPUT: Metric = Metric {
    default: true,
    ..timed(
        "decode_throughput",
        "decode",
        "tok/s",
        Better::Higher,
        "generated tokens after the first, per second of decoding",
    )
};
pub const TTFT: Metric = Metric {
    default: true,
    ..timed("ttft", "TTFT", "ms", Better::Lower, "time to first token: from the request to the first generated token")
};
pub const ITL_P99: Metric = Metric {
    default: true,
    margin: 0.05,
    ..timed("itl_p99", "ITL p99", "ms", Better::Lower, "99th percentile of the gaps between generated tokens")
};
pub const ITL_P50: Metric = timed("itl_p50", "ITL p50", "ms", Better::Lower, "median gap between generated tokens");
pub const TPOT: Metric =
    timed("tpot", "TPOT", "ms", Better::Lower, "time per output token: (e2e latency - TTFT) / (generated tokens - 1)");
pub const PREFILL_THROUGHPUT: Metric =
    timed("prefill_throughput", "prefill", "tok/s", Better::Higher, "prompt tokens per second of prefill");
pub const E2E_LATENCY: Metric =
    timed("e2e_latency", "e2e latency", "ms", Better::Lower, "from the request to the last generated token");
pub const SPEED: Metric = timed(
    "speed",
    "speed",
    "tok/s",
    Better::Higher,
    "generated tokens / (prefill + decode) time: the speed of Qwen's published Speed Benchmark",
);
pub const ENERGY: Metric = timed(
    "energy_per_token",
    "energy",
    "J/tok",
    Better::Lower,
    "energy the device used while generating, per generated token",
);
pub const PEAK_MEMORY: Metric = Metric {
    kind: Kind::Memory,
    margin: 0.01,
    default: true,
    ..timed(
        "peak_memory",
        "peak memory",
        "MiB",
        Better::Lower,
        "most memory the process held on the device (resident memory on a CPU)",
    )
};
pub const ALLOCATED_MEMORY: Metric = Metric {
    kind: Kind::Memory,
    margin: 0.01,
    default: true,
    ..timed("allocated_memory", "allocated", "MiB", Better::Lower, "most memory in use inside the allocator")
};

/// Every metric, in the order of tables.
pub const METRICS: [Metric; 11] = [
    DECODE_THROUGHPUT,
    TTFT,
    ITL_P99,
    PEAK_MEMORY,
    ALLOCATED_MEMORY,
    ITL_P50,
    TPOT,
    PREFILL_THROUGHPUT,
    E2E_LATENCY,
    SPEED,
    ENERGY,
];

/// The metric of that name, if bench-diff measures it.
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// A metric's name in a results file: known ones borrow from [`METRICS`], so that millions of samples stay small.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct MetricName(Cow<'static, str>);

impl MetricName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for MetricName {
    fn from(name: &str) -> Self {
        Self(match find(name) {
            Some(metric) => Cow::Borrowed(metric.name),
            None => Cow::Owned(name.to_owned()),
        })
    }
}

impl From<&Metric> for MetricName {
    fn from(metric: &Metric) -> Self {
        Self(Cow::Borrowed(metric.name))
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for MetricName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = MetricName;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a metric's name")
            }
            fn visit_str<E>(self, name: &str) -> Result<MetricName, E> {
                Ok(MetricName::from(name))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}
