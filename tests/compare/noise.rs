//! A head whose runs are noisier than those of the history it is compared with.

use bench_diff::compare::{Tier, Verdict, disk};
use serde_json::{Value, json};

use crate::SUCCESS;
use crate::compare_support::{Files, compare_json, run};

/// Offsets of so many runs, with the mean 0 and the sample variance 1.
fn offsets(runs: usize) -> Vec<f64> {
    let ramp: Vec<f64> = (0..runs).map(|run| run as f64 - (runs - 1) as f64 / 2.0).collect();
    let variance = ramp.iter().map(|it| it * it).sum::<f64>() / (runs - 1) as f64;
    ramp.iter().map(|it| it / variance.sqrt()).collect()
}

/// Runs around a level, with a standard deviation on the log scale.
fn runs(count: usize, level: f64, sd: f64) -> Vec<f64> {
    offsets(count).iter().map(|offset| level * (sd * offset).exp()).collect()
}

/// A cell of several sessions, hours apart.
fn cell(case: &str, sessions: &[Vec<f64>]) -> Value {
    json!({"case": case, "metric": "ttft", "unit": "ms", "better": "lower", "sessions": sessions})
}

/// Five days of three runs; run to run 0.2%, day to day 0.3%.
fn quiet_days() -> Vec<Vec<f64>> {
    offsets(5).iter().map(|day| runs(3, 10.0 * (0.003 * day).exp(), 0.002)).collect()
}

fn files(head: &[Vec<f64>]) -> Files {
    Files::new(&json!([cell("a", &quiet_days())]), &json!([cell("a", head)]))
}

fn row(head: &[Vec<f64>]) -> disk::Row {
    let mut comparison = compare_json(&files(head), &[]);
    assert_eq!(comparison.tier, Tier::History);
    comparison.rows.remove(0)
}

#[test]
fn three_runs_far_apart_are_no_regression() {
    for sd in [0.1, 0.3, 1.0] {
        let head = [runs(3, 12.0, sd)];
        let row = row(&head);
        assert_eq!(row.verdict, Verdict::Inconclusive, "{sd}: {}", row.reason);
        assert!(row.reason.starts_with("20% slower, but that may be noise; "), "{}", row.reason);
        assert_eq!(run(&files(&head), &["--fail-on", "regression"]).0, SUCCESS);
    }
    let quiet = row(&[runs(3, 12.0, 0.002)]);
    assert_eq!(quiet.verdict, Verdict::Regressed, "{}", quiet.reason);
}

/// The number of runs in `N more runs of the head would settle it`.
fn more_runs(reason: &str) -> usize {
    let advice = reason.rsplit("; ").next().unwrap();
    let number = advice.strip_suffix(" more runs of the head would settle it");
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number of runs: {reason}"))
}

/// With runs of the same mean and spread, the advice holds to the run: for what looks changed and what doesn't.
#[test]
fn as_many_more_runs_as_advised_settle_it_and_no_fewer() {
    for (level, sd, verdict) in
        [(12.0, 0.3, Verdict::Regressed), (8.0, 0.3, Verdict::Improved), (10.0, 0.02, Verdict::Unchanged)]
    {
        let few = row(&[runs(3, level, sd)]);
        assert_eq!(few.verdict, Verdict::Inconclusive);
        assert_eq!(few.runs_needed, None, "a few more of the head, none of the base");
        let more = more_runs(&few.reason);
        assert_eq!(row(&[runs(3 + more, level, sd)]).verdict, verdict, "{}", few.reason);
        assert_eq!(row(&[runs(2 + more, level, sd)]).verdict, Verdict::Inconclusive, "{}", few.reason);
    }
}

#[test]
fn the_table_says_how_many_runs_would_tell() {
    let (_, table, _) = run(&files(&[runs(3, 12.0, 0.3)]), &[]);
    let more = more_runs(&row(&[runs(3, 12.0, 0.3)]).reason);
    assert!(table.contains(&format!("{more} more runs of the head would settle it")), "{table}");
}

/// Where the machine drifts from day to day, more runs of one day tell nothing.
#[test]
fn against_drift_more_days_help_and_more_runs_do_not() {
    let days: Vec<Vec<f64>> = offsets(5).iter().map(|day| runs(3, 10.0 * (0.02 * day).exp(), 0.002)).collect();
    let reason = |head: Vec<f64>| {
        let files = Files::new(&json!([cell("a", &days)]), &json!([cell("a", &[head])]));
        compare_json(&files, &[]).rows.remove(0).reason
    };
    let advised = reason(runs(3, 10.6, 0.002));
    assert!(advised.contains(" of the head, at least 6 hours"), "{advised}");
    assert_eq!(reason(runs(60, 10.6, 0.002)), advised);
}

/// What a head varies less than its base takes nothing from the error.
#[test]
fn a_quiet_head_is_no_surer_than_one_like_the_base() {
    let quiet = row(&[runs(3, 10.2, 1e-6)]);
    let alike = row(&[runs(3, 10.2, 0.002)]);
    let close = |a: Option<f64>, b: Option<f64>| (a.unwrap() / b.unwrap() - 1.0).abs() < 1e-9;
    assert!(close(quiet.p, alike.p) && close(quiet.df, alike.df), "{quiet:?} {alike:?}");
    assert_eq!(quiet.df, Some(4.0));
}

/// More noise never makes a row surer, whatever it does to the degrees of freedom.
#[test]
fn p_grows_with_the_heads_noise() {
    let p: Vec<f64> = (0..200).map(|step| row(&[runs(3, 10.5, 0.002 + 0.0005 * f64::from(step))]).p.unwrap()).collect();
    assert!(p.is_sorted(), "{p:?}");
    assert!(p[199] > 0.1, "{p:?}");
}

/// Two days of the head, both noisy: half of the excess, and more days instead of more runs of days that are over.
#[test]
fn two_noisy_days_of_the_head() {
    let row = row(&[runs(3, 11.9, 0.3), runs(3, 12.1, 0.3)]);
    assert_eq!((row.verdict, row.df_pooled), (Verdict::Inconclusive, Some(5.0)), "{}", row.reason);
    assert!(row.reason.contains(" of the head, at least 6 hours"), "{}", row.reason);
}

/// Among cells whose heads are all noisy, three runs close together are luck.
#[test]
fn a_cell_is_no_quieter_than_its_report() {
    let cells = |head: fn(usize) -> Vec<f64>| -> Value {
        (0..12).map(|index| cell(&format!("case-{index}"), &[head(index)])).collect()
    };
    let base: Value = (0..12).map(|index| cell(&format!("case-{index}"), &quiet_days())).collect();
    let verdict = |head: Value| compare_json(&Files::new(&base, &head), &[]).rows[0].verdict;
    let lucky = |index: usize| runs(3, if index == 0 { 10.7 } else { 10.0 }, if index == 0 { 0.002 } else { 0.1 });
    let alone = |index: usize| runs(3, if index == 0 { 10.7 } else { 10.0 }, 0.002);
    assert_eq!(verdict(cells(lucky)), Verdict::Inconclusive);
    assert_eq!(verdict(cells(alone)), Verdict::Regressed);
    // One wild cell says nothing of the others.
    let wild = |index: usize| runs(3, if index == 0 { 10.7 } else { 10.0 }, if index == 5 { 0.5 } else { 0.002 });
    assert_eq!(verdict(cells(wild)), Verdict::Regressed);
}
