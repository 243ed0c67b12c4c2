//! `compare` from the outside: files in, verdicts out.

mod compare_support;

use std::process::ExitCode;

use bench_diff::case::Implementation;
use bench_diff::compare::{self, Comparison, Confirmation, LOOKS, NoteKind, Options, Side, Tier, Verdict};
use bench_diff::results::{Failure, FailureKind, Outcome, Results};
use compare_support::{Files, case, cell, compare_json, run, session};
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
    assert!((got - want).abs() <= 1e-6 * want.abs() + 1e-14, "{what}: {got} instead of {want}");
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
            assert_eq!(json!(row.verdict), want["verdict"], "{place}");
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
        json!({"regressed": 2, "improved": 1, "inconclusive": 1, "unchanged": 14, "not_comparable": 0})
    );
    assert_eq!((&value["tier"], &value["alpha"], &value["family"]), (&json!("same-session"), &json!(0.05), &json!(12)));
    let rows = value["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 3);
    let memory = rows.iter().find(|row| row["metric"] == "peak_memory").expect("a memory row");
    let keys: Vec<&String> = memory.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["base", "better", "case", "change", "head", "margin", "metric", "reason", "unit", "verdict"]);
    assert_eq!(memory["base"], json!({"n": 3, "mean": 15750.0, "sd": 0.0}));
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
        assert_eq!((row.verdict, row.p), (Verdict::Inconclusive, None), "{bad}");
        assert_eq!(row.reason, "error: 1 of 3 values of the head are not positive, finite numbers", "{bad}");
        assert_eq!(row.head.expect("the good values").n, 2);
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

/// base, head (MiB), verdict: disjoint ranges, at least 64 MiB, 1%, and twice the spread apart.
#[test]
fn memory_is_compared_by_ranges() {
    let table: [(&[f64], &[f64], Verdict); 8] = [
        (&[8000.0, 8000.0], &[8100.0, 8100.0], Verdict::Regressed),
        (&[8100.0, 8100.0], &[8000.0, 8000.0], Verdict::Improved),
        // 65 MiB is more than 64, but not 1% of 8000.
        (&[8000.0, 8000.0], &[8065.0, 8065.0], Verdict::Unchanged),
        // 3% of 2000, but only 60 MiB.
        (&[2000.0, 2000.0], &[2060.0, 2060.0], Verdict::Unchanged),
        (&[2000.0, 2000.0], &[2064.0, 2064.0], Verdict::Regressed),
        // The gap of 100 is no more than twice the spread of 60.
        (&[8000.0, 8060.0], &[8160.0, 8160.0], Verdict::Inconclusive),
        (&[8000.0, 8200.0], &[8100.0, 8300.0], Verdict::Inconclusive),
        (&[8000.0], &[9000.0], Verdict::Inconclusive),
    ];
    for (base, head, verdict) in table {
        let files = Files::new(
            &json!([cell("a", "peak_memory", base.to_vec())]),
            &json!([cell("a", "peak_memory", head.to_vec())]),
        );
        let row = &compare_json(&files, &[]).rows[0];
        assert_eq!((row.verdict, row.p), (verdict, None), "{base:?} {head:?}: {}", row.reason);
    }
    // A foreign metric follows its unit.
    let gib = |value: f64| json!([{"case": "a", "metric": "rss", "unit": "GiB", "better": "lower", "samples": [value, value]}]);
    assert_eq!(compare_json(&Files::new(&gib(8.0), &gib(8.05)), &[]).rows[0].verdict, Verdict::Unchanged);
    assert_eq!(compare_json(&Files::new(&gib(8.0), &gib(8.5)), &[]).rows[0].verdict, Verdict::Regressed);
}

