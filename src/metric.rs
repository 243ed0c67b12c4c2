//! The metrics: name, unit, direction and noise threshold belong together and are defined only here.
//!
//! Measuring and comparing share this file and the results format, nothing else.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::Share;

/// Which direction is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better, as of a throughput.
    Higher,
    /// Less is better, as of a time.
    Lower,
}

impl Better {
    /// As files and tables have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
        }
    }
}

/// How values of a metric vary, and so how two sets of them are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Varies from run to run: compared with a t-test.
    Timed,
    /// Deterministic up to allocation granularity: compared by ranges.
    Memory,
}

/// What there is to know about a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Definition {
    /// The key in results files and on the command line.
    pub name: &'static str,
    /// The heading in tables.
    pub title: &'static str,
    /// Of its values, such as `ms`.
    pub unit: &'static str,
    /// Which direction is good.
    pub better: Better,
    /// How its values vary.
    pub kind: Kind,
    /// The smallest relative change worth reporting, by default.
    pub noise_threshold: Share,
    /// Tested when the caller names no metrics. The others repeat these (`e2e_latency` is mostly decode), and
    /// every further test makes all others weaker.
    pub default: bool,
    /// Metrics that largely make this one up: when one of them changes, this one does.
    pub follows: &'static [Metric],
}

/// The noise threshold of metrics that bench-diff doesn't know.
pub const DEFAULT_NOISE_THRESHOLD: Share = Share::new(0.02);

/// Declares the metrics, with everything about each in one place. Measuring matches them exhaustively.
macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $metric:ident = $definition:expr;)+) => {
        /// A metric that bench-diff measures.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric { $($(#[doc = $doc])+ $metric),+ }

        impl Metric {
            /// Every metric, in the order of tables.
            pub const ALL: &[Self] = &[$(Self::$metric),+];

            const DEFINITIONS: &[Definition] = &[$($definition),+];

            const MEANINGS: &[&str] = &[$(concat!($($doc),+)),+];
        }
    };
}

metrics! {
    /// Generated tokens after the first, per second of decoding.
    DecodeThroughput = tested(timed("decode_throughput", "decode", "tok/s", Better::Higher));
    /// Time to first token: from the request to the first token.
    Ttft = tested(timed("ttft", "TTFT", "ms", Better::Lower));
    /// Of requests in flight: generated tokens per second.
    OutputThroughput = tested(timed("output_throughput", "output", "tok/s", Better::Higher));
    /// Of requests in flight: 99th percentile of TTFT.
    TtftP99 = Definition { noise_threshold: Share::new(0.05), ..tested(timed("ttft_p99", "TTFT p99", "ms", Better::Lower)) };
    /// 99th percentile of the gaps between generated tokens.
    ItlP99 = Definition { noise_threshold: Share::new(0.05), ..tested(of_decode("itl_p99", "ITL p99", "ms", Better::Lower)) };
    /// Most memory held on the device (resident memory on a CPU).
    PeakMemory = memory("peak_memory", "peak memory");
    /// Most memory in use inside the allocator.
    AllocatedMemory = memory("allocated_memory", "allocated");
    /// Median gap between generated tokens.
    ItlP50 = of_decode("itl_p50", "ITL p50", "ms", Better::Lower);
    /// Time per output token: (e2e_latency - ttft) / (tokens - 1).
    Tpot = of_decode("tpot", "TPOT", "ms", Better::Lower);
    /// Prompt tokens per second of prefill.
    PrefillThroughput = following(&[Metric::Ttft], timed("prefill_throughput", "prefill", "tok/s", Better::Higher));
    /// From the request to the last generated token.
    E2eLatency = following(BOTH_PHASES, timed("e2e_latency", "e2e latency", "ms", Better::Lower));
    /// Tokens / (prefill + decode) time, as Qwen's Speed Benchmark.
    Speed = following(BOTH_PHASES, timed("speed", "speed", "tok/s", Better::Higher));
    /// Of requests in flight: how many end per second.
    RequestThroughput = under_load("request_throughput", "requests", "req/s", Better::Higher);
    /// Of requests in flight: median TTFT.
    TtftP50 = following(&[Metric::TtftP99], timed("ttft_p50", "TTFT p50", "ms", Better::Lower));
    /// Of requests in flight: 90th percentile of TTFT.
    TtftP90 = following(&[Metric::TtftP99], timed("ttft_p90", "TTFT p90", "ms", Better::Lower));
    /// Of requests in flight: 90th percentile of all gaps.
    ItlP90 = under_load("itl_p90", "ITL p90", "ms", Better::Lower);
    /// Of requests in flight: median of the e2e latency.
    E2eP50 = under_load("e2e_latency_p50", "e2e p50", "ms", Better::Lower);
    /// Of requests in flight: 90th percentile of the e2e latency.
    E2eP90 = under_load("e2e_latency_p90", "e2e p90", "ms", Better::Lower);
    /// Of requests in flight: 99th percentile of the e2e latency.
    E2eP99 = under_load("e2e_latency_p99", "e2e p99", "ms", Better::Lower);
    /// Tokens of a whole batch / (prefill + decode) time.
    BatchThroughput = following(BOTH_PHASES, timed("batch_throughput", "batch", "tok/s", Better::Higher));
    /// Energy that the device used, per generated token.
    Energy = timed("energy_per_token", "energy", "J/tok", Better::Lower);
}

