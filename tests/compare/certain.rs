//! What is certain is said as certain, and advice comes from one place.

use serde_json::{Value, json};

use crate::compare_support::{Files, cell, compare_json, run};
use crate::{SUCCESS, regression};

/// So many runs around a level, with this relative standard deviation.
fn runs(count: u32, level: f64, sd: f64) -> Vec<f64> {
    let middle = f64::from(count - 1) / 2.0;
    let offsets: Vec<f64> = (0..count).map(|index| f64::from(index) - middle).collect();
    let size = (offsets.iter().map(|it| it * it).sum::<f64>() / f64::from(count - 1)).sqrt();
    offsets.iter().map(|offset| level * (1.0 + sd * offset / size)).collect()
}

fn file(cells: &[(&str, Vec<f64>)]) -> Value {
    cells.iter().map(|(case, values)| cell(case, "ttft", values.clone())).collect()
}

fn slower(by: f64, sd: f64, count: u32) -> Files {
    let side = |level: f64| file(&[("a", runs(count, level, sd))]);
    Files::new(&side(10.0), &side(10.0 * (1.0 + by)))
}

#[test]
fn a_certain_change_about_as_large_as_the_threshold_is_at_the_threshold() {
    let files = slower(0.019, 0.002, 16);
    let row = &compare_json(&files, &["--same-session"]).rows[0];
    assert!(row.p.expect("a test") < 1e-20, "{row:?}");
    assert_eq!(row.verdict.word(), "at the threshold");
    assert_eq!(row.reason, "1.9% slower, at the threshold of 2%");
    assert_eq!(json!(row.reason_code), json!("at-threshold"));
    assert_eq!(row.runs_needed, None, "more runs would change nothing");
    let (exit, out, _) = run(&files, &["--same-session", "--fail-on", "regression"]);
    assert_eq!(exit, SUCCESS);
    assert!(out.starts_with("Slower, at the threshold: TTFT +1.9%\n"), "{out}");
    assert!(!out.contains("settle") && !out.contains("--runs") && !out.contains("Can't tell"), "{out}");
    // A setting makes it count.
    let (exit, out, _) = run(&files, &["--same-session", "--fail-on", "regression", "--gate-at-threshold"]);
    assert_eq!(exit, regression());
    assert!(out.starts_with("Slower: TTFT +1.9%\n"), "{out}");
}

#[test]
fn counts_hold_what_is_at_the_threshold() {
    let comparison = compare_json(&slower(0.019, 0.002, 16), &["--same-session"]);
    let counts = comparison.counts;
    assert_eq!((counts.at_threshold, counts.inconclusive, counts.unchanged, counts.regressed), (1, 0, 0, 0));
    assert_eq!(json!(comparison.verdict), json!("at_threshold"));
    let faster = compare_json(&slower(-0.019, 0.002, 16), &["--same-session"]);
    assert_eq!(faster.rows[0].reason, "1.9% faster, at the threshold of 2%");
}

/// Exactly the threshold is on one of its sides, and never open.
#[test]
fn exactly_the_threshold_is_not_open() {
    for sd in [0.0001, 0.001, 0.003] {
        let verdict = compare_json(&slower(0.02, sd, 16), &["--same-session"]).rows[0].verdict.word();
        assert!(["regressed", "at the threshold"].contains(&verdict), "{verdict}");
    }
}

#[test]
fn a_certain_change_below_the_threshold_is_said() {
    let row = &compare_json(&slower(0.008, 0.001, 8), &["--same-session"]).rows[0];
    assert_eq!((row.verdict.word(), row.reason.as_str()), ("unchanged", "0.8% slower, below 2%"));
    let row = &compare_json(&slower(0.0, 0.001, 8), &["--same-session"]).rows[0];
    assert_eq!((row.verdict.word(), row.reason.as_str()), ("unchanged", "within ±2%"));
}

/// Far from certain of its size: a change of which more runs tell on which side it is.
#[test]
fn what_more_runs_would_settle_stays_open() {
    let row = &compare_json(&slower(0.014, 0.008, 8), &["--same-session"]).rows[0];
    assert_eq!(row.verdict.word(), "inconclusive", "{row:?}");
    assert!(row.runs_needed.is_some());
}

/// The number of runs in the first line, in the cell, in the reason and in the next step is the same one.
#[test]
fn advice_does_not_contradict_itself() {
    let side = |levels: [f64; 3], sds: [f64; 3]| {
        let cells: Vec<_> = ["a", "b", "c"].into_iter().zip(levels.iter().zip(sds)).collect();
        file(&cells.into_iter().map(|(case, (level, sd))| (case, runs(4, *level, sd))).collect::<Vec<_>>())
    };
    let sds = [0.012, 0.013, 0.3];
    let files = Files::new(&side([10.0; 3], sds), &side([10.05, 10.05, 10.1], sds));
    let comparison = compare_json(&files, &["--same-session"]);
    let needed: Vec<Option<u32>> = comparison.rows.iter().map(|row| row.runs_needed).collect();
    let most = needed.iter().flatten().max().expect("runs that settle a row");
    assert_eq!(needed[2], None, "that noise takes more than 100 runs");
    let (_, out, _) = run(&files, &["--same-session"]);
    assert!(out.contains(&format!("to settle 2 of 3 inconclusive rows, take {most} samples per side.")), "{out}");
    assert!(!out.contains("more run"), "totals only: {out}");
    for (row, runs) in comparison.rows.iter().zip(needed) {
        let said = runs.map_or("more than 100 runs per side".to_owned(), |runs| format!("{runs} runs per side"));
        assert!(row.reason.contains(&said), "{}", row.reason);
    }
}

/// A metric that stays open whatever is run has no say in how many runs the others take.
#[test]
fn the_runs_of_the_first_line_are_those_of_its_metrics() {
    let side = |level: f64| -> Value {
        let cells = [("a", "itl_p99", 0.013), ("b", "itl_p99", 0.012), ("a", "ttft", 0.04), ("b", "ttft", 0.5)];
        cells.into_iter().map(|(case, metric, sd)| cell(case, metric, runs(4, level, sd))).collect()
    };
    let files = Files::new(&side(10.0), &side(10.05));
    let comparison = compare_json(&files, &["--same-session", "--noise-threshold", "itl_p99=2%", "--metric", "all"]);
    let needed = |metric: &str| -> Vec<Option<u32>> {
        comparison.rows.iter().filter(|row| json!(row.metric) == metric).map(|row| row.runs_needed).collect()
    };
    let most = needed("itl_p99").into_iter().map(|runs| runs.expect("settled")).max().unwrap();
    let other = needed("ttft");
    assert!(other[0].unwrap() > most && other[1].is_none(), "{other:?}");
    let (_, out, _) = run(&files, &["--same-session", "--noise-threshold", "itl_p99=2%", "--metric", "all"]);
    let says = format!("{most} runs per side would settle ITL p99 in 2 of 2 cases; also open: TTFT in 2 of 2");
    assert!(out.contains(&says), "{out}");
    assert!(out.contains(&format!("to settle 2 of 4 inconclusive rows, take {most} samples per side.")), "{out}");
}
