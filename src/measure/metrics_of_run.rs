//! From the times of one generation to the values of its metrics. Pure arithmetic; the units are the metrics'.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::generated::{Alone, Generated, Sorted};
use super::seen::{CardSeen, Seen};
use crate::case::Case;
use crate::device::memory::MIB;
use crate::engine::{Generation, Loaded};
use crate::hex::hex;
use crate::metric::{Metric, MetricName};
use crate::results::distribution::significant;
use crate::results::{CardState, Ceilings, Distribution, Measurement, Roofline};
use crate::stats;

/// Bytes of the token hash that are kept: plenty against accidents, and half the room in a baseline.
const HASH_BYTES: usize = 16;

/// The measured generations of a run, and all that was seen around them.
pub struct Sampled<'a> {
    /// What was measured.
    pub case: &'a Case,
    /// The measured ones.
    pub generated: &'a Generated,
    /// What was seen of the devices.
    pub seen: Seen,
    /// The allocator's peak, if it reports one.
    pub allocated_bytes: Option<u64>,
    /// The model is in a process that was there before and stays.
    pub shared_process: bool,
    /// What loading found out.
    pub loaded: &'a Loaded,
    /// What the device can do at most; absent where that is unknown or means nothing.
    pub ceilings: Option<&'a Ceilings>,
    /// Its tokens were drawn, not the likeliest.
    pub is_sampled: bool,
}

