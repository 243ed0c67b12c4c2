//! Traces that were saved, some of them on an H100.

use crate::{fakes, trace};

const PLAIN: [&str; 2] = ["tests/fixtures/traces/plain-1.trace", "tests/fixtures/traces/plain-2.trace"];
const STOCK: &str = "tests/fixtures/traces/stock-1.trace";

#[test]
fn a_saved_trace_is_shown() {
    insta::assert_snapshot!("plain_on_an_h100", trace(&["--top", "8", PLAIN[0]]).out);
    insta::assert_snapshot!("graph_on_an_h100", trace(&["--top", "5", "tests/fixtures/traces/graph-1.trace"]).out);
    insta::assert_snapshot!("killed_on_an_h100", trace(&["--top", "3", "tests/fixtures/traces/eager-cut.trace"]).out);
}

#[test]
fn two_programs_differ_in_their_kernels() {
    insta::assert_snapshot!("plain_against_stock", trace(&["--top", "12", "--diff", PLAIN[0], STOCK]).out);
}

#[test]
fn two_runs_of_a_program_have_the_same_counts() {
    let ran = trace(&["--format", "json", "--diff", PLAIN[0], PLAIN[1]]);
    let diff: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(diff["counts"], serde_json::json!([]));
    let odd = ["gone", "new", "more_calls", "fewer_calls"];
    let rows = diff["kernels"].as_array().unwrap();
    assert!(rows.len() > 50 && rows.iter().all(|row| !odd.contains(&row["what"].as_str().unwrap())), "{rows:#?}");
    let number = |name: &str| diff["change"][name].as_f64().unwrap();
    let parts: f64 =
        ["gone", "new", "calls", "speed", "no_kernel", "unexplained"].iter().map(|name| number(name)).sum();
    assert!((parts - (number("head_ms") - number("base_ms"))).abs() < 1e-6);
}

#[test]
fn what_is_saved_is_what_was_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.trace");
    let (file, program) = (file.to_str().unwrap(), fakes().program.to_str().unwrap());
    let save = |extra: &[&str]| {
        trace(&[&["--output", file], extra, &["--", program, "kernel gemv 0 10 20 1 32 0 1"]].concat())
    };
    let shown = save(&[]).out;
    assert_eq!(trace(&[file]).out, shown);
    let again = save(&[]);
    assert!(again.code == 2 && again.err.contains("--force"), "{}", again.err);
    assert_eq!(save(&["--force"]).code, 0);
}
