//! The first line, which answers, and the second, which says what belongs to the answer.

use super::case_table::Rank;
use super::{Sides, metric, metric_order};
use super::{other_work, self_check};
use crate::compare::{Comparison, Direction, NoteKind, Row, Tally, Tier, Verdict};
use crate::number::{count, counted, percent, signed_percent};
use crate::page::{Icon, Line, foreign, line};

/// More are only counted.
const MOST_METRICS: usize = 4;

/// `Slower: decode -9.0% in 4 of 4 cases`. What isn't compared or was lost comes behind what got worse.
pub fn of_comparison(comparison: &Comparison) -> Line {
    if self_check::applies(comparison) {
        let parts = std::iter::once(self_check::answer(comparison)).chain(noted(comparison));
        return Line::joined(parts, " · ");
    }
    let mut parts = changed(comparison, Rank::Regressed);
    parts.extend(noted(comparison));
    parts.extend(changed(comparison, Rank::Unconfirmed));
    parts.extend(changed(comparison, Rank::AtThreshold));
    parts.extend(changed(comparison, Rank::Improved));
    if !comparison.by_metric.iter().any(is_change) {
        parts.push(no_change(comparison));
    }
    Line::joined(parts, " · ")
}

fn is_change(tally: &Tally) -> bool {
    tally.what.unconfirmed
        || matches!(tally.what.verdict, Verdict::Regressed | Verdict::AtThreshold | Verdict::Improved)
}

/// What changed that way, each direction a part. A metric that only follows another isn't counted again.
fn changed(comparison: &Comparison, rank: Rank) -> Vec<Line> {
    let of_rank = |tally: &&Tally| {
        let what = &tally.what;
        is_change(tally)
            && what.follows.is_none()
            && match rank {
                Rank::Unconfirmed => what.unconfirmed,
                Rank::AtThreshold => tally.what.verdict == Verdict::AtThreshold,
                Rank::Regressed => !what.unconfirmed && what.verdict == Verdict::Regressed,
                _ => !what.unconfirmed && what.verdict == Verdict::Improved,
            }
    };
    let tallies: Vec<&Tally> = comparison.by_metric.iter().filter(of_rank).collect();
    let mut parts = Vec::new();
    for direction in DIRECTIONS {
        let same: Vec<&Tally> = sorted(tallies.iter().copied().filter(|tally| direction_of(tally) == direction.0));
        if !same.is_empty() {
            let word = match rank {
                Rank::Unconfirmed => direction.2,
                Rank::AtThreshold => direction.3,
                _ => direction.1,
            };
            parts.push(line![rank.icon(), word, most_of(&same)]);
        }
    }
    parts
}

/// With what each starts a part of the headline: for what counts, for what isn't confirmed, and for what is certain and about
/// as large as the threshold.
const DIRECTIONS: [(Option<Direction>, &str, &str, &str); 7] = [
    (Some(Direction::Slower), "Slower: ", "Perhaps slower, unconfirmed: ", "Slower, at the threshold: "),
    (Some(Direction::More), "More: ", "Perhaps more, unconfirmed: ", "More, at the threshold: "),
    (Some(Direction::Worse), "Worse: ", "Perhaps worse, unconfirmed: ", "Worse, at the threshold: "),
    (Some(Direction::Faster), "Faster: ", "Perhaps faster, unconfirmed: ", "Faster, at the threshold: "),
    (Some(Direction::Less), "Less: ", "Perhaps less, unconfirmed: ", "Less, at the threshold: "),
    (Some(Direction::Better), "Better: ", "Perhaps better, unconfirmed: ", "Better, at the threshold: "),
    (None, "Changed: ", "Perhaps changed, unconfirmed: ", "Changed, at the threshold: "),
];

fn direction_of(tally: &Tally) -> Option<Direction> {
    tally.what.direction.as_ref().and_then(|word| word.known())
}

fn sorted<'a>(tallies: impl Iterator<Item = &'a Tally>) -> Vec<&'a Tally> {
    let mut tallies: Vec<&Tally> = tallies.collect();
    tallies.sort_by_key(|tally| metric_order(&tally.what.metric));
    tallies
}

/// `decode -9.0% in 4 of 4 cases, TTFT +2.0% to +9.9% in 2 of 4`
fn most_of(tallies: &[&Tally]) -> Line {
    let phrases = tallies.iter().enumerate().map(|(index, tally)| phrase(tally).and(extent(tally, index == 0)));
    Line::joined(at_most(phrases.collect()), ", ")
}

