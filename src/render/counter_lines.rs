//! Counters of a comparison: a few lines for those that changed, and a fold with all of these.

use std::collections::BTreeMap;

use super::{NAME, SENTENCE, Sides, what_moved};
use crate::compare::{
    BusyShares, ComparedCounters, Comparison, CounterPhase, CounterRange, CounterRow, CounterVerdict,
};
use crate::number::{Figure, alike, count, counted, decimal, percent, signed_percent};
use crate::page::{Block, Column, Icon, Line, Table, code, foreign, line, strong};
use crate::results::Counter;
use crate::stats::Share;
use crate::trace::attribution::{Amount, Section, Spread};
use crate::trace::trace_table::Beside;

/// Lines for everybody; the rest is in the fold.
const LINES: usize = 5;
/// Reasons shown; a hostile report may have any number.
const REASONS: usize = 8;

/// Nothing where nobody counted, or nothing changed and nothing is to be said.
pub fn blocks(comparison: &Comparison, sides: Sides) -> Vec<Block> {
    let Some(counters) = &comparison.counters else { return Vec::new() };
    let mut blocks = lines(counters, comparison);
    blocks.extend(fold(counters, sides));
    blocks
}

/// `44 counters as before`, where that is all.
pub fn fact(comparison: &Comparison) -> Option<Line> {
    let counters = comparison.counters.as_ref()?;
    let unchanged = counters.of(CounterVerdict::Unchanged).count();
    let all = unchanged == counters.rows.len() && unchanged > 0;
    all.then(|| line![counted(unchanged, "counter"), " as before"])
}

fn changed(counters: &ComparedCounters) -> Vec<&CounterRow> {
    let mut rows: Vec<&CounterRow> =
        counters.of(CounterVerdict::More).chain(counters.of(CounterVerdict::Fewer)).collect();
    let size = |row: &CounterRow| row.change.map_or(f64::INFINITY, f64::abs);
    let prefills = |row: &CounterRow| row.phase == CounterPhase::Prefill;
    let rank = |row: &CounterRow| (prefills(row), follows(row));
    rows.sort_by(|a, b| rank(a).cmp(&rank(b)).then(size(b).total_cmp(&size(a))));
    rows
}

/// One launch more has a result to allocate, and one copy more has bytes: what was done is told first.
fn follows(row: &CounterRow) -> bool {
    use Counter::{Allocations, BytesOnDevice, BytesToDevice, BytesToHost, DistinctKernels, OtherBytes};
    let following = [Allocations, DistinctKernels, BytesToDevice, BytesToHost, BytesOnDevice, OtherBytes];
    row.counter.known().is_some_and(|counter| following.contains(&counter))
}

