//! The last line of a page: where and how it was measured, and how its numbers are to be read.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::caveat_lines;
use super::commit_names::program;
use super::surroundings::Surroundings;
use super::{Sides, counter_lines, metric, metric_order};
use crate::case::WeightsSource;
use crate::compare::{
    ASSUMED_DRIFT as ASSUMED, Comparison, GRANULARITY_MIB, GRANULARITY_SHARE, Learned, Row, Tally, Tier, Verdict,
};
use crate::metric::MetricName;
use crate::number::{count, counted, decimal, is_symmetric, percent};
use crate::page::{Icon, Line, code, foreign, line};
use crate::report::{EqualBuilds, Report};
use crate::results::{Outcome, Results, Session};
use crate::stats::Share;

/// How the numbers of a comparison are to be read.
pub fn of_numbers(comparison: &Comparison) -> Vec<Line> {
    let mut facts = vec!["↑ higher is better, ↓ lower is better".into()];
    facts.extend(intervals(comparison));
    facts.extend(tests(comparison));
    facts.extend(thresholds(comparison));
    facts.extend(learned(comparison));
    facts.extend(counter_lines::fact(comparison));
    facts
}

/// `± is the 90% interval (measured again: 99%)`
fn intervals(comparison: &Comparison) -> Option<Line> {
    let level = |confirmed: bool| {
        let tested = comparison.rows.iter().filter_map(|row| row.finding.tested());
        let mut chosen = tested.filter(|tested| tested.confirmed == confirmed && tested.interval.is_some());
        chosen.next().map(|tested| percent(Share::new(tested.confidence)))
    };
    let drift = drift(comparison);
    let ends = comparison.rows.iter().filter_map(Row::halves).any(|halves| !is_symmetric(halves));
    let shown = if ends { "± and .. are the " } else { "± is the " };
    Some(match (level(false), level(true)) {
        (Some(level), Some(again)) if level != again => {
            line![shown, level, " interval", drift, " (measured again: ", again, ")"]
        }
        (Some(level), _) | (None, Some(level)) => line![shown, level, " interval", drift],
        (None, None) => return None,
    })
}

/// `, if sessions drift by up to 0.6%, as the cases together show`
fn drift(comparison: &Comparison) -> Line {
    let drifts = || comparison.rows.iter().filter_map(|row| row.finding.tested()?.drift);
    let least = drifts().reduce(|a, b| if b < a { b } else { a }).map(percent);
    let most = drifts().reduce(|a, b| if b > a { b } else { a }).map(percent);
    let up_to = if least == most { "" } else { "up to " };
    match most {
        // Files of older versions don't say it.
        None if comparison.tier == Tier::SingleBaseline => line![", if sessions drift by ", percent(ASSUMED)],
        None => Line::default(),
        Some(most) if most == percent(ASSUMED) => line![", if sessions drift by ", up_to, most],
        Some(most) => line![", if sessions drift by ", up_to, most, ", as the cases together show"],
    }
}

/// How sure the verdicts are: a rate of errors where one holds, with its condition.
fn tests(comparison: &Comparison) -> Option<Line> {
    let tests = counted(comparison.family, "test");
    let alarms = line!["false alarms in at most ", percent(Share::new(comparison.alpha)), " of reports"];
    match comparison.tier {
        _ if comparison.family == 0 => None,
        Tier::SingleBaseline => Some(tests.into()),
        Tier::SameSession | Tier::Confirmed => Some(line![tests, ", ", alarms]),
        Tier::History => Some(line![tests, ", ", alarms, ", if the machine drifts no more than it did in the history"]),
    }
}

/// `changes under 2% (decode, TTFT), 5% (ITL p99) aren't reported`
fn thresholds(comparison: &Comparison) -> Option<Line> {
    let mut by_noise_threshold: BTreeMap<[u64; 2], ([Share; 2], Vec<&MetricName>)> = BTreeMap::new();
    for tally in comparison.by_metric.iter().filter(|tally| tally.what.verdict != Verdict::NotComparable) {
        let range = [tally.noise_threshold, tally.largest_noise_threshold()];
        let key = range.map(|share| share.get().to_bits());
        let metrics = &mut by_noise_threshold.entry(key).or_insert((range, Vec::new())).1;
        if !metrics.contains(&&tally.what.metric) && metrics.len() < MOST_NAMES {
            metrics.push(&tally.what.metric);
        }
    }
    let parts = match by_noise_threshold.len() {
        0 => return None,
        1 => by_noise_threshold.into_values().map(|(range, _)| in_words(range)).collect(),
        _ => by_noise_threshold.into_values().take(MOST_NAMES).map(of_metrics).collect::<Vec<_>>(),
    };
    let shares = line!["changes under ", Line::joined(parts, ", "), " aren't reported"];
    let rounded = comparison.by_metric.iter().any(Tally::is_below_granularity);
    let granularity =
        || line![decimal(GRANULARITY_MIB, 0), " MiB or ", percent(GRANULARITY_SHARE), ", whichever is less"];
    Some(if rounded { line![shares, ", nor of memory under ", granularity()] } else { shares })
}

/// `2%`; `0.5% to 0.8%` where cases have their own.
fn in_words([least, most]: [Share; 2]) -> Line {
    if least == most { percent(least).into() } else { line![percent(least), " to ", percent(most)] }
}

/// `0.5% to 0.8% as 5 sessions of the base show`
fn learned(comparison: &Comparison) -> Option<Line> {
    let learned: Vec<Learned> = comparison.rows.iter().filter_map(Row::learned).collect();
    let fewest = learned.iter().min_by_key(|learned| (learned.occasions, learned.sessions))?;
    let of = counted(fewest.sessions, "session");
    let occasions = counted(fewest.occasions, "occasion");
    Some(line!["thresholds of ", counted(learned.len(), "row"), " learned from ", of, " of the base on ", occasions])
}

