//! `compare` from the outside: files in, verdicts out.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

#[path = "compare/allowed.rs"]
mod allowed;
#[path = "compare/asked.rs"]
mod asked;
#[path = "compare/auto.rs"]
mod auto;
#[path = "compare/causes.rs"]
mod causes;
#[path = "compare/certain.rs"]
mod certain;
mod compare_support;
#[path = "compare/confirm.rs"]
mod confirm;
#[path = "compare/convert.rs"]
mod convert;
#[path = "compare/differences.rs"]
mod differences;
#[path = "compare/equal_builds.rs"]
mod equal_builds;
#[path = "compare/evalscope_db.rs"]
mod evalscope_db;
#[path = "compare/files.rs"]
mod files;
#[path = "compare/foreign.rs"]
mod foreign;
#[path = "compare/foreign_rows.rs"]
mod foreign_rows;
#[path = "compare/gate.rs"]
mod gate;
#[path = "compare/many.rs"]
mod many;
#[path = "compare/mistaken.rs"]
mod mistaken;
#[path = "compare/names_of_models.rs"]
mod names_of_models;
#[path = "compare/noise.rs"]
mod noise;
#[path = "compare/occasions.rs"]
mod occasions;
#[path = "compare/said.rs"]
mod said;
#[path = "compare/same_program.rs"]
mod same_program;
#[path = "compare/screens.rs"]
mod screens;
#[path = "compare/sessions.rs"]
mod sessions;
#[path = "compare/sums.rs"]
mod sums;
#[path = "compare/tools.rs"]
mod tools;

use std::process::ExitCode;

use bench_diff::compare::{ReasonCode, Tier, Verdict};
use bench_diff::results::Results;
use compare_support::{Files, cell, compare_json, run, session};
use serde_json::{Value, json};

const SUCCESS: ExitCode = ExitCode::SUCCESS;

fn regression() -> ExitCode {
    ExitCode::from(1)
}

fn usage_error() -> ExitCode {
    ExitCode::from(2)
}

#[track_caller]
fn close(got: f64, want: f64, what: &str) {
    // p of far tails is compared relatively, as everything else.
    assert!((got - want).abs() <= 1e-8 * want.abs() + 1e-14, "{what}: {got} instead of {want}");
}

/// `expected.json` comes from `reference.py` beside it, which does the procedure a second time on its own.
#[test]
fn known_answers() {
    let scenarios: Vec<Value> =
        serde_json::from_str(include_str!("fixtures/statistics/expected.json")).expect("the fixture is JSON");
    for scenario in &scenarios {
        let files = Files::new(&scenario["base"], &scenario["head"]);
        let flags: &[&str] = if scenario["same_session"] == true { &["--same-session"] } else { &[] };
        let comparison = compare_json(&files, flags);
        let expected = scenario["rows"].as_array().expect("rows");
        assert_eq!(comparison.rows.len(), expected.len());
        for (row, want) in comparison.rows.iter().zip(expected) {
            let place = format!("{}, {}, {}", scenario["name"], row.case, row.metric);
            assert_eq!((&json!(row.case), &json!(row.metric)), (&want["case"], &want["metric"]));
            assert_eq!(
                (&json!(row.verdict), &json!(row.unconfirmed)),
                (&want["verdict"], &want["unconfirmed"]),
                "{place}"
            );
            let interval = row.interval.expect("an interval");
            let numbers = [
                ("change", row.change, &want["change"]),
                ("low", Some(interval[0]), &want["interval"][0]),
                ("high", Some(interval[1]), &want["interval"][1]),
                ("p", row.p, &want["p"]),
                ("p_adjusted", row.p_adjusted, &want["p_adjusted"]),
                ("df", row.df, &want["df"]),
                ("p_pooled", row.p_pooled, &want["p_pooled"]),
                ("df_pooled", row.df_pooled, &want["df_pooled"]),
            ];
            for (name, got, want) in numbers {
                close(got.expect(name), want.as_f64().expect(name), &format!("{place}: {name}"));
            }
        }
    }
}

/// Noise of a known size, without a random generator: run i of n.
fn noisy(level: f64, share: f64) -> Vec<f64> {
    [-1.0, 0.2, 0.8].map(|z| level * (1.0 + share * z)).to_vec()
}

