//! Traces for other tools: Chrome's Trace Event format, and folded stacks.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Ran, fakes, trace};

/// A prefill, and four steps of decoding that are alike: two kernels that overlap in one stream, and a copy of the token.
fn doing() -> Vec<String> {
    let mut doing =
        ["kernel load 0 100 200 1 32 0 1", "time 1000", "phase prefill", "kernel embed 0 1100 1400 8 32 0 2"]
            .map(str::to_owned)
            .to_vec();
    doing.extend(["time 2000", "phase decode"].map(str::to_owned));
    for step in 0..4_u64 {
        let at = 2100 + step * 1000;
        doing.push(format!("kernel _ZN2ns4gemvIfEEvPfi 0 {at} {} 132 256 0 {step}", at + 500));
        doing.push(format!("kernel evil\"\\;<b>\u{1b}\u{202e} 0 {} {} 1 32 0 {step}", at + 400, at + 600));
        doing.push(format!("copy 0 2 4 {} {}", at + 700, at + 710));
        doing.push(format!("sync 3 {} {}", at + 650, at + 720));
    }
    doing
}

fn traced(args: &[&str]) -> Ran {
    let (program, doing) = (fakes().program.to_str().unwrap(), doing());
    let doing: Vec<&str> = doing.iter().map(String::as_str).collect();
    trace(&[args, &["--", program], &doing].concat())
}

fn number(event: &Value, field: &str) -> f64 {
    event[field].as_f64().unwrap_or_else(|| panic!("{field}: {event}"))
}

/// The format's own rules: docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
fn checked(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    let events = file["traceEvents"].as_array().unwrap().clone();
    let mut ends: BTreeMap<(u64, u64), f64> = BTreeMap::new();
    for event in &events {
        let row = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        assert!(event["name"].is_string() && event["args"].is_object(), "{event}");
        match event["ph"].as_str().unwrap() {
            "M" => {
                let known = ["process_name", "thread_name", "thread_sort_index"];
                assert!(known.contains(&event["name"].as_str().unwrap()), "{event}");
            }
            "X" => {
                let (start, length) = (number(event, "ts"), number(event, "dur"));
                assert!(start >= 0.0 && length >= 0.0 && event["cat"].is_string(), "{event}");
                let end = ends.entry(row).or_insert(0.0);
                assert!(start >= *end, "two at once on a row: {event}");
                *end = start + length;
            }
            other => panic!("{other}"),
        }
    }
    let named = |row: &(u64, u64)| events.iter().any(|event| event["name"] == "thread_name" && event["tid"] == row.1);
    assert!(ends.keys().all(named), "a row has no name");
    events
}