impl Sampled<'_> {
    /// The measurement, and every gap between tokens in ms.
    pub fn measurement(self) -> (Measurement, Vec<f64>) {
        let gaps: Vec<f64> = self.generated.all().flat_map(gaps_ms).collect();
        let measurement = Measurement {
            metrics: self.metrics(&gaps),
            itl: Distribution::of(&gaps),
            token_hash: self.generated.tokens().map(token_hash),
            implementation: self.loaded.implementation.clone(),
            program: self.loaded.program.clone(),
            clock: self.generated.all().next().map(|generation| generation.clock.into()),
            roofline: self.ceilings.and_then(|ceilings| self.roofline(ceilings)),
            shared_process: self.shared_process,
            load_ms: self.loaded.load_seconds.map(|seconds| significant(seconds * 1e3)),
            warnings: self.warnings(),
            by_card: by_card(self.seen.by_card),
            device: self.seen.device,
        };
        (measurement, gaps)
    }

    /// Greedy decoding gives the same tokens every time, unless something is wrong.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.loaded.warnings.clone();
        if self.generated.tokens_differ() && !self.is_sampled {
            warnings.push("the generations of one run gave different tokens".to_owned());
        }
        warnings.extend(self.seen.unused());
        // Of a seed protocol the whole is timed, and nothing is said of gaps.
        let merged = self.generated.all().flat_map(|generation| &generation.chunks).any(|chunk| chunk.tokens > 1);
        if merged && !self.is_sampled {
            warnings
                .push("tokens came several at a time: itl is the gap between arrivals, not between tokens".to_owned());
        }
        warnings
    }

    fn metrics(&self, gaps: &[f64]) -> BTreeMap<MetricName, f64> {
        let sequences = f64::from(self.case.batch_size.max(1));
        let mib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / MIB as f64);
        let gaps = Sorted::of(gaps.iter().copied());
        // Each metric is of one of them: the other has no value for it.
        let (alone, together) = (self.generated.alone(), self.generated.together());

        let value = |metric: Metric| match metric {
            Metric::Ttft => alone.as_ref().map(|alone| alone.prefill * 1e3),
            Metric::PrefillThroughput => {
                alone.as_ref().map(|alone| f64::from(self.case.context_length) / alone.prefill)
            }
            Metric::DecodeThroughput => alone.as_ref().and_then(Alone::decode_throughput),
            Metric::Tpot => alone.as_ref().and_then(Alone::tpot_ms),
            Metric::E2eLatency => alone.as_ref().map(|alone| alone.end_to_end * 1e3),
            Metric::Speed => alone.as_ref().map(Alone::speed),
            Metric::BatchThroughput => alone.as_ref().filter(|_| sequences > 1.0).map(|it| sequences * it.speed()),
            Metric::OutputThroughput => together.as_ref()?.tokens_per_second,
            Metric::RequestThroughput => together.as_ref()?.requests_per_second,
            Metric::TtftP50 => together.as_ref()?.ttft_ms.at(0.5),
            Metric::TtftP90 => together.as_ref()?.ttft_ms.at(0.9),
            Metric::TtftP99 => together.as_ref()?.ttft_ms.at(0.99),
            Metric::E2eP50 => together.as_ref()?.end_to_end_ms.at(0.5),
            Metric::E2eP90 => together.as_ref()?.end_to_end_ms.at(0.9),
            Metric::E2eP99 => together.as_ref()?.end_to_end_ms.at(0.99),
            Metric::ItlP90 => together.as_ref().and_then(|_| gaps.at(0.9)),
            Metric::ItlP50 => gaps.at(0.5),
            Metric::ItlP99 => gaps.at(0.99),
            Metric::Energy => self.seen.energy_j.map(|joules| joules / (sequences * self.generated.tokens_in_all())),
            Metric::PeakMemory => mib(self.seen.peak_bytes),
            Metric::AllocatedMemory => mib(self.allocated_bytes),
        };
        let known = Metric::ALL.iter().filter_map(|&metric| Some((metric, value(metric)?)));
        // A clock that stood still would give infinite speeds: that isn't a measurement.
        known.filter(|(_, v)| v.is_finite() && *v > 0.0).map(|(m, v)| (MetricName::from(m), significant(v))).collect()
    }

    /// Decoding is bound by the bytes it must read, prefill by its operations, or, of a short prompt, by the weights it must
    /// read: how close to the limits of the device, or of as many as work at the same time?
    fn roofline(&self, ceilings: &Ceilings) -> Option<Roofline> {
        let Alone { prefill, decode, tokens: generated, after_first_chunk: steps, .. } = self.generated.alone()?;
        let costs = self.loaded.costs?;
        let context = f64::from(self.case.context_length);
        // Step i of 1..generated-1 reads context + i tokens of the cache: context + generated / 2 on average.
        let step_bytes =
            costs.decode_weight_bytes as f64 + costs.kv_bytes_per_token as f64 * (context + generated / 2.0);
        let operations =
            costs.flops_per_token as f64 * context + costs.attention_flops_per_token_squared as f64 * context * context;
        let reading = |bytes: f64| bytes / (f64::from(costs.decode_cards) * ceilings.bandwidth_gb_s * 1e9);
        let computing = operations / (f64::from(costs.prefill_cards) * ceilings.matmul_tflop_s * 1e12);
        let share = |value: f64| (value.is_finite() && value > 0.0).then(|| significant(value));
        let roofline = Roofline {
            decode: share(reading(step_bytes) * steps / decode),
            prefill: share(computing.max(reading(costs.decode_weight_bytes as f64)) / prefill),
        };
        (roofline.decode.is_some() || roofline.prefill.is_some()).then_some(roofline)
    }
}

/// What the programs of Qwen's Speed Benchmark tell of their generations: a rate of the tokens that were asked for, be they
/// there or not, the time of the whole, and memory where it was seen. Several generations count by their mean.
pub fn as_the_program_counts(sampled: Sampled) -> Measurement {
    let wanted = f64::from(sampled.case.generated_length);
    let seconds: Vec<f64> = sampled.generated.all().map(|it| it.end_to_end.as_secs_f64()).collect();
    let counts: Vec<usize> = sampled.generated.all().map(Generation::count).collect();
    let rates: Vec<f64> = seconds.iter().map(|seconds| wanted / seconds).collect();
    let (mut measurement, _) = sampled.measurement();
    let told = [Metric::AllocatedMemory, Metric::Speed, Metric::E2eLatency].map(MetricName::from);
    measurement.metrics.retain(|name, _| told.contains(name));
    for (metric, value) in
        [(Metric::Speed, stats::mean(&rates)), (Metric::E2eLatency, stats::mean(&seconds).map(|seconds| seconds * 1e3))]
    {
        measurement.metrics.extend(value.filter(|it| it.is_finite()).map(|it| (metric.into(), significant(it))));
    }
    let early = counts.iter().find(|count| (**count as f64) < wanted);
    measurement.warnings.extend(early.map(|count| {
        format!("it ended after {count} of {wanted} tokens, and its speed counts all {wanted}, as the program does")
    }));
    // Sampled tokens say nothing about whether the output changed, and nobody timed single ones.
    Measurement { itl: None, token_hash: None, roofline: None, ..measurement }
}