/// One side of a small report: 6 cases x decode, TTFT, peak memory. `factor` changes a cell.
fn report(factor: impl Fn(usize, &str) -> f64) -> Value {
    let mut cells = Vec::new();
    for index in 0..6 {
        let name = format!("Qwen2.5-{}B/bf16/6144", index + 1);
        let level = 1.0 + index as f64 / 4.0;
        let noise = 0.003 + 0.0005 * index as f64;
        cells.push(cell(&name, "decode_throughput", noisy(100.0 * level * factor(index, "decode"), noise)));
        cells.push(cell(&name, "ttft", noisy(11.0 * level * factor(index, "ttft"), noise)));
        cells.push(cell(&name, "peak_memory", vec![9000.0 * level * factor(index, "memory"); 3]));
    }
    Value::Array(cells)
}

fn changed_report() -> Value {
    report(|index, metric| match (index, metric) {
        (0, "decode") => 0.96,
        (1, "ttft") => 0.93,
        (2, "decode") => 0.983,
        (3, "memory") => 1.03,
        _ => 1.0,
    })
}

#[test]
fn a_report_for_a_terminal() {
    let files = Files::new(&report(|_, _| 1.0), &changed_report());
    let (exit, out, err) = run(&files, &["--same-session"]);
    assert_eq!((exit, err.as_str()), (SUCCESS, ""));
    insta::assert_snapshot!(out);
}

#[test]
fn a_report_against_another_session() {
    let files = Files::new(&report(|_, _| 1.0), &changed_report());
    insta::assert_snapshot!(run(&files, &["--metric", "ttft", "--metric", "peak_memory"]).1);
}

#[test]
fn a_report_in_markdown() {
    let files = Files::new(&report(|_, _| 1.0), &changed_report());
    insta::assert_snapshot!(run(&files, &["--same-session", "--format", "markdown"]).1);
}

#[test]
fn changed_rows_in_csv() {
    let files = Files::new(&report(|_, _| 1.0), &changed_report());
    insta::assert_snapshot!(run(&files, &["--same-session", "--format", "csv", "--only-changed"]).1);
}

/// What programs read: absent values are absent, and the counts are those of all rows.
#[test]
fn json_has_the_documented_shape() {
    let files = Files::new(&report(|_, _| 1.0), &changed_report());
    let (_, out, _) = run(&files, &["--same-session", "--format", "json", "--only-changed"]);
    let value: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(value["verdict"], "regressed");
    assert_eq!(
        value["counts"],
        json!({"regressed": 2, "improved": 1, "at_threshold": 1, "inconclusive": 0, "unchanged": 14, "not_comparable": 0})
    );
    assert_eq!((&value["tier"], &value["alpha"], &value["family"]), (&json!("same-session"), &json!(0.05), &json!(12)));
    let rows = value["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    let memory = rows.iter().find(|row| row["metric"] == "peak_memory").expect("a memory row");
    let keys: Vec<&String> = memory.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        [
            "base",
            "better",
            "case",
            "change",
            "head",
            "metric",
            "noise_threshold",
            "reason",
            "reason_code",
            "unit",
            "verdict"
        ]
    );
    assert_eq!(memory["base"], json!({"n": 3, "mean": 15750.0, "geometric_mean": 15750.0, "sd": 0.0}));
}

#[test]
fn exit_codes_follow_what_was_asked() {
    let good = report(|_, _| 1.0);
    let regressed = Files::new(&good, &changed_report());
    let same = Files::new(&good, &good);
    assert_eq!(run(&regressed, &["--same-session"]).0, SUCCESS);
    assert_eq!(run(&regressed, &["--same-session", "--fail-on", "regression"]).0, regression());
    assert_eq!(run(&same, &["--same-session", "--fail-on", "regression"]).0, SUCCESS);
    // A lost case is worse than a slow one.
    let mut fewer = good.as_array().expect("cells").clone();
    fewer.retain(|cell| cell["case"] != "Qwen2.5-1B/bf16/6144");
    let lost = Files::new(&good, &Value::Array(fewer));
    assert_eq!(run(&lost, &["--fail-on", "regression"]).0, regression());
}

#[test]
fn wrong_flags_say_what_is_right() {
    let files = Files::new(&report(|_, _| 1.0), &report(|_, _| 1.0));
    for flags in
        [["--metric", "tttf"], ["--margin", "ttft"], ["--margin", "ttft=-1"], ["--margin", "tttf=2"], ["--alpha", "5"]]
    {
        let (exit, out, err) = run(&files, &flags);
        assert_eq!((exit, out.as_str()), (usage_error(), ""), "{flags:?}");
        assert!(err.starts_with("error: "), "{err}");
    }
}