/// The first few, and how many others there are.
fn at_most(mut metrics: Vec<Line>) -> Vec<Line> {
    let others = metrics.len().saturating_sub(MOST_METRICS);
    metrics.truncate(MOST_METRICS);
    metrics.extend((others > 0).then(|| line![counted(others, "other metric")]));
    metrics
}

/// `decode -9.0%`, `decode -4.1% to -9.1%`
fn phrase(tally: &Tally) -> Line {
    let Some([least, most]) = tally.changes.map(|ends| ends.map(signed_percent)) else {
        return metric(&tally.what.metric);
    };
    let range = if least == most { line![most] } else { line![least, " to ", most] };
    line![metric(&tally.what.metric), " ", range]
}

/// In how many cases; nothing where there is only one.
fn extent(tally: &Tally, in_full: bool) -> Line {
    match tally.of {
        1 => Line::default(),
        of => line![" in ", count(tally.cases), " of ", count(of), if in_full { " cases" } else { "" }],
    }
}

/// What has no numbers, or other output.
fn noted(comparison: &Comparison) -> Vec<Line> {
    let kinds = [
        (NoteKind::Failed, Icon::Failed, " failed"),
        (NoteKind::Missing, Icon::Missing, " missing"),
        (NoteKind::FellBack, Icon::FellBack, " fell back"),
        (NoteKind::OutputChanged, Icon::OutputChanged, " with changed output"),
    ];
    let part = |(kind, icon, words): (NoteKind, Icon, &'static str)| {
        let noted = comparison.notes.iter().filter(|note| note.kind == kind).count();
        (noted > 0).then(|| line![icon, count(noted), words])
    };
    let incomparable = comparison.counts.not_comparable;
    let some =
        incomparable > 0 && comparison.by_metric.iter().any(|tally| tally.what.verdict != Verdict::NotComparable);
    let incomparable = some.then(|| line![Icon::NotComparable, count(incomparable), " not comparable"]);
    kinds.into_iter().filter_map(part).chain(incomparable).collect()
}

/// The answer where no row looks changed.
fn no_change(comparison: &Comparison) -> Line {
    let counts = comparison.counts;
    if counts.inconclusive > 0 {
        return line![Icon::Inconclusive, "Can't tell yet: ", open(comparison)];
    }
    if counts.unchanged > 0 && comparison.by_metric.iter().any(Tally::is_below_granularity) {
        return line![Icon::Unchanged, "No change"];
    }
    if counts.unchanged > 0 {
        return line![Icon::Unchanged, "No change (nothing over ", thresholds(&comparison.by_metric), ")"];
    }
    if counts.not_comparable > 0 {
        return line![Icon::NotComparable, "Nothing was compared: ", difference(comparison)];
    }
    line![Icon::NotComparable, "Nothing was compared: base and head have no numbers of the same case"]
}

/// In what the sides differ.
fn difference(comparison: &Comparison) -> Line {
    let blocking = comparison.differences.iter().filter(|difference| difference.blocks);
    let fields: Vec<Line> = blocking.take(MOST_METRICS).map(|difference| foreign(&difference.field, 40)).collect();
    match fields.is_empty() {
        true if other_work::applies(comparison) => {
            line!["base and head did other work (", other_work::differences(comparison), ")"]
        }
        true => "base and head ran something else".into(),
        false => line!["base and head differ in ", Line::listed(fields)],
    }
}

/// `13 runs per side would settle decode in 1 of 4 cases`
fn open(comparison: &Comparison) -> Line {
    let is_open = |tally: &&Tally| tally.what.verdict == Verdict::Inconclusive && !tally.what.unconfirmed;
    let open = sorted(comparison.by_metric.iter().filter(is_open));
    let (settled, others): (Vec<&Tally>, Vec<&Tally>) = open.into_iter().partition(|tally| tally.more_runs.is_some());
    match comparison.outlook().runs.filter(|_| !settled.is_empty()) {
        None => which(&[settled, others].concat()),
        Some(runs) => {
            let rest = if others.is_empty() { Line::default() } else { line!["; also open: ", which(&others)] };
            line![counted(runs as usize, "run"), " per side would settle ", which(&settled), rest]
        }
    }
}

/// `decode in 1 of 4 cases and TTFT in 2 of 4`
fn which(tallies: &[&Tally]) -> Line {
    let named = |(index, tally): (usize, &&Tally)| metric(&tally.what.metric).and(extent(tally, index == 0));
    Line::listed(at_most(tallies.iter().enumerate().map(named).collect()))
}

