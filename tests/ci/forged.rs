//! Names that look like workflow commands: where a GitHub runner reads, none of them is one.

use std::process::Command;

use serde_json::{Value, json};

use crate::Place;

const NAMES: [&str; 5] = ["::error::forged", "x ##[error]forged", "::add-mask::a", "\u{2003}::error::b", "###[group]c"];
const RUNNER: [(&str, &str); 1] = [("GITHUB_ACTIONS", "true")];

/// As the runner finds them: `::` at the start of a line, behind whatever is blank in Unicode, and `##[` anywhere.
fn commands(text: &str) -> Vec<&str> {
    let is_command = |line: &&str| line.trim_start().starts_with("::") || line.contains("##[");
    text.split(['\n', '\r']).filter(is_command).collect()
}

fn samples(times: f64) -> String {
    let cell = |name: &&str| {
        let samples = [1.0, 1.01, 0.99, 1.0].map(|value| value * times);
        json!({ "case": name, "metric": "ttft", "samples": samples })
    };
    json!(NAMES.iter().map(cell).collect::<Vec<_>>()).to_string()
}

fn place() -> Place {
    let place = Place::new();
    std::fs::write(place.path("old"), samples(1.0)).unwrap();
    std::fs::write(place.path("new"), samples(1.5)).unwrap();
    place
}

#[test]
fn a_name_is_no_command() {
    let place = place();
    for args in [
        &["compare", "old", "new"][..],
        &["compare", "old", "new", "--format", "csv"],
        &["compare", "old", "new", "--format", "markdown"],
        &["compare", "old", "new", "old"],
        &["compare", "old", "new", "old", "--format", "csv"],
        &["convert", "old", "--to", "go"],
        &["compare", "old", "::error::no/such ##[error]file"],
        &["baseline", "update", "old"],
    ] {
        let (_, out, err) = place.run_with(args, &RUNNER);
        assert!(!out.is_empty() || !err.is_empty(), "{args:?}");
        assert_eq!((commands(&out), commands(&err)), (vec![], vec![]), "{args:?}");
        let (_, elsewhere, _) = place.run(args);
        assert_eq!(out.replace('\u{200b}', ""), elsewhere.replace('\u{200b}', ""), "{args:?}: only that is new");
    }
}

/// What programs read says the very same.
#[test]
fn json_stays_exact() {
    let place = place();
    for args in [&["compare", "old", "new", "--format", "json"][..], &["convert", "old", "--to", "ours"]] {
        let (_, out, _) = place.run_with(args, &RUNNER);
        assert_eq!(commands(&out), Vec::<&str>::new(), "{args:?}");
        let [there, here] = [out, place.run(args).1].map(|text| serde_json::from_str::<Value>(&text).unwrap());
        assert_eq!(there, here, "{args:?}");
    }
}

/// No runner reads a file.
#[test]
fn a_file_stays_exact() {
    let place = place();
    let csv = |runner: &str| {
        let file = std::fs::File::create(place.path("csv")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
        command.args(["compare", "old", "new", "--format", "csv"]).current_dir(place.path(""));
        command.env("GITHUB_ACTIONS", runner).stdout(file).status().unwrap();
        std::fs::read_to_string(place.path("csv")).unwrap()
    };
    let text = csv("true");
    assert_eq!(text, csv(""));
    assert!(text.contains("x ##[error]forged"), "{text}");
}

/// The comment, where it is printed and not posted: also its code spans.
#[test]
fn a_report_that_is_printed_holds_no_command() {
    let place = Place::new();
    let report = std::fs::read_to_string("tests/fixtures/schemas/report.v3.json").unwrap();
    let parsed: Value = serde_json::from_str(&report).unwrap();
    let cases = parsed["head"]["cases"].as_array().unwrap().iter().enumerate();
    let forged = cases.fold(report.clone(), |report, (index, case)| {
        report.replace(&format!("\"{}\"", case["id"].as_str().unwrap()), &format!("\"{}\"", NAMES[index % 5]))
    });
    std::fs::create_dir(place.path("kept")).unwrap();
    std::fs::write(place.path("kept/report.json"), forged).unwrap();
    let (_, out, err) = place.run_with(&["publish", "--results", "kept"], &RUNNER);
    let (_, elsewhere, _) = place.run(&["publish", "--results", "kept"]);
    assert!(!commands(&elsewhere).is_empty(), "there is something to break: {elsewhere}");
    assert!(out.contains("error"), "{out}{err}");
    assert_eq!(commands(&out), Vec::<&str>::new(), "{out}");
    let annotations = commands(&err);
    assert!(annotations.iter().all(|line| line.contains(" title=bench-diff") && !line.contains("##[")), "{err}");
}