/// One for what changed the same way in several cases. What traces told above isn't said again.
fn lines(counters: &ComparedCounters, comparison: &Comparison) -> Vec<Block> {
    let (mut groups, mut places) = (Vec::<Vec<&CounterRow>>::new(), BTreeMap::new());
    for row in changed(counters).into_iter().filter(|row| !is_said(row, comparison)) {
        let rose = row.verdict == CounterVerdict::More;
        let place = *places.entry((row.phase.as_str(), row.counter.as_str(), rose)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    if groups.is_empty() {
        return Vec::new();
    }
    let mut lines: Vec<Line> = groups.iter().take(LINES).map(|group| in_words(group)).collect();
    if let Some(more @ 1..) = groups.len().checked_sub(LINES) {
        lines[LINES - 1] = line![count(more + 1), " more, in the list below"];
    }
    let title = line![strong("Counters"), " that changed (exact counts, and no part of the verdict):"];
    vec![Block::Paragraph(title), Block::List(lines)]
}

/// `decode: kernel launches 963 → 987 a token (+2.5%), case, and 3 other cases`
fn in_words(group: &[&CounterRow]) -> Line {
    let first = group[0];
    let per = if is_per_token(first) { " a token" } else { "" };
    let line = line![phase(first), ": ", name(first), " ", values(first), per];
    let line = line![line, change(first), ", ", code(&first.case, NAME)];
    match group.len() - 1 {
        0 => line,
        others => line![line, ", and ", counted(others, "other case")],
    }
}

/// "What got slower" has a line with these numbers.
fn is_said(row: &CounterRow, comparison: &Comparison) -> bool {
    let (Some(counter), Some(phase)) = (row.counter.known(), row.phase.known()) else { return false };
    let section = match phase {
        CounterPhase::Decode => Section::Decode,
        CounterPhase::Prefill => Section::Prefill,
    };
    let (of, kind, is_bytes) = match counter {
        Counter::CopiesToDevice => (Beside::Copy, Some("host to device"), false),
        Counter::BytesToDevice => (Beside::Copy, Some("host to device"), true),
        Counter::CopiesToHost => (Beside::Copy, Some("device to host"), false),
        Counter::BytesToHost => (Beside::Copy, Some("device to host"), true),
        Counter::CopiesOnDevice => (Beside::Copy, Some("device to device"), false),
        Counter::BytesOnDevice => (Beside::Copy, Some("device to device"), true),
        Counter::MemorySets => (Beside::Set, None, false),
        Counter::Synchronizations => (Beside::Synchronization, None, false),
        Counter::Allocations => (Beside::Allocation, None, false),
        Counter::GraphLaunches => (Beside::GraphLaunch, None, false),
        Counter::KernelLaunches | Counter::DistinctKernels | Counter::OtherCopies | Counter::OtherBytes => {
            return false;
        }
    };
    let is_number = |range: CounterRange, traced: Spread| !range.varies() && (range.most - traced.mean).abs() < 1e-6;
    let number = |amount: &Amount| if is_bytes { amount.bytes } else { amount.calls };
    what_moved::tells(comparison, &row.case, section, |moved| {
        moved.of == of
            && kind.is_none_or(|kind| moved.kind.as_deref() == Some(kind))
            && is_number(row.base, number(&moved.base))
            && is_number(row.head, number(&moved.head))
    })
}

fn is_per_token(row: &CounterRow) -> bool {
    row.phase == CounterPhase::Decode && row.counter != Counter::DistinctKernels
}

fn phase(row: &CounterRow) -> Line {
    match row.phase.known() {
        Some(CounterPhase::Prefill) => "prefill".into(),
        Some(CounterPhase::Decode) => "decode".into(),
        None => foreign(row.phase.as_str(), NAME),
    }
}

fn name(row: &CounterRow) -> Line {
    let Some(counter) = row.counter.known() else { return code(row.counter.as_str(), NAME) };
    let name = match counter {
        Counter::KernelLaunches => "kernel launches",
        Counter::GraphLaunches => "graph launches",
        Counter::DistinctKernels => "distinct kernels",
        Counter::CopiesToDevice => "copies to the device",
        Counter::BytesToDevice => "bytes copied to the device",
        Counter::CopiesToHost => "copies to the host",
        Counter::BytesToHost => "bytes copied to the host",
        Counter::CopiesOnDevice => "copies on the device",
        Counter::BytesOnDevice => "bytes copied on the device",
        Counter::OtherCopies => "other copies",
        Counter::OtherBytes => "bytes of other copies",
        Counter::MemorySets => "memory sets",
        Counter::Synchronizations => "synchronisations",
        Counter::Allocations => "allocations",
    };
    name.into()
}

fn values(row: &CounterRow) -> Line {
    let [base, head] = numbers(row);
    line![base, " → ", head]
}

/// `963`, or `960–966` where it varies.
fn numbers(row: &CounterRow) -> [Line; 2] {
    let ends = [row.base.least, row.base.most, row.head.least, row.head.most];
    let whole = ends.iter().all(|end| end.fract() == 0.0);
    let shown = if whole { ends.map(|end| Some(decimal(end, 0))) } else { alike(ends.map(Some)) };
    let side = |range: CounterRange, least: Option<Figure>, most: Option<Figure>| match (least, most) {
        (Some(least), Some(most)) if range.varies() => line![least, "–", most],
        (Some(least), _) => line![least],
        _ => Line::default(),
    };
    let [a, b, c, d] = shown;
    [side(row.base, a, b), side(row.head, c, d)]
}

fn change(row: &CounterRow) -> Line {
    row.change.map_or_else(Line::default, |change| line![" (", signed_percent(Share::new(change)), ")"])
}

fn fold(counters: &ComparedCounters, sides: Sides) -> Option<Block> {
    let mut rows = changed(counters);
    let (changed, varying) = (rows.len(), counters.of(CounterVerdict::Varies).count());
    rows.extend(counters.of(CounterVerdict::Varies));
    let mut blocks = Vec::new();
    if !rows.is_empty() {
        blocks.push(Block::Table(table(&rows, sides)));
    }
    blocks.extend(unchanged(counters));
    blocks.extend(busy(counters));
    blocks.extend(not_compared(counters));
    let unchanged_only = rows.is_empty() && counters.not_compared.is_empty();
    let title = match (changed, varying) {
        (0, 0) => line![Icon::Samples, "Counters"],
        (changed, 0) => line![Icon::Samples, "Counters: ", count(changed), " changed"],
        (changed, varying) => {
            line![Icon::Samples, "Counters: ", count(changed), " changed, ", count(varying), " not always the same"]
        }
    };
    (!unchanged_only).then_some(Block::Fold { title, blocks })
}

fn table(rows: &[&CounterRow], sides: Sides) -> Table {
    let [base, head] = sides.title;
    let verdict = |row: &CounterRow| match row.verdict {
        CounterVerdict::Varies => "varies".into(),
        _ => row.change.map_or_else(|| "new".into(), |change| line![signed_percent(Share::new(change))]),
    };
    let columns = vec![
        Column::left("Case", |row: &&CounterRow| code(&row.case, NAME)),
        Column::left("Phase", |row: &&CounterRow| phase(row)),
        Column::left("Counter", |row: &&CounterRow| name(row)),
        Column::right(base, |row: &&CounterRow| numbers(row)[0].clone()),
        Column::right(head, |row: &&CounterRow| numbers(row)[1].clone()),
        Column::right("Change", |row: &&CounterRow| verdict(row)),
    ];
    Table::of(columns, rows)
}

fn unchanged(counters: &ComparedCounters) -> Option<Block> {
    let unchanged = counters.of(CounterVerdict::Unchanged).count();
    let words = line![counted(unchanged, "counter"), " as before. Those of decoding are of a token."];
    (unchanged > 0).then_some(Block::Paragraph(words))
}

/// Times of traced runs: a hint at where decoding waits, and nothing more.
fn busy(counters: &ComparedCounters) -> Option<Block> {
    let share = |share: f64| percent(Share::new(share));
    let of_case = |BusyShares { case, base, head }: &BusyShares| {
        line![share(*base), " → ", share(*head), " (", code(case, NAME), ")"]
    };
    let cases: Vec<Line> = counters.busy.iter().take(LINES).map(of_case).collect();
    let words = line!["Share of decoding in which kernels ran, in these traced runs: ", Line::joined(cases, "; "), "."];
    (!counters.busy.is_empty()).then_some(Block::Paragraph(words))
}

/// Each reason once, with the cases that it is about.
fn not_compared(counters: &ComparedCounters) -> Option<Block> {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    counters.not_compared.iter().for_each(|case| *reasons.entry(&case.reason).or_default() += 1);
    let line = |(reason, cases): (&str, usize)| line![foreign(reason, SENTENCE), " (", counted(cases, "case"), ")"];
    (!reasons.is_empty()).then(|| Block::List(reasons.into_iter().take(REASONS).map(line).collect()))
}
