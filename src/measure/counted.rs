//! What a trace of a case's generations comes to.

use super::traced::Phase;
use crate::results::{Counted, CountedPair, Counter, Counts};
use crate::trace::{Part, Sum, Trace};

/// CUPTI's kinds of copies.
const TO_DEVICE: u32 = 1;
const TO_HOST: u32 = 2;
const ON_DEVICE: u32 = 8;

/// Of the case at that place, whose longer generations have so many tokens. A phase that the trace lacks is one in which the
/// GPU did nothing.
pub fn counted(trace: &Trace, place: usize, repeats: u32, tokens: u32) -> Counted {
    let part = |phase: Phase, repeat| trace.part(Some(&phase.name(place, repeat))).unwrap_or_default();
    let pair = |repeat| {
        let (one, all) = (part(Phase::OneToken, repeat), part(Phase::AllTokens, repeat));
        CountedPair { one_token: counts(&one), all_tokens: counts(&all), busy_share: busy_share(&one, &all) }
    };
    Counted { tokens, pairs: (1..=repeats).map(pair).collect() }
}

fn counts(part: &Part) -> Counts {
    let copies = |kind| part.copies.get(&kind).cloned().unwrap_or_default();
    let others = sum(part.copies.iter().filter(|(kind, _)| ![TO_DEVICE, TO_HOST, ON_DEVICE].contains(kind)));
    let names: std::collections::BTreeSet<&str> = part.kernels.keys().map(|shape| shape.name.as_str()).collect();
    let all = [
        (Counter::KernelLaunches, part.launches()),
        (Counter::GraphLaunches, part.graph_launches),
        (Counter::DistinctKernels, names.len() as u64),
        (Counter::CopiesToDevice, copies(TO_DEVICE).calls),
        (Counter::BytesToDevice, copies(TO_DEVICE).bytes),
        (Counter::CopiesToHost, copies(TO_HOST).calls),
        (Counter::BytesToHost, copies(TO_HOST).bytes),
        (Counter::CopiesOnDevice, copies(ON_DEVICE).calls),
        (Counter::BytesOnDevice, copies(ON_DEVICE).bytes),
        (Counter::OtherCopies, others.calls),
        (Counter::OtherBytes, others.bytes),
        (Counter::MemorySets, part.sets.calls),
        (Counter::Synchronizations, sum(part.synchronizations.iter()).calls),
        (Counter::Allocations, sum(part.allocations.iter()).calls),
    ];
    all.into_iter().map(|(counter, count)| (counter.into(), count)).collect()
}

fn sum<'a>(sums: impl Iterator<Item = (&'a u32, &'a Sum)>) -> Sum {
    sums.fold(Sum::default(), |mut all, (_, sum)| {
        all.add(sum);
        all
    })
}

/// Of decoding: what the longer generation has more than the other.
fn busy_share(one: &Part, all: &Part) -> Option<f64> {
    let (busy, span) = (all.busy.total_ms() - one.busy.total_ms(), all.span_ms() - one.span_ms());
    // Where kernels always run, what both generations begin with may differ by more than the rest.
    (span > 0.0).then(|| (busy / span).clamp(0.0, 1.0))
}
