//! More than two files: each against the first.

use std::process::{Command, ExitCode};

use serde_json::{Value, json};

use super::{SUCCESS, regression, usage_error};
use crate::compare_support::cell;

/// The exit code, standard output and standard error of a comparison of these files, named `a.json`, `b.json` and so on.
fn compare(files: &[Value], flags: &[&str]) -> (ExitCode, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..files.len()).map(|at| format!("{}.json", (b'a' + at as u8) as char)).collect();
    for (name, file) in names.iter().zip(files) {
        std::fs::write(directory.path().join(name), file.to_string()).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    let output = command.arg("compare").args(names).args(flags).current_dir(&directory).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ExitCode::from(output.status.code().unwrap() as u8), text(output.stdout), text(output.stderr))
}

/// Two cases; decode is as fast as said, and a little noise.
fn side(decode: f64) -> Value {
    let noise = [0.999, 1.0, 1.001, 1.0005];
    let samples = |level: f64| noise.map(|factor| level * factor).to_vec();
    json!([
        cell("0.5B, context 1", "decode_throughput", samples(100.0 * decode)),
        cell("0.5B, context 1", "ttft", samples(12.0)),
        cell("7B, context 6144", "decode_throughput", samples(30.0)),
    ])
}

#[test]
fn a_table_of_sides_against_the_first() {
    let files = [side(1.0), side(0.9), side(1.0), side(1.2)];
    let (exit, table, err) = compare(&files, &["--same-session"]);
    assert_eq!((exit, err.as_str()), (SUCCESS, ""));
    insta::assert_snapshot!("sides_on_a_terminal", table);
    let (_, markdown, _) = compare(&files, &["--same-session", "--format", "markdown"]);
    insta::assert_snapshot!("sides_in_markdown", markdown);
    let (_, csv, _) = compare(&files, &["--same-session", "--format", "csv"]);
    let sides: Vec<&str> = csv.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(
        sides,
        ["side", "b.json", "b.json", "b.json", "c.json", "c.json", "c.json", "d.json", "d.json", "d.json"]
    );
}

#[test]
fn the_chance_of_a_false_alarm_is_shared_and_any_side_can_fail() {
    let files = [side(1.0), side(1.0), side(0.9)];
    let (exit, json, _) = compare(&files, &["--same-session", "--format", "json", "--fail-on", "regression"]);
    assert_eq!(exit, regression());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["schema"], &json["base"]), (&json!(1), &json!("a.json")));
    let sides = json["sides"].as_array().unwrap();
    let verdicts: Vec<_> = sides.iter().map(|side| (&side["name"], &side["verdict"], &side["alpha"])).collect();
    let (unchanged, regressed) = (json!("unchanged"), json!("regressed"));
    assert_eq!(
        verdicts,
        [(&json!("b.json"), &unchanged, &json!(0.025)), (&json!("c.json"), &regressed, &json!(0.025))]
    );
    assert_eq!(
        compare(&files[..2], &["--same-session", "--fail-on", "regression"]).0,
        SUCCESS,
        "two files are as ever"
    );
}

#[test]
fn only_what_changed_on_some_side_is_kept() {
    let (_, csv, _) =
        compare(&[side(1.0), side(1.0), side(0.9)], &["--same-session", "--only-changed", "--format", "csv"]);
    let rows: Vec<String> =
        csv.lines().skip(1).map(|line| line.split(',').take(4).collect::<Vec<_>>().join(",")).collect();
    assert_eq!(rows, ["b.json,\"0.5B, context 1\",decode_throughput", "c.json,\"0.5B, context 1\",decode_throughput"]);
}

#[test]
fn files_of_several_kinds_or_too_many_are_refused() {
    let results = serde_json::to_value(crate::compare_support::session(|_, _| 1.0)).unwrap();
    let (exit, _, err) = compare(&[side(1.0), side(1.0), results], &[]);
    assert_eq!(exit, usage_error());
    assert_eq!(err.lines().next(), Some("error: c.json is a results file and a.json is plain samples"));
    let many: Vec<Value> = (0..18).map(|_| side(1.0)).collect();
    let (exit, _, err) = compare(&many, &[]);
    assert_eq!((exit, err.as_str()), (usage_error(), "error: 17 files are too many to compare with one: at most 16\n"));
    let (exit, _, err) = compare(&[side(1.0)], &["--published", "x.json"]);
    assert_eq!(exit, usage_error(), "{err}");
}
