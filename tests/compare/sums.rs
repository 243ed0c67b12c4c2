//! What stands side by side adds up; and values that have no logarithm.

use serde_json::{Value, json};

use crate::compare_support::{Files, Printed, cell, compare_json, run, session};
use crate::{SUCCESS, noisy, regression};

fn follows(row: &bench_diff::compare::disk::Row) {
    let [base, head] = [row.base, row.head].map(|side| side.expect("a side").geometric_mean.expect("its mean"));
    let change = row.change.expect("a change");
    assert!((head / base - 1.0 - change).abs() < 1e-9, "{base} -> {head} isn't {change}: {row:?}");
}

#[test]
fn the_values_shown_give_the_change_shown() {
    let base = json!([cell("a", "ttft", vec![10.0, 10.0, 10.0, 10.0, 100.0])]);
    let head = json!([cell("a", "ttft", vec![14.0, 14.0, 14.0, 14.0])]);
    let files = Files::new(&base, &head);
    for flags in [&["--same-session"][..], &[]] {
        let comparison = compare_json(&files, flags);
        follows(&comparison.rows[0]);
        assert_eq!(comparison.rows[0].base.expect("base").mean, 28.0, "the arithmetic mean stays what it was");
        let (_, out, _) = run(&files, flags);
        assert!(out.contains("15.85 → 14.00"), "{out}");
    }
    let (_, csv, _) = run(&files, &["--format", "csv"]);
    assert!(csv.lines().next().expect("a header").contains("base_mean,base_geometric_mean,base_sd"), "{csv}");
}

/// Sessions of unequal size, of a history and shared ones: each counts once.
#[test]
fn sessions_of_unequal_size_add_up_too() {
    let sessions = |values: &[&[f64]]| json!([{"case": "a", "metric": "ttft", "sessions": values}]);
    let base: Vec<Vec<f64>> = vec![vec![10.0, 10.1], vec![10.2], vec![9.9, 10.3, 10.4], vec![10.1], vec![9.8, 10.0]];
    let base: Vec<&[f64]> = base.iter().map(Vec::as_slice).collect();
    follows(&compare_json(&Files::new(&sessions(&base), &sessions(&[&[11.0, 11.1, 11.3]])), &[]).rows[0]);
    let [mut old, mut new] = [session(|_, _| 1.0), session(|_, _| 1.04)];
    let mut second = old.sessions[0].clone();
    second.id = "s-2".into();
    second.started = "2026-01-05T00:00:00Z".into();
    second.finished = None;
    second.runs.truncate(6);
    old.sessions.push(second.clone());
    new.sessions.push(second);
    let text = |results: &bench_diff::results::Results| serde_json::to_value(results).expect("JSON");
    compare_json(&Files::new(&text(&old), &text(&new)), &["--metric", "all"]).rows.iter().for_each(follows);
}

#[test]
fn memory_adds_up_in_its_unit() {
    let file = |unit: &str, value: f64| json!([{"case": "a", "metric": "peak_memory", "unit": unit, "samples": [value, value]}]);
    let comparison = compare_json(&Files::new(&file("MiB", 700.0), &file("GiB", 1.5)), &["--same-session"]);
    follows(&comparison.rows[0]);
    assert_eq!(comparison.rows[0].head.expect("head").geometric_mean, Some(1536.0));
}

/// `9.994 → 10.01` would compare thousandths with hundredths.
#[test]
fn a_cell_has_one_precision() {
    let file = |level: f64| json!([cell("a", "ttft", vec![level, level])]);
    let (_, out, _) = run(&Files::new(&file(9.994), &file(10.31)), &["--same-session"]);
    assert!(out.contains("9.99 → 10.31"), "{out}");
}

fn allocations(values: &[f64]) -> Value {
    json!([{"case": "enc", "metric": "allocations", "unit": "1", "better": "lower", "samples": values}])
}