const fn timed(name: &'static str, title: &'static str, unit: &'static str, better: Better) -> Definition {
    Definition {
        name,
        title,
        unit,
        better,
        kind: Kind::Timed,
        noise_threshold: DEFAULT_NOISE_THRESHOLD,
        default: false,
        follows: &[],
    }
}

/// What a request's time is made of.
const BOTH_PHASES: &[Metric] = &[Metric::DecodeThroughput, Metric::Ttft];

const fn following(follows: &'static [Metric], definition: Definition) -> Definition {
    Definition { follows, ..definition }
}

const fn of_decode(name: &'static str, title: &'static str, unit: &'static str, better: Better) -> Definition {
    following(&[Metric::DecodeThroughput], timed(name, title, unit, better))
}

/// Largely the throughput of all requests.
const fn under_load(name: &'static str, title: &'static str, unit: &'static str, better: Better) -> Definition {
    following(&[Metric::OutputThroughput], timed(name, title, unit, better))
}

const fn memory(name: &'static str, title: &'static str) -> Definition {
    Definition {
        kind: Kind::Memory,
        noise_threshold: Share::new(0.01),
        ..tested(timed(name, title, "MiB", Better::Lower))
    }
}

/// Tested by default.
const fn tested(definition: Definition) -> Definition {
    Definition { default: true, ..definition }
}

impl Metric {
    /// All that there is to know about it.
    pub fn definition(self) -> &'static Definition {
        &Self::DEFINITIONS[self as usize]
    }

    /// The key in results files and on the command line.
    pub fn name(self) -> &'static str {
        self.definition().name
    }

    /// One sentence, for help.
    pub fn meaning(self) -> &'static str {
        Self::MEANINGS[self as usize].trim().trim_end_matches('.')
    }
}

/// The metric of that name, if bench-diff measures it.
pub fn find(name: &str) -> Option<Metric> {
    Metric::ALL.iter().copied().find(|metric| metric.name() == name)
}

/// The metric that tables head so, in any case: `decode`, `ttft`, `ITL p99`.
pub fn titled(title: &str) -> Option<Metric> {
    Metric::ALL.iter().copied().find(|metric| metric.definition().title.eq_ignore_ascii_case(title))
}

/// A metric's name in a results file: known ones borrow from their definitions, so that millions of samples stay small.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct MetricName(Cow<'static, str>);

impl MetricName {
    /// As results files have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The metric, if bench-diff measures it.
    pub fn known(&self) -> Option<Metric> {
        find(&self.0)
    }
}

impl From<&str> for MetricName {
    fn from(name: &str) -> Self {
        Self(match find(name) {
            Some(metric) => Cow::Borrowed(metric.name()),
            None => Cow::Owned(name.to_owned()),
        })
    }
}

impl From<Metric> for MetricName {
    fn from(metric: Metric) -> Self {
        Self(Cow::Borrowed(metric.name()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_found_by_its_name_and_documented() {
        let documentation = include_str!("../docs/measuring.md");
        for &metric in Metric::ALL {
            assert_eq!(find(metric.name()), Some(metric), "names are different");
            assert!(documentation.contains(&format!("`{}`", metric.name())), "{}", metric.name());
        }
    }
}