/// A foreign file may have very many metrics.
const MOST_NAMES: usize = 8;

fn of_metrics((range, mut metrics): ([Share; 2], Vec<&MetricName>)) -> Line {
    metrics.sort_by_key(|name| metric_order(name));
    line![in_words(range), " (", Line::joined(metrics.into_iter().map(metric), ", "), ")"]
}

/// `NVIDIA H100`, `2× NVIDIA H100`
pub fn device(report: &Report) -> Line {
    let named = |name: &str| foreign(name, 80);
    let Some(session) = report.head.sessions.last() else { return named(&report.hardware) };
    let environment = &session.environment;
    match environment.gpus.as_slice() {
        [] => named(environment.cpu.as_ref().unwrap_or(&report.hardware)),
        [gpu] => named(&gpu.name),
        [gpu, ..] => line![count(environment.gpus.len()), "× ", named(&gpu.name)],
    }
}

/// `driver 580.65 · 1980 MHz, not throttled · base abc1234 (v1.2.0), 3 days old · PR def5678`
pub fn of_machine(report: &Report, surroundings: &Surroundings) -> Vec<Line> {
    let mut facts: Vec<Line> = Vec::new();
    let session = report.head.sessions.last();
    if let Some(driver) = session.and_then(|session| session.environment.driver_version.as_ref()) {
        facts.push(line!["driver ", foreign(driver, 40)]);
    }
    facts.extend(clocks(&report.head));
    facts.extend(bases(report));
    facts.extend(pull_request(report, surroundings));
    if report.head.cases.iter().any(|case| case.weights == WeightsSource::Generated) {
        facts.push("generated weights".into());
    }
    facts
}

/// `PR def5678`, and what was measured for it where that is of another commit, such as its merge with its base.
fn pull_request(report: &Report, surroundings: &Surroundings) -> Option<Line> {
    let measured = report.head.sessions.last().map(Session::measured);
    let head = Sides::of(report).head;
    let Some(commit) = caveat_lines::pull_request_of(report, surroundings) else {
        return measured.map(|measured| line![head, " ", program(measured)]);
    };
    Some(match measured {
        Some(measured) if caveat_lines::is_of(measured, &commit) => line![head, " ", program(measured)],
        Some(measured) => {
            let (name, commit) = (foreign(&measured.name, 40), code(&commit, 20));
            line![head, " ", commit, ", measured as ", name, " ", program(measured)]
        }
        None => line![head, " ", code(&commit, 20)],
    })
}

/// What the head was compared with: one thing, or the program that decided, and the baseline that had cases measured again.
fn bases(report: &Report) -> Vec<Line> {
    let compared = report.base().map(|base| base_line(base, &report.head));
    let decided = report.measured_again.as_ref().and_then(|again| again.base.sessions.last());
    match (decided, compared) {
        (Some(session), compared) => {
            let first = report.base().and_then(|base| base.sessions.last()).map(Session::measured);
            let baseline = compared.filter(|_| first != Some(session.measured()));
            let baseline = baseline.map(|baseline| line!["baseline ", baseline]);
            std::iter::once(line!["base ", program(session.measured())]).chain(baseline).collect()
        }
        (None, Some(base)) => vec![line!["base ", base]],
        (None, None) => Vec::new(),
    }
}

/// `of 400 comparisons of equal builds on this hardware, 0 looked changed`
pub fn of_equal_builds(report: &Report) -> Option<Line> {
    let EqualBuilds { comparisons, looked_changed } = report.equal_builds()?;
    let compared = counted(comparisons, "comparison");
    Some(line!["of ", compared, " of equal builds on this hardware, ", count(looked_changed), " looked changed"])
}

/// The clocks that were seen, and whether anything held them down.
fn clocks(results: &Results) -> Option<Line> {
    let mut clocks = Vec::new();
    let mut throttled = 0;
    for run in results.sessions.iter().flat_map(|session| &session.runs) {
        if let Outcome::Ok(measurement) = &run.outcome {
            let clock = measurement.device.as_ref().and_then(|device| device.sm_clock_mhz);
            clocks.extend(clock.filter(|clock| clock.is_finite()));
            throttled += usize::from(!measurement.throttle_reasons().is_empty());
        }
    }
    let mhz = |clock: f64| decimal(clock, 0);
    let low = clocks.iter().copied().reduce(f64::min)?;
    let high = clocks.iter().copied().reduce(f64::max)?;
    let range = if high - low < 0.5 { line![mhz(low)] } else { line![mhz(low), "–", mhz(high)] };
    Some(match throttled {
        0 => line![range, " MHz, not throttled"],
        runs => line![range, " MHz, ", Icon::Warning, "throttled in ", counted(runs, "run")],
    })
}

fn base_line(base: &Results, head: &Results) -> Line {
    let Some(last) = base.sessions.last() else { return "without sessions".into() };
    let mut line = program(last.measured());
    if let Some(label) = &base.label {
        line = line![line, " (", foreign(label, 40), ")"];
    }
    if let Some(age) = head.sessions.last().and_then(|head| days_between(last, head)).filter(|days| *days > 0) {
        line = line![line, ", ", counted(age, "day"), " old"];
    }
    match base.sessions.len() {
        1 => line,
        sessions => line![line, ", ", counted(sessions, "session")],
    }
}

fn days_between(base: &Session, head: &Session) -> Option<usize> {
    let base: Timestamp = base.started.parse().ok()?;
    let head: Timestamp = head.started.parse().ok()?;
    usize::try_from((head.as_second() - base.as_second()) / 86_400).ok()
}