/// Of what somebody counts nothing may be left, and that is the best that can be.
#[test]
fn nothing_left_of_a_count_is_an_improvement() {
    for (base, head, verdict, exit) in [
        ([3.0; 3], [0.0; 3], "improved", SUCCESS),
        ([0.0; 3], [3.0; 3], "regressed", regression()),
        ([0.0; 3], [0.0; 3], "unchanged", SUCCESS),
        ([3.0; 3], [0.0, 3.0, 0.0], "inconclusive", SUCCESS),
    ] {
        let files = Files::new(&allocations(&base), &allocations(&head));
        let comparison = compare_json(&files, &["--same-session"]);
        assert_eq!(comparison.rows[0].verdict.word(), verdict, "{:?}", comparison.rows[0]);
        assert_eq!(run(&files, &["--same-session", "--fail-on", "regression"]).0, exit, "{verdict}");
        assert!(comparison.notes.is_empty());
    }
    let (_, out, _) = run(&Files::new(&allocations(&[3.0; 3]), &allocations(&[0.0; 3])), &[]);
    assert!(out.starts_with("Better: allocations -100%\n") && out.contains("3.000 → 0.000"), "{out}");
    let (_, out, _) = run(&Files::new(&allocations(&[0.0; 3]), &allocations(&[3.0; 3])), &[]);
    assert!(out.starts_with("Worse: allocations\n"), "{out}");
}

/// A count that every run of both sides has exactly was touched by no noise and no drift. One run doesn't show that it is
/// exact, and a time may be as even because its clock is coarse.
#[test]
fn the_same_count_in_every_run_is_unchanged() {
    let file = |unit: &str, values: &[f64]| json!([{"case": "a", "metric": "m", "unit": unit, "better": "lower", "samples": values}]);
    for (unit, base, head, verdict) in [
        ("allocs/op", vec![3.0; 3], vec![3.0; 2], "unchanged"),
        ("allocs/op", vec![3.0; 3], vec![4.0; 3], "inconclusive"),
        ("allocs/op", vec![3.0; 1], vec![3.0; 1], "inconclusive"),
        ("allocs/op", vec![3.5; 3], vec![3.5; 3], "inconclusive"),
        ("ms", vec![3.0; 3], vec![3.0; 3], "inconclusive"),
        ("req/s", vec![3.0; 3], vec![3.0; 3], "inconclusive"),
    ] {
        let comparison = compare_json(&Files::new(&file(unit, &base), &file(unit, &head)), &[]);
        assert_eq!(comparison.rows[0].verdict.word(), verdict, "{:?}", comparison.rows[0]);
    }
}

/// What measuring in turn makes of an odd number is what is advised.
#[test]
fn runs_that_are_advised_in_turn_come_in_pairs() {
    let side = |level: f64, noise: f64| json!([cell("a", "ttft", noisy(level, noise))]);
    let needed = |noise: f64| {
        let files = Files::new(&side(100.0, noise), &side(101.0, noise));
        let comparison = compare_json(&files, &["--same-session"]);
        comparison.rows[0].runs_needed
    };
    let advised: Vec<u32> = (1..=30).filter_map(|noise| needed(f64::from(noise) * 0.001)).collect();
    assert!(advised.len() > 5 && advised.iter().all(|runs| runs % 2 == 0), "{advised:?}");
}

fn with_null(head: &str) -> Printed {
    let base = json!([cell("a", "ttft", vec![10.0, 10.02, 9.98])]).to_string();
    let head = format!(r#"[{{"case": "a", "metric": "ttft", "samples": {head}}}]"#);
    compare_json(&Files::of_text(&base, &head), &["--same-session"])
}

/// The rest is judged, and what was left out is said.
#[test]
fn one_null_hides_no_regression() {
    let comparison = with_null("[12.0, null, 12.05, 11.95]");
    let row = &comparison.rows[0];
    assert_eq!((row.verdict.word(), row.head_dropped, row.base_dropped), ("regressed", 1, 0));
    assert!(row.reason.ends_with("(1 value of 4 of the head left out: no positive, finite numbers)"), "{}", row.reason);
    assert!(
        comparison.warnings.iter().any(|warning| warning.ends_with("finite numbers: 1 value of 1 cell")),
        "{comparison:?}"
    );
    // What is left may be too little.
    assert_eq!(with_null("[null, null, null]").rows.len(), 0);
}

/// A change beyond all numbers still has a direction.
#[test]
fn a_boundless_change_has_a_direction() {
    let file = |level: f64| json!([cell("a", "ttft", vec![level, level * 1.001, level * 0.999])]);
    let (_, out, _) = run(&Files::new(&file(1e-300), &file(1e300)), &["--same-session"]);
    assert!(out.starts_with("Slower: TTFT\n"), "{out}");
    let row = &compare_json(&Files::new(&file(1e-300), &file(1e300)), &["--same-session"]).rows[0];
    assert_eq!(row.reason, "slower beyond all bounds, beyond ±2%");
}