/// One card is all of them, told already.
fn by_card(cards: Vec<CardSeen>) -> Vec<CardState> {
    if cards.len() > 1 { cards.into_iter().map(CardState::from).collect() } else { Vec::new() }
}

/// Between chunks, as vLLM's benchmark and others count them: what came at once is one arrival, not gaps of 0, and a gap
/// isn't divided among the tokens that end it.
fn gaps_ms(generation: &Generation) -> Vec<f64> {
    generation.chunks.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at).as_nanos() as f64 / 1e6).collect()
}

/// The first half of the SHA-256 of the ids as little-endian 32-bit words, in hex.
fn token_hash(tokens: &[u32]) -> String {
    let mut hash = Sha256::new();
    for token in tokens {
        hash.update(token.to_le_bytes());
    }
    hex(&hash.finalize()[..HASH_BYTES])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::case;
    use super::*;
    use crate::case::Clock;
    use crate::device::CardId;
    use crate::engine::{Chunk, Costs};
    use crate::results::DeviceState;

    #[test]
    fn cards_are_told_apart_where_there_are_several() {
        let card = |uuid: &str, mib: u64| CardSeen {
            card: CardId { index: None, uuid: uuid.to_owned(), name: String::new() },
            peak_bytes: Some(mib << 20),
            energy_j: None,
            state: DeviceState { power_w: Some(300.0), ..DeviceState::default() },
        };
        assert_eq!(by_card(vec![card("GPU-1", 5)]), []);
        let told = by_card(vec![card("GPU-1", 5), card("GPU-2", 7)]);
        let told: Vec<_> = told.iter().map(|card| (card.uuid.as_str(), card.peak_memory_mib, card.energy_j)).collect();
        assert_eq!(told, [("GPU-1", Some(5.0), None), ("GPU-2", Some(7.0), None)]);
    }

    /// 100 prompt tokens in 200 ms, then gaps of 10, 10, 10 and 30 ms, and 5 ms until the end.
    fn generation() -> Generation {
        let times = [200, 210, 220, 230, 260];
        let times = times.map(Duration::from_millis).to_vec();
        Generation::by_token(vec![1, 2, 3, 4, 5], times, Clock::Device, Duration::from_millis(265))
    }

    fn measure(case: &Case, generation: &Generation, loaded: &Loaded, ceilings: Option<&Ceilings>) -> Measurement {
        let seen = Seen { peak_bytes: Some(3 << 20), energy_j: Some(10.0), ..Seen::default() };
        let generated = &Generated::Alone(vec![generation.clone()]);
        let (shared_process, is_sampled) = (false, false);
        Sampled { case, generated, shared_process, seen, allocated_bytes: None, loaded, ceilings, is_sampled }
            .measurement()
            .0
    }

    #[test]
    fn several_generations_count_by_their_medians() {
        let slower = |factor: u32| {
            let mut generation = generation();
            generation.chunks.iter_mut().for_each(|chunk| chunk.at *= factor);
            Generation { end_to_end: generation.end_to_end * factor, ..generation }
        };
        let generated = Generated::Alone(vec![slower(1), slower(5), slower(2)]);
        let (case, loaded) = (case(100, 5), Loaded::default());
        let sampled = |generated| Sampled {
            case: &case,
            generated,
            shared_process: false,
            seen: Seen { energy_j: Some(30.0), ..Seen::default() },
            allocated_bytes: None,
            loaded: &loaded,
            ceilings: None,
            is_sampled: false,
        };
        let measurement = sampled(&generated).measurement().0;
        let value = |metric: Metric| measurement.metrics.get(&MetricName::from(metric)).copied();
        assert_eq!(value(Metric::Ttft), Some(400.0));
        assert_eq!(value(Metric::Tpot), Some(32.5)); // 2 x 65 / 4
        assert_eq!(value(Metric::ItlP50), Some(25.0)); // of 3 x 10, 3 x 20, 30, 3 x 50, 60, 150
        assert_eq!(value(Metric::Energy), Some(2.0), "30 J for 3 x 5 tokens");
        assert_eq!(measurement.warnings, Vec::<String>::new());
        let other = Generation { tokens: Some(vec![9; 5]), ..generation() };
        let warnings = sampled(&Generated::Alone(vec![generation(), other])).measurement().0.warnings;
        assert_eq!(warnings, ["the generations of one run gave different tokens"]);
    }

    #[test]
    fn metrics_follow_their_definitions() {
        let measurement = measure(&case(100, 5), &generation(), &Loaded::default(), None);
        let value = |metric: Metric| measurement.metrics.get(&MetricName::from(metric)).copied();
        assert_eq!(value(Metric::Ttft), Some(200.0));
        assert_eq!(value(Metric::PrefillThroughput), Some(500.0)); // 100 / 0.2
        assert_eq!(value(Metric::DecodeThroughput), Some(66.6667)); // 4 / 0.060
        assert_eq!(value(Metric::Tpot), Some(16.25)); // 65 / 4
        assert_eq!(value(Metric::E2eLatency), Some(265.0));
        assert_eq!(value(Metric::Speed), Some(18.8679)); // 5 / 0.265
        assert_eq!(value(Metric::ItlP50), Some(10.0));
        assert_eq!(value(Metric::ItlP99), Some(29.4)); // position 2.97 of 10 10 10 30
        assert_eq!(value(Metric::Energy), Some(2.0));
        assert_eq!(value(Metric::PeakMemory), Some(3.0));
        assert_eq!(value(Metric::AllocatedMemory), None, "unknown is absent, not zero");
    }

    #[test]
    fn one_token_has_no_decode_metrics() {
        let time = Duration::from_millis(20);
        let one = Generation::by_token(vec![7], vec![time], Clock::Host, time);
        let measurement = measure(&case(1, 1), &one, &Loaded::default(), None);
        let names: Vec<&str> = measurement.metrics.keys().map(MetricName::as_str).collect();
        assert_eq!(names, ["e2e_latency", "energy_per_token", "peak_memory", "prefill_throughput", "speed", "ttft"]);
        assert_eq!(measurement.itl, None);
    }

    /// 2 tokens after 200 ms, 3 more 30 ms later, the last one 10 ms after them; ids unknown.
    fn chunked() -> Generation {
        let chunk = |tokens, at| Chunk { tokens, at: Duration::from_millis(at) };
        Generation {
            tokens: None,
            chunks: vec![chunk(2, 200), chunk(3, 230), chunk(1, 240)],
            clock: Clock::Client,
            end_to_end: Duration::from_millis(245),
        }
    }

    #[test]
    fn tokens_that_come_together_are_one_arrival() {
        let measurement = measure(&case(100, 6), &chunked(), &Loaded::default(), None);
        let value = |metric: Metric| measurement.metrics.get(&MetricName::from(metric)).copied();
        assert_eq!(value(Metric::Ttft), Some(200.0));
        assert_eq!(value(Metric::DecodeThroughput), Some(100.0), "4 tokens after the first chunk in 40 ms");
        assert_eq!(value(Metric::Tpot), Some(9.0), "45 ms for 5 tokens after the first");
        assert_eq!(value(Metric::ItlP50), Some(20.0), "of 30 and 10 ms");
        assert_eq!(value(Metric::Speed), Some(significant(6.0 / 0.245)));
        assert_eq!((measurement.token_hash, measurement.clock), (None, Some(Clock::Client.into())));
        assert_eq!(measurement.warnings.len(), 1, "{:?}", measurement.warnings);
    }

    #[test]
    fn all_tokens_at_once_have_no_decode_metrics() {
        let chunk = Chunk { tokens: 6, at: Duration::from_millis(200) };
        let all = Generation { chunks: vec![chunk], end_to_end: chunk.at, ..chunked() };
        let metrics = measure(&case(100, 6), &all, &Loaded::default(), None).metrics;
        let names: Vec<&str> = metrics.keys().map(MetricName::as_str).collect();
        assert_eq!(names, ["e2e_latency", "energy_per_token", "peak_memory", "prefill_throughput", "speed", "ttft"]);
    }

    #[test]
    fn a_generation_is_checked_before_it_counts() {
        assert!(chunked().check(6).is_ok());
        assert_eq!(chunked().check(7).unwrap_err().to_string(), "the engine gave 6 tokens instead of 7");
        let ids = Generation { tokens: Some(vec![1]), ..chunked() };
        assert_eq!(ids.check(6).unwrap_err().to_string(), "the engine gave times for 6 tokens and ids for 1");
        let backwards = Generation { chunks: chunked().chunks.into_iter().rev().collect(), ..chunked() };
        assert!(backwards.check(6).is_err());
    }

    #[test]
    fn the_roofline_counts_the_cache_at_its_length() {
        let costs = Costs {
            decode_weight_bytes: 1_000_000,
            kv_bytes_per_token: 100,
            flops_per_token: 2_000_000,
            attention_flops_per_token_squared: 1_000,
            decode_cards: 1,
            prefill_cards: 1,
        };
        let loaded = Loaded { costs: Some(costs), ..Loaded::default() };
        let ceilings = Ceilings { bandwidth_gb_s: 1.0, matmul_tflop_s: 0.01 };
        let roofline = measure(&case(100, 5), &generation(), &loaded, Some(&ceilings)).roofline.unwrap();
        // Cache lengths 101..=104: 4 * 1e6 + 100 * 410 bytes in 60 ms at 1e9 bytes/s.
        assert_eq!(roofline.decode, Some(significant(4_041_000.0 / 0.060 / 1e9)));
        // 2e6 * 100 + 1e3 * 1e4 operations in 200 ms at 1e10 a second.
        assert_eq!(roofline.prefill, Some(0.105));
        // 2e6 operations take less than reading 1e6 bytes at 1e9 bytes/s, in 200 ms.
        let roofline = measure(&case(1, 5), &generation(), &loaded, Some(&ceilings)).roofline.unwrap();
        assert_eq!(roofline.prefill, Some(0.005));
        // Of two cards one reads at a time, whatever the prompt, and both can work on a long one.
        let loaded = Loaded { costs: Some(Costs { prefill_cards: 2, ..costs }), ..Loaded::default() };
        let long = measure(&case(100, 5), &generation(), &loaded, Some(&ceilings)).roofline.unwrap();
        assert_eq!((long.decode, long.prefill), (Some(significant(4_041_000.0 / 0.060 / 1e9)), Some(0.0525)));
        let short = measure(&case(1, 5), &generation(), &loaded, Some(&ceilings)).roofline.unwrap();
        assert_eq!(short.prefill, Some(0.005));
    }

    #[test]
    fn a_run_keeps_how_long_its_process_took_to_load() {
        let of = |load_seconds| {
            let loaded = Loaded { load_seconds, ..Loaded::default() };
            measure(&case(100, 5), &generation(), &loaded, None).load_ms
        };
        assert_eq!((of(Some(1.25)), of(None)), (Some(1250.0), None));
    }

    #[test]
    fn other_tokens_have_another_hash() {
        // printf '\1\0\0\0\2\0\0\0' | sha256sum
        assert_eq!(token_hash(&[1, 2]), "34fb5c825de7ca4aea6e712f19d439c1");
        assert_ne!(token_hash(&[1, 2]), token_hash(&[2, 1]));
    }
}
