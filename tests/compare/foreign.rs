//! Files of other tools: their units, their numbers that are none, and files that are no samples at all.

use serde_json::{Value, json};

use crate::compare_support::{Files, compare_json, run};
use crate::{SUCCESS, usage_error};

fn memory(unit: &str, value: f64) -> Value {
    json!([{"case": "7B", "metric": "peak_memory", "unit": unit, "samples": [value, value, value]}])
}

#[test]
fn units_of_one_quantity_are_converted() {
    for (base, head, verdict) in [
        (memory("GB", 14.92), memory("GB", 60.0), "regressed"),
        (memory("MiB", 2048.0), memory("GiB", 2.0), "unchanged"),
        (memory("GiB", 2.0), memory("B", 4e9), "regressed"),
        (memory("GB", 3.0), memory("GiB", 2.0), "improved"),
    ] {
        let comparison = compare_json(&Files::new(&base, &head), &["--same-session"]);
        assert_eq!(comparison.rows[0].verdict.word(), verdict, "{base} {head}");
        let time = |unit: &str, value: f64| json!([{"case": "a", "metric": "ttft", "unit": unit, "samples": [value, value * 1.001, value * 0.999]}]);
        let files = Files::new(&time("ms", 12.0), &time("ns", 12e6));
        assert_eq!(compare_json(&files, &["--same-session"]).rows[0].change, Some(0.0));
    }
}

/// Allocators round what we measure; a size that somebody else measured is what it is.
#[test]
fn sizes_of_others_have_no_granularity() {
    let file = |unit: &str, value: f64| json!([{"case": "app", "metric": "binary_size", "unit": unit, "better": "lower", "samples": [value, value]}]);
    for (base, head, verdict) in [
        (file("MB", 10.0), file("MB", 12.0), "regressed"),
        (file("KB", 100.0), file("KB", 60.0), "improved"),
        (file("KB", 100.0), file("KB", 100.5), "unchanged"),
    ] {
        let comparison = compare_json(&Files::new(&base, &head), &["--same-session"]);
        assert_eq!(comparison.rows[0].verdict.word(), verdict, "{base} {head}");
        assert!(!comparison.rows[0].reason.contains("64 MiB"), "{}", comparison.rows[0].reason);
    }
    // Ours: what allocators round is said.
    let (_, out, _) = run(&Files::new(&memory("MiB", 1870.0), &memory("MiB", 1930.0)), &["--same-session"]);
    assert!(out.starts_with("No change\n") && out.contains("nor of memory under 64 MiB or 12.5%"), "{out}");
}

#[test]
fn a_unit_that_cant_be_is_an_error() {
    for (unit, said) in [
        ("MHz", "the unit is wrong: peak memory is in MiB, not in `MHz`"),
        ("gib", "the unit `gib` is unknown\n  hint: did you mean `GiB`?"),
    ] {
        let (exit, _, err) = run(&Files::new(&memory("MiB", 1.0), &memory(unit, 1.0)), &[]);
        assert_eq!(exit, usage_error());
        assert_eq!(err, format!("error: head.json: case `7B`, metric `peak_memory`: {said}\n"));
    }
}

/// Zero, null, NaN or left out: what the base had and the head hasn't is lost, and fails a gate.
#[test]
fn numbers_that_are_lost_are_lost_however_they_are_written() {
    let file = |decode: &str| {
        format!(
            r#"[{{"case": "a", "metric": "ttft", "samples": [10, 10.1, 9.9]}}{decode}]"#,
            decode = if decode.is_empty() {
                String::new()
            } else {
                format!(r#", {{"case": "a", "metric": "decode_throughput", "samples": {decode}}}"#)
            }
        )
    };
    let base = file("[100, 101, 99]");
    let mut said = String::new();
    for head in ["[0, 0, 0]", "[null, null, null]", "[NaN, NaN, NaN]", "[-1]", ""] {
        let files = Files::of_text(&base, &file(head));
        let (exit, out, _) = run(&files, &["--same-session", "--fail-on", "regression"]);
        assert_ne!(exit, SUCCESS, "{out}");
        said += &format!("{head}\n{}\n", out.lines().find(|line| line.contains("decode_throughput")).expect("a note"));
        // Where the base has none, nothing is lost.
        let (exit, out, _) = run(&Files::of_text(&file(head), &base), &["--same-session", "--fail-on", "regression"]);
        assert_eq!(exit, SUCCESS, "{out}");
    }
    insta::assert_snapshot!(said);
}

/// A case whose only metric is lost did run.
#[test]
fn a_case_without_numbers_is_not_said_to_be_cut_off() {
    let file = |value: f64| json!([{"case": "enc", "metric": "requests", "unit": "1/s", "better": "higher", "samples": [value, value]}]);
    let (exit, out, _) = run(&Files::new(&file(3.0), &file(0.0)), &["--fail-on", "regression"]);
    assert_ne!(exit, SUCCESS);
    assert!(out.contains("`requests` is lost: of 2 values of the head, none is a positive, finite number"), "{out}");
    assert!(!out.contains("never ran") && !out.contains("no case and metric in common"), "{out}");
}

#[test]
fn files_that_everybody_recognises() {
    let good = r#"[{"case": "a", "metric": "ttft", "samples": [1.0, 2.0]}]"#;
    let utf16 =
        |text: &str| [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let files: [(&str, Vec<u8>); 5] = [
        ("UTF-16", utf16(good)),
        ("gzip", b"\x1f\x8b\x08\x00".to_vec()),
        ("git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".to_vec()),
        ("a conflict", format!("[\n<<<<<<< HEAD\n{good}\n=======\n").into_bytes()),
        ("a web page", b"<!DOCTYPE html><html></html>".to_vec()),
    ];
    let mut said = String::new();
    for (what, content) in files {
        let (exit, _, err) = run(&Files::of_bytes(good.as_bytes(), &content), &[]);
        assert_eq!(exit, usage_error(), "{what}");
        said += &format!("{what}\n  {err}");
    }
    insta::assert_snapshot!(said);
}