/// As in the configuration.
#[test]
fn alpha_is_from_a_ten_thousandth_to_a_half() {
    let files = Files::new(&report(|_, _| 1.0), &report(|_, _| 1.0));
    let exit = |alpha: &str| run(&files, &["--alpha", alpha]).0;
    assert_eq!(["0.0001", "0.5"].map(exit), [SUCCESS; 2]);
    assert_eq!(["0.00001", "0.51", "NaN"].map(exit), [usage_error(); 3]);
}

#[test]
fn identical_samples_have_no_change_at_all() {
    let files = Files::new(&report(|_, _| 1.0), &report(|_, _| 1.0));
    for flags in [&["--same-session"][..], &[]] {
        for row in compare_json(&files, flags).rows {
            assert_eq!(row.change, Some(0.0), "{} {}", row.case, row.metric);
            assert!(row.p.is_none_or(|p| p == 1.0));
        }
    }
}

#[test]
fn constant_samples_do_not_divide_by_zero() {
    let files =
        Files::new(&json!([cell("a", "ttft", vec![10.0; 3])]), &json!([cell("a", "ttft", vec![11.0, 11.0, 11.0])]));
    let comparison = compare_json(&files, &["--same-session"]);
    let row = &comparison.rows[0];
    assert_eq!(row.verdict, Verdict::Regressed);
    assert_eq!((row.p_pooled, row.df_pooled), (None, Some(4.0)), "the plain t-test isn't defined");
}

/// One run on a side adds nothing to the spread; on both sides there is none.
#[test]
fn one_run_on_a_side() {
    let three = json!([cell("a", "ttft", noisy(10.0, 0.003))]);
    let one = json!([cell("a", "ttft", vec![11.0])]);
    let row = &compare_json(&Files::new(&three, &one), &["--same-session"]).rows[0];
    assert_eq!((row.df, row.verdict), (Some(2.0), Verdict::Regressed));
    let comparison = compare_json(&Files::new(&one, &one), &["--same-session"]);
    let row = &comparison.rows[0];
    assert_eq!((row.p, row.verdict, comparison.family), (None, Verdict::Inconclusive, 0));
    assert_eq!(row.reason_code, Some(ReasonCode::SingleRuns.into()));
    let history = json!([{"case": "a", "metric": "ttft", "sessions": [[10.0], [10.02], [9.98], [10.01], [10.03]]}]);
    let comparison = compare_json(&Files::new(&history, &one), &[]);
    assert_eq!((comparison.tier, comparison.rows[0].df), (Tier::History, Some(4.0)));
    assert_eq!(comparison.rows[0].verdict, Verdict::Regressed);
}

