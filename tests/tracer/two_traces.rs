//! `trace --diff` of traces that are written as the tracer writes them.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Ran, trace};

fn sum(calls: u64, ns: u64) -> Value {
    json!({ "calls": calls, "total_ns": calls * ns, "min_ns": ns, "max_ns": ns, "buckets": [] })
}

/// Of a kernel `gemm`, by its grid, block, calls, and nanoseconds of a call.
fn of(kernels: &[(u32, u32, u64, u64)]) -> Value {
    let rows: Vec<Value> = kernels.iter().map(row).collect();
    let busy = kernels.iter().map(|(_, _, calls, ns)| calls * ns).sum();
    let devices = json!([{ "device": 0, "busy": sum(1, busy), "gaps": sum(1, 1000) }]);
    json!({
        "schema": "bench-diff trace 1",
        "processes": [{
            "pid": 7, "program": "p", "cupti": { "library": "libcupti.so.13", "version": 130_001 },
            "ended": true, "dropped": 0, "names": ["", "gemm"],
            "phases": [{ "name": "", "kernels": rows, "devices": devices }]
        }],
    })
}

fn row(&(grid, block, calls, ns): &(u32, u32, u64, u64)) -> Value {
    let mut row = json!({ "device": 0, "name": 1, "grid": [grid, 1, 1], "block": [block, 1, 1] });
    row.as_object_mut().unwrap().extend(sum(calls, ns).as_object().unwrap().clone());
    row
}

fn diff(base: &Value, head: &Value, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, trace: &Value| {
        let file = folder.path().join(name);
        std::fs::write(&file, trace.to_string()).unwrap();
        file
    };
    let files = [write("base.trace", base), write("head.trace", head)];
    let files = files.each_ref().map(|file: &std::path::PathBuf| Path::to_str(file).unwrap());
    trace(&[more, &["--diff"], &files].concat())
}

/// Six zeros tell nobody anything.
#[test]
fn two_traces_that_are_alike_have_no_table() {
    let trace = of(&[(4, 32, 100, 1000)]);
    let ran = diff(&trace, &trace, &[]);
    let first = ran.out.lines().next().unwrap_or_default();
    assert!(first.ends_with(" ms, as before") && !ran.out.contains("Where the change is"), "{}", ran.out);
    assert!(ran.out.contains("1 shape of kernels is as before."), "{}", ran.out);
}

#[test]
fn counts_of_a_trace_that_lacks_something_are_not_called_exact() {
    let (base, mut head) = (of(&[(4, 32, 100, 1000)]), of(&[(4, 32, 50, 1000)]));
    let whole = diff(&base, &head, &[]);
    assert!(whole.out.contains("Counts are exact.") && !whole.out.contains("warning"), "{}", whole.out);
    head["processes"][0]["ended"] = false.into();
    head["processes"][0]["dropped"] = 50.into();
    insta::assert_snapshot!("a_side_lacks_records", diff(&base, &head, &[]).out);
    let json: Value = serde_json::from_str(&diff(&base, &head, &["--format", "json"]).out).unwrap();
    assert_eq!(
        (&json["processes"]["base"][0]["ended"], &json["processes"]["head"][0]["dropped"]),
        (&true.into(), &50.into())
    );
}

#[test]
fn a_kernel_that_is_launched_otherwise_is_one_kernel() {
    let base = of(&[(4, 32, 100, 1000)]);
    for (head, otherwise, shapes) in [
        ((8, 32), "other grid, slower", "4 × 32 → 8 × 32"),
        ((4, 64), "other block, slower", "4 × 32 → 4 × 64"),
        ((2, 64), "other grid and block, slower", "4 × 32 → 2 × 64"),
    ] {
        let head = of(&[(head.0, head.1, 100, 1500)]);
        let out = diff(&base, &head, &[]).out.replace('\u{a0}', " ");
        let row = out.lines().find(|line| line.contains("gemm")).unwrap();
        for word in [otherwise, shapes, "100", "1.00 → 1.50", "+0.050"] {
            assert!(row.contains(word), "{word}: {out}");
        }
        let json: Value = serde_json::from_str(&diff(&base, &head, &["--format", "json"]).out).unwrap();
        let part = |name: &str| json["change"][name].as_f64().unwrap();
        let all = part("head_ms") - part("base_ms");
        assert!((part("speed") - all).abs() < 1e-9 && part("new") == 0.0 && part("gone") == 0.0, "{json}");
    }
}

/// Whose it is nobody knows.
#[test]
fn a_kernel_with_two_new_grids_has_no_pair() {
    let out = diff(&of(&[(4, 32, 100, 1000)]), &of(&[(8, 32, 100, 1500), (16, 32, 100, 1500)]), &[]).out;
    assert!(out.contains("gone") && out.contains("new") && !out.contains("other grid"), "{out}");
}

#[test]
fn one_shape_is_as_before() {
    let out = diff(&of(&[(4, 32, 100, 1000)]), &of(&[(4, 32, 100, 1000)]), &[]).out;
    assert!(out.contains("1 shape of kernels is as before."), "{out}");
}
