//! Files that are broken, hostile, or of a newer version.

use serde_json::{Value, json};

use crate::compare_support::{Files, cell, compare_json, run, session};
use crate::{SUCCESS, report, usage_error};

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
        r#"{"schema": 3, "surprise": true}"#.into(),
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
            let (exit, ..) = run(&files, &["--fail-on", "never"]);
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

/// The largest and smallest numbers that JSON can hold: whatever is said, it is JSON again.
#[test]
fn extreme_values_stay_finite() {
    let tiny = json!([cell("a", "ttft", vec![5e-324, 1e-308, 2e-308])]);
    let huge = json!([cell("a", "ttft", vec![1e308, 1.7e308, 1.2e308])]);
    for (base, head) in [(&tiny, &huge), (&huge, &tiny), (&huge, &huge), (&tiny, &tiny)] {
        for flags in [&["--same-session"][..], &[]] {
            let row = compare_json(&Files::new(base, head), flags).rows.remove(0);
            let numbers = [row.change, row.p, row.df, row.minimum_detectable_effect, row.base.and_then(|base| base.sd)];
            assert!(numbers.into_iter().flatten().all(f64::is_finite), "{row:?}");
        }
    }
}