/// `2%`, `the noise threshold of each metric, 1% to 5%`
fn thresholds(tallies: &[Tally]) -> Line {
    let noise_thresholds = || tallies.iter().map(|tally| tally.noise_threshold);
    let largest = || tallies.iter().map(Tally::largest_noise_threshold);
    let least = noise_thresholds().reduce(|a, b| if b < a { b } else { a }).unwrap_or_default();
    let most = largest().reduce(|a, b| if b > a { b } else { a }).unwrap_or_default();
    match least == most {
        true => percent(least).into(),
        false => {
            let own = tallies.iter().any(|tally| tally.largest_noise_threshold.is_some());
            let of = if own { "each case and metric" } else { "each metric" };
            line!["the noise threshold of ", of, ", ", percent(least), " to ", percent(most)]
        }
    }
}

/// What belongs to the answer: what follows from it, what stays as it was, what is open, and how that was found.
pub fn sentences(comparison: &Comparison, sides: Sides) -> Vec<Line> {
    if self_check::applies(comparison) {
        return self_check::sentence(comparison).into_iter().collect();
    }
    let mut said = followers(comparison);
    if comparison.by_metric.iter().any(is_change) {
        said.extend(unchanged(comparison));
        let left = comparison.counts.inconclusive > 0 && !open(comparison).is_empty();
        said.extend(left.then(|| line!["Open: ", open(comparison), "."]));
    }
    said.push(basis(comparison, sides));
    said
}

/// `Also ITL p99 +9.9%, as decode explains.`
fn followers(comparison: &Comparison) -> Vec<Line> {
    let mut leaders: Vec<_> = comparison.by_metric.iter().filter_map(|tally| tally.what.follows.as_ref()).collect();
    leaders.sort_by_key(|leader| metric_order(leader));
    leaders.dedup();
    let sentence = |leader: &&crate::metric::MetricName| {
        let followers =
            sorted(comparison.by_metric.iter().filter(|tally| tally.what.follows.as_ref() == Some(*leader)));
        line!["Also ", Line::listed(followers.iter().map(|tally| phrase(tally))), ", as ", metric(leader), " explains."]
    };
    leaders.iter().map(sentence).collect()
}

/// Metrics without any change in any case.
fn unchanged(comparison: &Comparison) -> Option<Line> {
    let whole = |tally: &&Tally| tally.what.verdict == Verdict::Unchanged && tally.cases == tally.of;
    let metrics = sorted(comparison.by_metric.iter().filter(whole));
    let names = metrics.iter().map(|tally| metric(&tally.what.metric)).collect();
    (!metrics.is_empty()).then(|| line!["Unchanged: ", Line::listed(at_most(names)), "."])
}

/// How the sides were measured, and what that allows to say.
fn basis(comparison: &Comparison, sides: Sides) -> Line {
    let Sides { head, the_head, interleaved, .. } = sides;
    if comparison.family == 0 && other_work::applies(comparison) {
        return other_work::basis(comparison, sides);
    }
    if comparison.family == 0 && comparison.counts.not_comparable > 0 {
        return line!["Base and ", head, " were measured on different machines or with different settings."];
    }
    match comparison.tier {
        Tier::SameSession => {
            let twice = if measured_twice(comparison) { ", the base as two contenders" } else { "" };
            line!["Base and ", head, " were measured interleaved in one session", twice, "."]
        }
        Tier::Confirmed
            if comparison.rows.iter().any(Row::is_not_measured_again)
                && !comparison.rows.iter().any(Row::is_confirmed) =>
        {
            line!["What looked changed was to be measured again, ", interleaved, ", and couldn't be."]
        }
        Tier::Confirmed => {
            line!["What looked changed was measured again, ", interleaved, confirming_runs(&comparison.rows), "."]
        }
        Tier::History => line![the_head, " is compared with a history of base sessions."],
        Tier::SingleBaseline => line![
            the_head,
            " is compared with another session, so the machine's drift is in every change: by itself this calls nothing \
             slower or faster."
        ],
    }
}

/// So that it could be compared with itself.
fn measured_twice(comparison: &Comparison) -> bool {
    comparison.rows.iter().filter_map(|row| row.finding.tested()).any(|tested| tested.base_again.is_some())
}

/// `, 4 to 8 runs per side`
fn confirming_runs(rows: &[Row]) -> Line {
    let runs = |row: &Row| Some(row.sides.base?.n.min(row.sides.head?.n));
    let all: Vec<usize> = rows.iter().filter(|row| row.is_confirmed()).filter_map(runs).collect();
    match (all.iter().min(), all.iter().max()) {
        (Some(least), Some(most)) if least == most => line![", ", counted(*most, "run"), " per side"],
        (Some(least), Some(most)) => line![", ", count(*least), " to ", counted(*most, "run"), " per side"],
        _ => Line::default(),
    }
}
