//! Reports to publish, made of samples on the ways that `ci` makes them. What they say is bench-diff's own.

use bench_diff::compare::{self, Comparison, Confirmation, Options, Verdict};
use bench_diff::report::{Answer, MeasuredAgain, Origin, ReleaseComparison, Report};
use bench_diff::results::{FailureKind, Results};
use serde_json::Value;

use crate::fake::{BASE_SHA, HEAD_SHA};
use crate::samples::side;
pub use crate::samples::{LARGE, LONG, SMALL, Samples};

/// When the head was measured.
const NOW: &str = "2025-11-24T08:00:00Z";

/// What a suite says of metrics.
pub fn metrics(names: &[&str]) -> Options {
    Options { metrics: names.iter().map(ToString::to_string).collect(), ..Options::default() }
}

/// Three cases, and metrics that fit a page beside each other.
pub fn three_cases() -> (Samples, Options) {
    (Samples::of(BASE_SHA, &[SMALL, LONG, LARGE]), metrics(&["decode_throughput", "ttft", "peak_memory"]))
}

/// The head against a committed baseline, where no base can be measured.
pub fn screened(base: Results, head: &Samples, options: &Options) -> Report {
    let head = head.session("head", NOW);
    let comparison = compare::compare(&side("base", &base), &side("head", &head), options).unwrap();
    of(head, Answer::Compared { base, comparison, release: None })
}

/// The head against a committed baseline; what looks changed is measured again with the base, in turn.
pub fn confirmed(baseline: Results, base: &Samples, head: &Samples, options: &Options) -> Report {
    let mut report = screened(baseline, head, options);
    let Answer::Compared { base: baseline, comparison, .. } = &mut report.answer else { unreachable!() };
    let suspects = compare::suspects(&side("base", baseline), &side("head", &report.head), options).unwrap();
    let mut confirmation = Confirmation::new(comparison.clone(), suspects, options);
    let again = base.clone().seed("base again");
    while let Some(runs) = confirmation.wanted() {
        let [base, again, head] = [base, &again, head].map(|side| side.runs(runs).session("confirm", NOW));
        confirmation.look_at_itself(&side("base", &base), &side("base again", &again));
        confirmation.look(&side("base", &base), &side("head", &head)).unwrap();
        report.measured_again = Some(MeasuredAgain { base, head });
    }
    *comparison = confirmation.finish();
    report
}

/// Base and head measured in turn, as without a baseline.
pub fn in_turn(base: &Samples, head: &Samples, options: &Options) -> Report {
    let (base, head) = (base.session("both", NOW), head.session("both", NOW));
    let comparison = compare::compare(&side("base", &base), &side("head", &head), options).unwrap();
    of(head, Answer::Compared { base, comparison, release: None })
}

/// With nothing to compare with: the same build twice, `as_base` and `as_head`.
pub fn self_checked(as_base: &Samples, as_head: &Samples, options: &Options) -> Report {
    let report = in_turn(as_base, as_head, options);
    Report { answer: Answer::FirstRun { self_check: report.comparison().cloned(), release: None }, ..report }
}

/// With a comparison with a release as well.
pub fn since(mut report: Report, label: &str, base: &Results, options: &Options) -> Report {
    let compared = compare::compare(&side("base", base), &side("head", &report.head), options).unwrap();
    let Answer::Compared { release, .. } = &mut report.answer else { panic!("nothing was compared") };
    *release = Some(ReleaseComparison { label: label.into(), comparison: compared });
    report
}

/// As `ci` writes it.
fn of(head: Results, answer: Answer) -> Report {
    let hardware = head.sessions[0].environment.fingerprint();
    Report { origin: Some(origin(HEAD_SHA, 42)), ..Report::of(head, hardware, answer) }.derived()
}

pub fn origin(commit: &str, run: u64) -> Origin {
    Origin { commit: Some(commit.into()), run_id: Some(run), run_attempt: Some(1) }
}

/// The report as its file, altered by whoever can, and read again.
pub fn forged(report: &Report, alter: impl FnOnce(&mut Value)) -> Report {
    let mut file = serde_json::to_value(report).unwrap();
    alter(&mut file);
    serde_json::from_value::<Report>(file).unwrap().derived()
}