/// Python writes NaN and Infinity into JSON, and null stands for them elsewhere.
#[test]
fn values_that_are_no_numbers_are_reported() {
    let base = json!([cell("a", "ttft", noisy(10.0, 0.003))]).to_string();
    for bad in ["NaN", "Infinity", "-Infinity", "1e999", "null", "0", "-3.5"] {
        let head = format!(r#"[{{"case": "a", "metric": "ttft", "samples": [10.0, {bad}, 10.1]}}]"#);
        let files = Files::of_text(&base, &head);
        let comparison = compare_json(&files, &["--same-session"]);
        let row = &comparison.rows[0];
        assert_eq!((row.verdict, row.head_dropped), (Verdict::Unchanged, 1), "{bad}: the others are judged");
        assert!(row.reason.ends_with("(1 value of 3 of the head left out: no positive, finite numbers)"), "{bad}");
        assert_eq!(row.head.expect("the good values").n, 2);
        // Without any on the base's side, there is nothing to judge.
        let none = format!(r#"[{{"case": "a", "metric": "ttft", "samples": [{bad}]}}]"#);
        let row = &compare_json(&Files::of_text(&none, &base), &["--same-session"]).rows[0];
        assert_eq!((row.verdict, row.p), (Verdict::Inconclusive, None), "{bad}");
        assert_eq!(row.reason, "error: 1 of 1 value of the base is no positive, finite number", "{bad}");
        assert_eq!(row.reason_code, Some(ReasonCode::InvalidValues.into()), "{bad}");
    }
    let text_is_no_number =
        format!(r#"[{{"case": "NaN \" 1e999", "metric": "ttft", "samples": [{}]}}]"#, "NaN, 10, 11");
    let files = Files::of_text(&text_is_no_number, &text_is_no_number);
    assert_eq!(compare_json(&files, &[]).rows[0].case, "NaN \" 1e999");
}

#[test]
fn milliseconds_and_seconds_are_the_same_thing() {
    let ms =
        json!([{"case": "a", "metric": "x", "unit": "ms", "better": "lower", "samples": [1500.0, 1510.0, 1490.0]}]);
    let s = json!([{"case": "a", "metric": "x", "unit": "s", "better": "lower", "samples": [1.5, 1.51, 1.49]}]);
    let there = compare_json(&Files::new(&ms, &s), &["--same-session"]);
    let back = compare_json(&Files::new(&s, &ms), &["--same-session"]);
    for (row, unit, mean) in [(&there.rows[0], "ms", 1500.0), (&back.rows[0], "s", 1.5)] {
        assert_eq!((row.unit.as_str(), row.verdict), (unit, Verdict::Unchanged));
        close(row.head.expect("head").mean, mean, unit);
        assert!(row.change.expect("a change").abs() < 1e-12);
    }
}

/// Programs tell open rows from each other, and by what they would be settled, without reading sentences.
#[test]
fn what_is_open_says_why_for_programs() {
    // The head's level against 10, and the spread of both.
    for (level, spread, why) in [
        (10.0, 0.001, ReasonCode::WithinThreshold),
        (11.0, 0.001, ReasonCode::BeyondThreshold),
        (10.18, 0.003, ReasonCode::AtThreshold),
        (10.14, 0.006, ReasonCode::SizeUnclear),
        (10.6, 0.05, ReasonCode::MaybeNoise),
        (10.1, 0.05, ReasonCode::TooImprecise),
    ] {
        let [base, head] = [10.0, level].map(|level| json!([cell("a", "ttft", noisy(level, spread))]));
        let row = &compare_json(&Files::new(&base, &head), &["--same-session"]).rows[0];
        assert_eq!(row.reason_code, Some(why.into()), "{}", row.reason);
    }
    let [base, head] = [10.0, 11.0].map(|level| json!([cell("a", "ttft", noisy(level, 0.003))]));
    let row = &compare_json(&Files::new(&base, &head), &[]).rows[0];
    assert_eq!((row.unconfirmed, &row.reason_code), (true, &Some(ReasonCode::Unconfirmed.into())), "measured apart");
}

/// base, head (MiB), verdict: disjoint ranges, at least 64 MiB (or 12.5%), 1%, and twice the spread apart.
#[test]
fn memory_is_compared_by_ranges() {
    let table: [(&[f64], &[f64], Verdict, ReasonCode); 15] = [
        (&[8000.0, 8000.0], &[8100.0, 8100.0], Verdict::Regressed, ReasonCode::BeyondSpread),
        (&[8100.0, 8100.0], &[8000.0, 8000.0], Verdict::Improved, ReasonCode::BeyondSpread),
        // 65 MiB is more than 64, but not 1% of 8000.
        (&[8000.0, 8000.0], &[8065.0, 8065.0], Verdict::Unchanged, ReasonCode::RunsWithinThreshold),
        // 3% of 2000, but only 60 MiB.
        (&[2000.0, 2000.0], &[2060.0, 2060.0], Verdict::Unchanged, ReasonCode::RunsWithinThreshold),
        (&[2000.0, 2000.0], &[2064.0, 2064.0], Verdict::Regressed, ReasonCode::BeyondSpread),
        // The gap of 100 is no more than twice the spread of 60.
        (&[8000.0, 8060.0], &[8160.0, 8160.0], Verdict::Inconclusive, ReasonCode::RunsOverlap),
        (&[8000.0, 8200.0], &[8100.0, 8300.0], Verdict::Inconclusive, ReasonCode::RunsOverlap),
        // Exactly 1%, and exactly twice the spread.
        (&[10000.0, 10000.0], &[10100.0, 10100.0], Verdict::Regressed, ReasonCode::BeyondSpread),
        (&[8000.0, 8050.0], &[8150.0, 8150.0], Verdict::Inconclusive, ReasonCode::RunsOverlap),
        // Ranges that overlap and span 64 MiB.
        (&[2000.0, 2060.0], &[2050.0, 2064.0], Verdict::Inconclusive, ReasonCode::RunsOverlap),
        (&[8000.0], &[9000.0], Verdict::Inconclusive, ReasonCode::SingleRuns),
        // Of little memory, allocators round little.
        (&[20.0, 20.0], &[40.0, 40.0], Verdict::Regressed, ReasonCode::BeyondSpread),
        (&[20.0, 20.2], &[17.0, 17.1], Verdict::Improved, ReasonCode::BeyondSpread),
        (&[20.0, 20.0], &[21.9, 21.9], Verdict::Unchanged, ReasonCode::RunsWithinThreshold),
        (&[300.0, 300.0], &[340.0, 340.0], Verdict::Regressed, ReasonCode::BeyondSpread),
    ];
    for (base, head, verdict, why) in table {
        let files = Files::new(
            &json!([cell("a", "peak_memory", base.to_vec())]),
            &json!([cell("a", "peak_memory", head.to_vec())]),
        );
        let row = &compare_json(&files, &[]).rows[0];
        assert_eq!((row.verdict, row.p), (verdict, None), "{base:?} {head:?}: {}", row.reason);
        assert_eq!(row.reason_code, Some(why.into()), "{base:?} {head:?}: {}", row.reason);
    }
    // A foreign metric follows its unit; only what we measure is rounded by allocators that we know.
    let mib = |unit: &str, value: f64| {
        let value = value * if unit == "B" { 1048576.0 } else { 1.0 / 1024.0 };
        json!([{"case": "a", "metric": "rss", "unit": unit, "better": "lower", "samples": [value, value]}])
    };
    for unit in ["B", "GiB"] {
        let verdict = |head: f64| compare_json(&Files::new(&mib(unit, 1024.0), &mib(unit, head)), &[]).rows[0].verdict;
        assert_eq!((verdict(1030.0), verdict(1074.0)), (Verdict::Unchanged, Verdict::Regressed), "{unit}");
    }
}

fn results_files(base: &Results, head: &Results) -> Files {
    Files::new(&json!(base), &json!(head))
}

/// Results of another session on the same machine.
fn other_session(factor: impl Fn(usize, &str) -> f64) -> Results {
    let mut results = session(factor);
    results.sessions[0].id = "s-2".into();
    results
}

#[test]
fn large_tables_are_cut_and_say_so() {
    let cells: Vec<Value> = (0..500).map(|index| cell(&format!("case-{index}"), "ttft", noisy(10.0, 0.004))).collect();
    let files = Files::new(&json!(cells), &json!(cells));
    let (_, out, _) = run(&files, &["--same-session"]);
    assert!(out.contains("... and 300 more rows"), "{out}");
    let comparison = compare_json(&files, &["--same-session"]);
    assert_eq!(comparison.rows.len(), 500);
}

/// The worst are in sight, the others in a fold of the same form, and the answer counts all of them.
#[test]
fn ten_cases_are_in_sight() {
    let side = |slower: f64| -> Value {
        let level = |index: usize| 10.0 * (1.0 + slower * (index + 3) as f64 / 100.0);
        (0..14).map(|index| cell(&format!("Qwen2.5-{index}B/bf16"), "ttft", noisy(level(index), 0.003))).collect()
    };
    let (_, out, _) = run(&Files::new(&side(0.0), &side(1.0)), &["--same-session", "--format", "markdown"]);
    assert!(out.starts_with("### 🔴 Slower: TTFT +3.0% to +16.0% in 14 of 14 cases\n"), "{out}");
    let (seen, folded) = out.split_once("<details><summary>The other 4</summary>").expect("a fold");
    assert!(seen.contains("**13B**") && seen.contains("**4B**") && !seen.contains("**3B**"), "{out}");
    assert!(folded.contains("**3B**") && folded.contains("**0B**"), "{out}");
}

/// A foreign file may have any number of metrics: what changed has a column, and what has none is counted.
#[test]
fn metrics_without_a_column_are_counted() {
    let metric = |name: usize, level: f64| json!({"case": "a", "metric": format!("m{name}"), "unit": "x", "better": "lower", "samples": noisy(level, 0.003)});
    let side =
        |last: f64| -> Value { (0..30).map(|name| metric(name, if name == 29 { last } else { 10.0 })).collect() };
    let (_, out, _) = run(&Files::new(&side(10.0), &side(12.0)), &["--same-session"]);
    assert!(out.starts_with("Worse: m29 +20.0%\n"), "{out}");
    assert!(out.contains("\n12 of 30 metrics have a column, those that changed first\n"), "{out}");
    let columns: Vec<&str> =
        out.split_whitespace().filter(|word| word.starts_with('m')).skip_while(|word| *word != "metrics").collect();
    assert!(columns[1] == "m29" && columns[2] == "m0" && !columns.contains(&"m15"), "{columns:?}\n{out}");
}