#[test]
fn broken_files_say_what_and_where() {
    let good = r#"[{"case": "a", "metric": "ttft", "samples": [1.0, 2.0]}]"#;
    let unknown = |fields: &str| format!(r#"[{{"case": "a", "metric": "m", {fields}}}]"#);
    let broken: Vec<String> = vec![
        String::new(),
        "hello".into(),
        "[".into(),
        "[]".into(),
        r#"[{"case": "a", "metric": "ttft", "samples": [1.0, 2."#.into(),
        r#"[{"case": "a", "metric": "ttft", "samples": "fast"}]"#.into(),
        r#"[{"case": "a", "metric": "ttft", "samples": []}]"#.into(),
        r#"[{"case": "a", "metric": "ttft", "sessions": [[1.0], []]}]"#.into(),
        r#"[{"case": "a", "metric": "ttft"}]"#.into(),
        r#"[{"case": "a", "metric": "ttft", "samples": [1], "sessions": [[1]]}]"#.into(),
        r#"[{"case": "", "metric": "ttft", "samples": [1]}]"#.into(),
        r#"[{"metric": "ttft", "samples": [1]}]"#.into(),
        r#"[{"case": "a", "metric": "ttft", "samples": [1]}, {"case": "a", "metric": "ttft", "samples": [1]}]"#.into(),
        r#"[{"case": "a", "metric": "ttft", "unit": "MiB", "samples": [1.0, 2.0]}]"#.into(),
        r#"[{"case": "a", "metric": "ttft", "better": "higher", "samples": [1.0, 2.0]}]"#.into(),
        unknown(r#""better": "higher", "samples": [1]"#),
        unknown(r#""unit": "x", "samples": [1]"#),
        unknown(r#""unit": "x", "better": "bigger", "samples": [1]"#),
        "[".repeat(100_000),
        "{}".into(),
        r#"{"schema": 2, "surprise": true}"#.into(),
        r#"{"schema": 0}"#.into(),
    ];
    let mut report = String::new();
    for text in broken {
        let files = Files::of_text(good, &text);
        let (exit, out, err) = run(&files, &[]);
        assert_eq!((exit, out.as_str()), (usage_error(), ""), "{text}");
        let shown: String = text.chars().take(100).collect();
        report += &format!("{shown}\n  {err}");
    }
    insta::assert_snapshot!(report);
}

#[test]
fn a_file_that_is_not_there() {
    let files = Files::new(&report(|_, _| 1.0), &Value::Null);
    std::fs::remove_file(files.head()).expect("the file is there");
    let (exit, _, err) = run(&files, &[]);
    assert_eq!(exit, usage_error());
    assert!(err.contains("can't read head.json"), "{err}");
}

/// Any byte of a file may be anything: an answer or an error, never a panic.
#[test]
fn mutilated_files_never_panic() {
    let results = serde_json::to_string(&session(|_, _| 1.0)).expect("JSON");
    let samples = report(|_, _| 1.0).to_string();
    for text in [results, samples] {
        let text = text.as_bytes();
        for step in 0..150 {
            let at = step * text.len() / 150;
            let mut bytes = text.to_vec();
            bytes[at] = b"\"0e-{[],x\x80\\"[step % 10];
            let files = Files::of_bytes(text, &bytes);
            let (exit, ..) = run(&files, &[]);
            assert!([SUCCESS, usage_error()].contains(&exit));
            let cut = Files::of_bytes(text, &text[..at]);
            assert_eq!(run(&cut, &[]).0, usage_error(), "cut at {at}");
        }
    }
}

#[test]
fn hostile_names_stay_names() {
    let name = "@octocat|`x`\n# h\u{1b}[2J\u{202e}<img src=x>[l](https://evil.example)";
    let cells = json!([{"case": name, "metric": name, "unit": "|<b>|", "better": "lower", "samples": [1.0, 1.1, 1.2]}]);
    let more = json!([cell("only here =1+1", "ttft", vec![1.0])]);
    let files = Files::new(&cells, &json!([cells[0], more[0]]));
    for format in ["table", "markdown", "csv"] {
        let (_, out, _) = run(&files, &["--format", format]);
        assert!(!out.contains(['\u{1b}', '\u{202e}']), "{format}");
    }
    insta::assert_snapshot!(run(&files, &["--format", "markdown"]).1);
    let long = json!([cell(&"x".repeat(1_000_000), "ttft", vec![1.0, 1.0])]);
    let (_, out, _) = run(&Files::new(&long, &long), &[]);
    assert!(out.len() < 10_000);
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
fn sessions_in_both_files_were_interleaved() {
    let files = results_files(&session(|_, _| 1.0), &session(|case, _| if case == 0 { 1.04 } else { 1.0 }));
    let comparison = compare_json(&files, &[]);
    assert_eq!((comparison.tier, comparison.verdict), (Tier::SameSession, Verdict::Regressed));
    // Only the metrics that matter, until all are asked for.
    let metrics = |comparison: &Comparison| comparison.rows.iter().filter(|row| row.case == case(0).id).count();
    assert_eq!(metrics(&comparison), 3);
    assert_eq!(metrics(&compare_json(&files, &["--metric", "all"])), 4);
    assert_eq!(metrics(&compare_json(&files, &["--metric", "tpot"])), 1);
}

#[test]
fn sessions_apart_drift() {
    let files = results_files(&session(|_, _| 1.0), &other_session(|case, _| if case == 0 { 1.04 } else { 1.0 }));
    let comparison = compare_json(&files, &[]);
    assert_eq!((comparison.tier, comparison.counts.regressed), (Tier::SingleBaseline, 0));
    assert!(comparison.warnings.iter().any(|warning| warning.starts_with("single baseline session")));
}

#[test]
fn five_sessions_are_a_history() {
    let mut base = session(|_, _| 1.0);
    for index in 2..=5 {
        let mut more = session(|_, _| 1.0 + 0.001 * f64::from(index)).sessions.remove(0);
        more.id = format!("s-{index}");
        base.sessions.push(more);
    }
    let mut head = session(|case, _| if case == 0 { 1.05 } else { 1.0035 });
    head.sessions[0].id = "head".into();
    let comparison = compare_json(&results_files(&base, &head), &[]);
    // 5% is within the threshold of ITL p99.
    assert_eq!((comparison.tier, comparison.counts.regressed), (Tier::History, 2));
    assert_eq!(comparison.rows[0].df_pooled, Some(4.0));
}

#[test]
fn another_machine_is_not_comparable() {
    let mut head = other_session(|_, _| 2.0);
    head.sessions[0].environment.gpus[0].name = "NVIDIA H200".into();
    head.sessions[0].environment.driver_version = Some("600.1".into());
    let files = results_files(&session(|_, _| 1.0), &head);
    let (exit, out, _) = run(&files, &["--fail-on", "regression"]);
    assert_eq!(exit, SUCCESS);
    insta::assert_snapshot!(out);
    let comparison = compare_json(&files, &["--allow-mismatch"]);
    assert_eq!(comparison.verdict, Verdict::Regressed);
    assert!(comparison.warnings.iter().any(|warning| warning.contains("--allow-mismatch")));
}

#[test]
fn other_work_is_not_comparable() {
    let mut head = other_session(|_, _| 1.0);
    head.cases[1].generated_length = 64;
    let comparison = compare_json(&results_files(&session(|_, _| 1.0), &head), &[]);
    let verdicts =
        |id: &str| comparison.rows.iter().filter(|row| row.case == id).map(|row| row.verdict).collect::<Vec<_>>();
    assert_eq!(verdicts(&case(1).id), [Verdict::NotComparable; 3]);
    assert!(!verdicts(&case(0).id).contains(&Verdict::NotComparable));
    assert!(comparison.rows.iter().any(|row| row.reason == "generated_length 32 -> 64"));
    head.cases[1].generated_length = 32;
    head.settings.warmup = 0;
    let comparison = compare_json(&results_files(&session(|_, _| 1.0), &head), &[]);
    assert_eq!(comparison.verdict, Verdict::NotComparable);
    assert_eq!(comparison.counts.not_comparable, comparison.rows.len());
}

/// Results in which `case` was run by `ran`, whatever was asked for; with nothing else to tell apart.
fn run_by(ran: Implementation, case_index: usize, factor: f64) -> Results {
    let mut results = session(|index, _| if index == case_index { factor } else { 1.0 });
    for run in results.sessions[0].runs.iter_mut().filter(|run| run.case == case(case_index).id) {
        let Outcome::Ok(measured) = &mut run.outcome else { panic!("every run is well") };
        measured.implementation = Some(ran);
    }
    results
}

/// `graph` was asked for on both sides. In the head it couldn't run a case: another program than the base's was timed.
#[test]
fn a_fallback_of_the_head_is_said_and_fails() {
    let files = results_files(&run_by(Implementation::Graph, 1, 1.0), &run_by(Implementation::Plain, 1, 5.0));
    let (exit, out, _) = run(&files, &["--fail-on", "regression"]);
    assert_eq!(exit, regression());
    insta::assert_snapshot!(out);
    // Files from before this was recorded ran what was asked for.
    let old = results_files(&session(|_, _| 1.0), &run_by(Implementation::Plain, 1, 5.0));
    assert_eq!(run(&old, &["--fail-on", "regression"]).1, out);
    let comparison = compare_json(&files, &["--allow-mismatch"]);
    assert_eq!((comparison.counts.regressed, comparison.counts.not_comparable), (3, 0));
}

#[test]
fn a_fallback_on_both_sides_is_compared_and_said() {
    let plain = run_by(Implementation::Plain, 1, 1.0);
    let comparison = compare_json(&results_files(&plain, &plain), &[]);
    assert_eq!(comparison.verdict, Verdict::Unchanged);
    assert_eq!(comparison.notes, []);
    let said = format!("`plain` ran instead of `graph` in `{}`", case(1).id);
    assert_eq!(comparison.warnings.iter().filter(|warning| warning.ends_with(&said)).count(), 2);
    let graph = run_by(Implementation::Graph, 1, 1.0);
    let mended = compare_json(&results_files(&plain, &graph), &[]);
    assert_eq!(mended.verdict, Verdict::NotComparable);
    assert_eq!(mended.notes, [], "the head lost nothing");
}

/// Lost, failed, new and never-run cases, other tokens, throttling, and a session that was cut off.
#[test]
fn what_has_no_verdict_is_still_said() {
    let base = session(|_, _| 1.0);
    let mut head = session(|_, _| 1.0);
    head.cases.retain(|planned| planned.id != case(1).id);
    head.cases.push(bench_diff::case::Case { id: "new|case".into(), ..case(1) });
    let session = &mut head.sessions[0];
    session.finished = None;
    session.runs.retain(|run| run.case != case(1).id && run.case != case(2).id);
    for run in &mut session.runs {
        let Outcome::Ok(measured) = &mut run.outcome else { continue };
        if run.case == case(0).id {
            measured.token_hash = Some("other".into());
            measured.device.get_or_insert_default().throttle_reasons = vec!["SW_POWER_CAP".into()];
        } else if run.case == case(3).id {
            let failure = Failure { kind: FailureKind::OutOfMemory, reason: "the GPU's memory ran out".into() };
            run.outcome = Outcome::Failed(failure);
        }
    }
    let files = results_files(&base, &head);
    let (exit, out, _) = run(&files, &["--fail-on", "regression"]);
    assert_eq!(exit, regression());
    insta::assert_snapshot!(out);
    let comparison = compare_json(&files, &[]);
    let kinds: Vec<NoteKind> = comparison.notes.iter().map(|note| note.kind).collect();
    assert_eq!(kinds, [NoteKind::OutputChanged, NoteKind::Missing, NoteKind::Missing, NoteKind::Failed, NoteKind::New]);
}

#[test]
fn results_are_checked_for_meaning() {
    let good = json!(session(|_, _| 1.0));
    let mut report = String::new();
    let mut check = |path: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(path).expect("the field is there") = value;
        let (exit, _, err) = run(&Files::new(&good, &bad), &[]);
        assert_eq!(exit, usage_error(), "{path}");
        report += &err;
    };
    check("/cases/1", good["cases"][0].clone());
    check("/sessions", json!([good["sessions"][0], good["sessions"][0]]));
    check("/sessions/0/runs/0/case", json!("never planned"));
    check("/sessions/0/runs/1", good["sessions"][0]["runs"][0].clone());
    check("/sessions/0/runs/0/status", json!("perhaps"));
    check("/sessions/0/runs/0/metrics", json!({"ttft": "fast"}));
    check("/schema", json!(7));
    insta::assert_snapshot!(report);
}

#[test]
fn unknown_fields_and_metrics_of_a_newer_version_are_left_alone() {
    let mut newer = json!(session(|_, _| 1.0));
    newer["surprise"] = json!({"a": [1, 2]});
    newer["sessions"][0]["runs"][0]["metrics"]["tokens_per_joule"] = json!(3.5);
    newer["sessions"][0]["runs"][0]["surprise"] = json!(null);
    let comparison = compare_json(&Files::new(&newer, &json!(session(|_, _| 1.0))), &[]);
    assert!(
        comparison.warnings.iter().any(|warning| warning.contains("`tokens_per_joule`")),
        "{:?}",
        comparison.warnings
    );
}

#[test]
fn two_kinds_of_files_are_not_mixed() {
    let files = Files::new(&json!(session(|_, _| 1.0)), &report(|_, _| 1.0));
    let (exit, _, err) = run(&files, &[]);
    assert_eq!(exit, usage_error());
    assert!(err.contains("same kind"), "{err}");
}

/// A screen against another session finds suspects; fresh interleaved runs acquit or convict.
#[test]
fn suspects_are_measured_again() {
    let options = Options::default();
    let side = |name: &str, results: &Results| Side::from_results(name, results);
    let base = side("base", &session(|_, _| 1.0));
    // Everything has drifted by 1%, and case 0 is slower on top.
    let head = side("head", &other_session(|case, _| if case == 0 { 1.04 } else { 1.01 }));
    let screen = compare::compare(&base, &head, &options).expect("a comparison");
    assert_eq!(screen.counts.regressed, 0);
    let suspects = compare::suspects(&base, &head, &options).expect("suspects");
    assert!(suspects.len() > 4);
    let mut confirmation = Confirmation::new(screen, suspects.clone(), &options);
    assert_eq!(confirmation.wanted(), Some(LOOKS[0]));
    let fresh = |factor: f64| session(|case, _| if case == 0 { factor } else { 1.0 });
    confirmation.look(&side("base", &fresh(1.0)), &side("head", &fresh(1.09))).expect("a look");
    assert_eq!(confirmation.wanted(), None, "all is settled by the first look");
    let confirmed = confirmation.finish();
    assert_eq!((confirmed.tier, confirmed.verdict), (Tier::Confirmed, Verdict::Regressed));
    assert_eq!(confirmed.family, suspects.len());
    for row in &confirmed.rows {
        let suspect = suspects.iter().any(|suspect| (&suspect.case, &suspect.metric) == (&row.case, &row.metric));
        assert_eq!(row.confirmed, suspect, "{} {}", row.case, row.metric);
        if suspect {
            let expected = if row.case == case(0).id { Verdict::Regressed } else { Verdict::Unchanged };
            assert_eq!((row.verdict, row.confidence), (expected, Some(0.99)), "{} {}", row.case, row.metric);
        }
    }
}

/// What a look has settled stays; what is open is looked at again, until no look is left.
#[test]
fn what_is_open_is_looked_at_again() {
    let options = Options { same_session: true, ..Options::default() };
    let cells = |clear: f64, close: f64, n: usize| {
        let spread = |level: f64| (0..n).map(|i| level * (1.0 + 0.004 * (i % 2) as f64)).collect();
        json!([cell("clear", "ttft", spread(clear)), cell("close", "ttft", spread(close))])
    };
    let sides = |clear: f64, n: usize| {
        let files = Files::new(&cells(10.0, 10.0, n), &cells(clear, 10.17, n));
        compare::load(&files.base(), &files.head()).expect("samples")
    };
    let (base, head) = sides(11.0, 4);
    let screen = compare::compare(&base, &head, &options).expect("a comparison");
    let suspects = compare::suspects(&base, &head, &options).expect("suspects");
    assert_eq!(suspects.len(), 2);
    let mut confirmation = Confirmation::new(screen, suspects, &options);
    let mut seen = Vec::new();
    while let Some(runs) = confirmation.wanted() {
        // The clear one is measured no more after the first look: whatever came later would change nothing.
        let (base, head) = sides(if runs == LOOKS[0] { 11.0 } else { 10.0 }, runs as usize);
        confirmation.look(&base, &head).expect("a look");
        seen.push((runs, confirmation.open_cases().into_iter().collect::<Vec<_>>().join(" ")));
    }
    insta::assert_snapshot!(seen.iter().map(|(runs, open)| format!("{runs}: {open}\n")).collect::<String>());
    let rows = confirmation.finish().rows;
    assert_eq!(rows[0].verdict, Verdict::Regressed);
    assert_eq!(rows[0].base.map(|base| base.n), Some(4));
}

/// A suspect that couldn't be measured again is neither guilty nor innocent.
#[test]
fn a_suspect_without_fresh_runs_stays_open() {
    let options = Options::default();
    let base = Side::from_results("base", &session(|_, _| 1.0));
    let head = Side::from_results("head", &session(|case, _| if case == 0 { 1.05 } else { 1.0 }));
    let screen = compare::compare(&base, &head, &options).expect("a comparison");
    let suspects = compare::suspects(&base, &head, &options).expect("suspects");
    assert_eq!(screen.verdict, Verdict::Regressed);
    let nothing = Side::default();
    let mut confirmation = Confirmation::new(screen, suspects, &options);
    confirmation.look(&nothing, &nothing).expect("a look");
    let confirmed = confirmation.finish();
    assert_eq!((confirmed.counts.regressed, confirmed.verdict), (0, Verdict::Inconclusive));
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

/// The largest and smallest numbers that JSON can hold: whatever is said, it is JSON again.
#[test]
fn extreme_values_stay_finite() {
    let tiny = json!([cell("a", "ttft", vec![5e-324, 1e-308, 2e-308])]);
    let huge = json!([cell("a", "ttft", vec![1e308, 1.7e308, 1.2e308])]);
    for (base, head) in [(&tiny, &huge), (&huge, &tiny), (&huge, &huge), (&tiny, &tiny)] {
        for flags in [&["--same-session"][..], &[]] {
            let row = compare_json(&Files::new(base, head), flags).rows.remove(0);
            let numbers = [row.change, row.p, row.df, row.detectable, row.base.and_then(|base| base.sd)];
            assert!(numbers.into_iter().flatten().all(f64::is_finite), "{row:?}");
        }
    }
}

/// A run that was killed before its first result: everything is missing, nothing is invented.
#[test]
fn results_without_runs() {
    let mut head = other_session(|_, _| 1.0);
    head.sessions[0].runs.clear();
    head.sessions[0].finished = None;
    let files = results_files(&session(|_, _| 1.0), &head);
    let comparison = compare_json(&files, &[]);
    assert_eq!((comparison.rows.len(), comparison.notes.len()), (0, 6));
    assert_eq!(comparison.verdict, Verdict::NotComparable);
    assert_eq!(run(&files, &["--fail-on", "regression"]).0, regression());
    head.sessions.clear();
    assert_eq!(compare_json(&results_files(&session(|_, _| 1.0), &head), &[]).notes.len(), 6);
}

/// A metric that bench-diff knows may be asked for where nobody measured it.
#[test]
fn a_known_metric_may_be_absent() {
    let files = Files::new(&report(|_, _| 1.0), &report(|_, _| 1.0));
    let comparison = compare_json(&files, &["--metric", "energy_per_token", "--margin", "energy_per_token=3"]);
    assert!(comparison.rows.is_empty());
    assert!(comparison.warnings.iter().any(|warning| warning.starts_with("nothing was compared")));
}