/// With the label of the release that the baseline was kept of.
fn labelled(results: Results) -> Results {
    Results { label: Some("v1.2.0".into()), ..results }
}

/// Two cells are worse, one is better, one is too noisy to tell; measured again.
pub fn regressed() -> Report {
    let (base, options) = three_cases();
    let base = base.noise_of(LONG, "ttft", NOISY);
    confirmed(labelled(base.history(16..=20)), &base, &worse(&base), &options)
}

/// More noise than `ci` takes the time to see through.
pub const NOISY: f64 = 0.012;

pub fn worse(base: &Samples) -> Samples {
    base.at(HEAD_SHA)
        .changed(LONG, "decode_throughput", -0.041)
        .changed(LONG, "ttft", 0.012)
        .changed(LONG, "peak_memory", -0.12)
        .changed(LARGE, "ttft", 0.062)
}

pub fn unchanged() -> Report {
    let (base, options) = three_cases();
    confirmed(labelled(base.history(16..=20)), &base, &base.at(HEAD_SHA), &options)
}

/// A screen: cells look changed, which drift could explain as well.
pub fn unconfirmed() -> Report {
    let (base, options) = three_cases();
    let head = base.at(HEAD_SHA).changed(LONG, "decode_throughput", -0.071).changed(LARGE, "ttft", -0.064);
    screened(labelled(base.history(19..=20)), &head, &options)
}

pub fn first_run() -> Report {
    let (build, options) = three_cases();
    self_checked(&build.at(HEAD_SHA).seed("as base"), &build.at(HEAD_SHA), &options)
}

/// Nothing could be measured.
pub fn failed() -> Report {
    let reason = "the GPU fell off the bus: see :fire: 1234567 and @octocat";
    let head = Samples::of(HEAD_SHA, &[SMALL]).failing(SMALL, FailureKind::Crashed, reason).session("head", NOW);
    of(head, Answer::Failed { why: format!("every run failed: {SMALL}: {reason}") })
}

/// A report of one row, for which samples are found that come to this verdict.
pub fn judged(verdict: Verdict) -> Report {
    let (base, options) = (one_case(), decode());
    let head = |change: f64| base.at(HEAD_SHA).changed(SMALL, "decode_throughput", change);
    let report = match verdict {
        Verdict::Unchanged => in_turn(&base, &head(0.0), &options),
        Verdict::Improved => in_turn(&base, &head(0.05), &options),
        Verdict::Inconclusive => in_turn(&base.clone().noise(0.04), &head(-0.03).noise(0.04), &options),
        Verdict::NotComparable => screened(base.history(16..=20), &head(0.0).power_limit(500.0), &options),
        Verdict::AtThreshold => in_turn(&base.clone().noise(0.001), &head(-0.0195).noise(0.001), &options),
        Verdict::Regressed => in_turn(&base, &head(-0.05), &options),
    };
    assert_eq!(verdicts(report.comparison().unwrap()), [verdict]);
    report
}

fn verdicts(comparison: &Comparison) -> Vec<Verdict> {
    comparison.rows.iter().map(|row| row.verdict()).collect()
}

/// Nothing changed, but a case of the base gave no numbers, or there is one more.
pub fn noted(lost: bool) -> Report {
    if lost { losing(0.0) } else { in_turn(&one_case(), &one_case().at(HEAD_SHA).with_case("new"), &decode()) }
}

/// A row regressed, and another case gave no numbers.
pub fn lost_and_regressed() -> Report {
    losing(-0.05)
}

fn losing(change: f64) -> Report {
    let base = one_case().with_case("lost");
    let head = base.at(HEAD_SHA).failing("lost", FailureKind::Crashed, "it crashed");
    in_turn(&base, &head.changed(SMALL, "decode_throughput", change), &decode())
}

fn one_case() -> Samples {
    Samples::of(BASE_SHA, &[SMALL])
}

fn decode() -> Options {
    metrics(&["decode_throughput"])
}