#[test]
fn a_prefill_and_a_step_of_decoding_open_in_perfetto() {
    let folder = tempfile::tempdir().unwrap();
    let (file, saved) = (folder.path().join("t.json"), folder.path().join("a.trace"));
    let (file, saved) = (file.to_str().unwrap(), saved.to_str().unwrap());
    let ran = traced(&["--output", saved, "--export", "chrome", file]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let events = checked(&std::fs::read_to_string(file).unwrap());
    let of = |cat: &str| events.iter().filter(|event| event["cat"] == cat).cloned().collect::<Vec<_>>();
    let phases: Vec<(String, f64)> =
        of("phase").iter().map(|event| (event["name"].as_str().unwrap().to_owned(), number(event, "ts"))).collect();
    // The last step of the four, from the first kernel of the file on.
    let expected = [("(no phase)", 0.0), ("prefill", 1.0), ("decode", 5.0)].map(|(name, at)| (name.to_owned(), at));
    assert_eq!(phases, expected);
    let kernels: Vec<String> = of("kernel").iter().map(|event| event["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kernels, ["load", "embed", "ns::gemv<float>", "evil\"\\;<b>\u{fffd}\u{fffd}"]);
    let gemv = &of("kernel")[2];
    assert_eq!((number(gemv, "dur"), &gemv["args"]["grid"]), (0.5, &serde_json::json!([132, 1, 1])));
    assert_eq!((of("copy").len(), of("synchronisation").len()), (1, 1));
    assert_eq!(of("copy")[0]["args"]["bytes"], 4);
    let rows: Vec<&str> = events
        .iter()
        .filter(|event| event["name"] == "thread_name")
        .map(|event| event["args"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(rows, ["phases", "GPU 0, stream 7", "GPU 0, stream 7 (2)", "the host waits"]);
    // From the saved file it is the same; a phase alone begins with itself.
    let again = folder.path().join("again.json");
    let again = again.to_str().unwrap();
    assert_eq!(trace(&["--export", "chrome", again, saved]).code, 0);
    assert_eq!(std::fs::read_to_string(again).unwrap(), std::fs::read_to_string(file).unwrap());
    assert_eq!(trace(&["--force", "--phase", "prefill", "--export", "chrome", again, saved]).code, 0);
    let prefill = checked(&std::fs::read_to_string(again).unwrap());
    assert_eq!(prefill.iter().filter(|event| event["ph"] == "X").count(), 2);
}

/// A timeline of `graph` from an H100: its steps differ in nothing, so the file has one of 32.
#[test]
fn a_recorded_timeline_opens_in_perfetto() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.json");
    let file = file.to_str().unwrap();
    assert_eq!(trace(&["--export", "chrome", file, "tests/fixtures/traces/timeline-graph.trace"]).code, 0);
    let events = checked(&std::fs::read_to_string(file).unwrap());
    let of = |cat: &str| -> Vec<Option<&str>> {
        let events = events.iter().filter(|event| event["cat"] == cat);
        events.map(|event| event["name"].as_str()).collect()
    };
    let (phases, kernels) = (of("phase"), of("kernel"));
    assert_eq!(phases, [Some("prefill"), Some("decode")]);
    let count = |name: &str| kernels.iter().flatten().filter(|kernel| kernel.starts_with(name)).count();
    assert_eq!(
        (count("decode_64"), count("prefill_attention")),
        (2, 24),
        "one ends the prefill, one is a step; each layer"
    );
}

/// Nobody pays for what nobody asked for.
#[test]
fn only_who_asks_gets_single_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let (file, saved) = (folder.path().join("t.json"), folder.path().join("a.trace"));
    let (file, saved) = (file.to_str().unwrap(), saved.to_str().unwrap());
    assert_eq!(traced(&["--output", saved]).code, 0);
    assert!(!std::fs::read_to_string(saved).unwrap().contains("timeline"));
    let ran = trace(&["--export", "chrome", file, saved]);
    assert!(ran.code == 2 && ran.err.contains("--timeline"), "{}", ran.err);
    assert_eq!(traced(&["--force", "--timeline", "--output", saved]).code, 0);
    assert_eq!(trace(&["--export", "chrome", file, saved]).code, 0);
    let again = trace(&["--export", "chrome", file, saved]);
    assert!(again.code == 2 && again.err.contains("--force"), "{}", again.err);
    let other = trace(&["--export", "svg", file, saved]);
    assert!(other.code == 2 && other.err.contains("`folded`"), "{}", other.err);
}

#[test]
fn stacks_are_lines_that_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.folded");
    let file = file.to_str().unwrap();
    assert_eq!(traced(&["--export", "folded", file]).code, 0);
    let text = std::fs::read_to_string(file).unwrap();
    insta::assert_snapshot!("folded", text);
    let recorded = "tests/fixtures/traces/plain-1.trace";
    assert_eq!(trace(&["--force", "--export", "folded", file, recorded]).code, 0);
    let sum: u64 = std::fs::read_to_string(file)
        .unwrap()
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum();
    let json: Value = serde_json::from_str(&trace(&["--format", "json", recorded]).out).unwrap();
    let beside = json["beside"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| ["copy", "set"].contains(&row["what"].as_str().unwrap()));
    let beside: f64 = beside.map(|row| row["total_ms"].as_f64().unwrap()).sum();
    let all = json["kernel_ms"].as_f64().unwrap() + json["no_kernel_ms"].as_f64().unwrap() + beside;
    assert!((sum as f64 / 1e6 - all).abs() < 1e-6, "{sum} {all}");
}
