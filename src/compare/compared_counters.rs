//! Counters of both sides, case by case: exactly where they are always the same, else by their ranges.

use std::collections::BTreeSet;

use super::counter_row::{BusyShares, ComparedCounters, CounterPhase, CounterRange, CounterRow, NotCounted};
use super::mismatch;
use super::side::{CaseSide, Side};
use super::{CounterVerdict, Difference};
use crate::results::{Counted, CountedPair, Counter};
use crate::stats;
use crate::word::Word;

/// Of all cases of both sides; `None` where nobody counted anything.
pub(super) fn compare(base: &Side, head: &Side, floor: f64) -> Option<ComparedCounters> {
    let heads = head.by_id();
    let mut compared = ComparedCounters::default();
    for of_base in &base.cases {
        let Some(of_head) = heads.get(of_base.id.as_str()) else { continue };
        match both(base, head, of_base, of_head) {
            Some(Ok([base, head])) => compared.add(&of_base.id, &base, &head, floor),
            Some(Err(reason)) => {
                let lost = matches!(latest(base, of_base), Some(Ok(_)));
                compared.not_compared.push(NotCounted { case: of_base.id.clone(), reason, lost });
            }
            None => {}
        }
    }
    (compared != ComparedCounters::default()).then_some(compared)
}

/// What both sides counted of a case, or why it can't be compared.
fn both<'a>(
    base: &Side,
    head: &Side,
    of_base: &'a CaseSide,
    of_head: &'a CaseSide,
) -> Option<Result<[Vec<&'a Counted>; 2], String>> {
    let of_sides = [latest(base, of_base), latest(head, of_head)];
    let without = |side: &str| Some(Err(format!("the {side} has no counters: it was measured without them")));
    let (counted_base, counted_head) = match of_sides {
        [None, None] => return None,
        [None, Some(_)] => return without("base"),
        [Some(_), None] => return without("head"),
        [Some(Err(why)), _] | [_, Some(Err(why))] => return Some(Err(why.to_owned())),
        [Some(Ok(base)), Some(Ok(head))] => (base, head),
    };
    let differing = mismatch::case(of_base, of_head).iter().map(Difference::in_words).collect::<Vec<_>>();
    let cards = [base, head].map(cards);
    let tokens = |counted: &[&Counted]| counted.iter().map(|counted| counted.tokens).collect::<BTreeSet<_>>();
    Some(if !differing.is_empty() {
        Err(format!("the sides differ in {}", differing.join(", ")))
    } else if cards[0] != cards[1] {
        Err("the sides ran on different cards, for which libraries choose different kernels".to_owned())
    } else if tokens(&counted_base) != tokens(&counted_head) {
        Err("the sides counted generations of different lengths".to_owned())
    } else if let Some(counter) = lacking(&counted_base, &counted_head) {
        Err(format!("the head doesn't count {}", counter.as_str().replace('_', " ")))
    } else {
        Ok([counted_base, counted_head])
    })
}

/// What the base counts in each generation, and the head doesn't. Of counters that this build doesn't know nobody asks.
fn lacking<'a>(base: &[&'a Counted], head: &[&'a Counted]) -> Option<&'a Word<Counter>> {
    let mut of_base =
        pairs(base).flat_map(|(pair, _)| pair.all_tokens.keys()).filter(|counter| counter.known().is_some());
    let has =
        |pair: &CountedPair, counter| pair.one_token.contains_key(counter) && pair.all_tokens.contains_key(counter);
    of_base.find(|counter| pairs(head).any(|(pair, _)| !has(pair, counter)))
}

/// Those of the last session that counted, and of sessions of the very same build. Those of older builds are another program's.
fn latest<'a>(side: &Side, case: &'a CaseSide) -> Option<Result<Vec<&'a Counted>, &'a str>> {
    let (last, counters) = case.counters.last()?;
    let build = |session: &usize| side.sessions.get(*session).and_then(|session| session.program_sha256.as_deref());
    // A build measures programs of others, and says nothing of theirs.
    let known = build(last).filter(|_| case.engines.is_empty());
    if case.counters.iter().filter(|(session, _)| session == last).count() > 1 {
        return Some(Err("one session has the counters of this case twice"));
    }
    let same =
        case.counters.iter().filter(|(session, _)| session == last || known.is_some() && build(session) == known);
    Some(match &counters.counted {
        Err(why) => Err(why.as_str()),
        Ok(_) => Ok(same.filter_map(|(_, counters)| counters.counted.as_ref().ok()).collect()),
    })
}

fn cards(side: &Side) -> BTreeSet<&str> {
    let last = side.sessions.last().map(|session| &session.environment.gpus);
    last.into_iter().flatten().map(|gpu| gpu.name.as_str()).collect()
}

impl ComparedCounters {
    fn add(&mut self, case: &str, base: &[&Counted], head: &[&Counted], floor: f64) {
        for phase in [CounterPhase::Decode, CounterPhase::Prefill] {
            for counter in counters(base, head) {
                let range = |side: &[&Counted]| CounterRange::of(&values(side, phase, counter));
                let Some((base, head)) = range(base).zip(range(head)) else { continue };
                let (verdict, change) = base.against(head, floor);
                // Generations that count less the longer they are don't do the same each time.
                let varies = base.least < 0.0 || head.least < 0.0;
                let verdict = if varies { CounterVerdict::Varies } else { verdict };
                let row = CounterRow {
                    case: case.to_owned(),
                    phase: phase.into(),
                    counter: counter.clone(),
                    verdict,
                    base,
                    head,
                    change,
                };
                self.rows.extend(Some(row).filter(|row| !row.is_nothing()));
            }
        }
        let shares = [base, head].map(busy_share);
        if let [Some(base), Some(head)] = shares {
            self.busy.push(BusyShares { case: case.to_owned(), base, head });
        }
    }
}

impl CounterRow {
    fn is_nothing(&self) -> bool {
        let ends = [self.base.least, self.base.most, self.head.least, self.head.most];
        self.verdict == CounterVerdict::Unchanged && ends == [0.0; 4]
    }
}

fn pairs<'a>(side: &[&'a Counted]) -> impl Iterator<Item = (&'a CountedPair, u32)> {
    side.iter().flat_map(|counted| counted.pairs.iter().map(|pair| (pair, counted.tokens)))
}

/// All that both sides know.
fn counters<'a>(base: &[&'a Counted], head: &[&'a Counted]) -> BTreeSet<&'a Word<Counter>> {
    let of = |side: &[&'a Counted]| pairs(side).flat_map(|(pair, _)| pair.all_tokens.keys()).collect::<BTreeSet<_>>();
    &of(base) & &of(head)
}

/// Of every generation: of a prefill, or a token of decoding.
fn values(side: &[&Counted], phase: CounterPhase, counter: &Word<Counter>) -> Vec<f64> {
    let value = |(pair, tokens): (&CountedPair, u32)| {
        let [one, all] =
            [&pair.one_token, &pair.all_tokens].map(|counts| counts.get(counter).map(|count| *count as f64));
        match phase {
            CounterPhase::Prefill => one,
            CounterPhase::Decode if *counter == Counter::DistinctKernels => all,
            CounterPhase::Decode if tokens > 1 => Some((all? - one?) / f64::from(tokens - 1)),
            CounterPhase::Decode => None,
        }
    };
    pairs(side).filter_map(value).collect()
}

fn busy_share(side: &[&Counted]) -> Option<f64> {
    let shares: Vec<f64> = pairs(side).filter_map(|(pair, _)| pair.busy_share).collect();
    stats::median(&shares)
}
