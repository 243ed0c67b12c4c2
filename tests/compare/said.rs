//! What is said of files by somebody who doesn't know them: what they look like, and what can be done about it.

use std::fs;

use crate::compare_support::{Files, run};
use crate::{SUCCESS, usage_error};

fn go(lines: usize) -> String {
    "BenchmarkA-8 1000 123 ns/op 3 allocs/op\n".repeat(lines)
}

fn next(out: &str) -> String {
    let next = out.split_once("\nNext:\n").unwrap_or_default().1;
    next.split("\n\n").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// No sessions and no interleaving make an average anything else.
#[test]
fn averages_need_samples_and_nothing_else() {
    let (exit, out, _) = run(&Files::of_text(&go(1), &go(1)), &[]);
    assert_eq!(exit, SUCCESS);
    assert_eq!(next(&out), "give the samples of both sides: an average alone doesn't say how much it varies.");
    assert!(!out.contains("--same-session"), "{out}");
    let single = r#"[{"case": "a", "metric": "ttft", "samples": [10.0]}]"#;
    let (_, out, _) = run(&Files::of_text(single, single), &[]);
    assert_eq!(next(&out), "measure both sides again, with 3 or more runs each.");
}

/// How many there are is in the sentence that says so.
#[test]
fn values_that_are_left_out_are_counted() {
    let file = |values: &str| format!(r#"[{{"case": "a", "metric": "ttft", "samples": {values}}}]"#);
    let files = Files::of_text(&file("[10.0, 10.1, null]"), &file("[10.0, null, 10.1, null]"));
    let (_, out, _) = run(&files, &[]);
    let said = "left out for not being positive, finite numbers: 3 values of 1 cell";
    assert!(out.contains(said) && !out.contains("the reasons say"), "{out}");
}

#[test]
fn a_format_that_a_file_doesnt_have_is_corrected() {
    let hyperfine = fs::read_to_string("tests/fixtures/formats/hyperfine-1.json").unwrap();
    let results = fs::read_to_string("tests/fixtures/schemas/results.v2.json").unwrap();
    for (text, is, hint) in [
        (&hyperfine, "is of hyperfine, not a file of Go's benchmarks", "leave out --from, or say `--from hyperfine`"),
        (&results, "is a results file of bench-diff, not a file of Go's benchmarks", "leave out --from"),
    ] {
        let (exit, _, err) = run(&Files::of_text(text, text), &["--from", "go"]);
        assert_eq!(exit, usage_error());
        assert!(err.ends_with(&format!(".json {is}\n  hint: {hint}\n")), "{err}");
    }
}

/// A value that is none on both sides is no empty cell without a word.
#[test]
fn cells_without_numbers_are_named() {
    let file = r#"[{"case": "a", "metric": "decode_throughput", "samples": [-5, -5, -5]},
        {"case": "b", "metric": "decode_throughput", "samples": [-5]},
        {"case": "a", "metric": "ttft", "samples": [10.0, 10.1, 10.2]}]"#;
    let (_, out, _) = run(&Files::of_text(file, file), &[]);
    let said =
        "not compared, as the base has no positive, finite value there: `decode_throughput` of `a`, and 1 other cell";
    assert!(out.split_whitespace().collect::<Vec<_>>().join(" ").contains(said), "{out}");
}

/// Each file warns of the same.
#[test]
fn a_file_beside_itself_warns_once() {
    let failed = r#"{"results": [{"command": "nap", "times": [0.5, 0.6, 0.55], "exit_codes": [0, 1, 0]}]}"#;
    let files = Files::of_text(failed, failed);
    let path = files.base().display().to_string();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = ["bench-diff", "compare", &path, &path];
    bench_diff::run(args.iter().map(Into::into), &mut out, &mut err);
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out.matches("exited with an error").count(), 1, "{out}");
    assert!(out.contains(": 1 run of `nap` exited with an error"), "{out}");
}

/// Nor are there hundreds of digits, wherever numbers are read.
#[test]
fn numbers_beyond_all_measure_are_short() {
    let of = |level: &str| {
        let samples = [1.0, 1.1, 1.2, 1.3].map(|it| format!("{it}{level}")).join(", ");
        format!(r#"[{{"case": "a", "metric": "ttft", "samples": [{samples}]}}]"#)
    };
    for (base, head) in [("e0", "e300"), ("e300", "e0"), ("e-300", "e300"), ("e300", "e300"), ("e-300", "e-300")] {
        for format in ["table", "markdown", "csv"] {
            let (_, out, _) = run(&Files::of_text(&of(base), &of(head)), &["--format", format]);
            let zeros = "0".repeat(20);
            assert!(!out.contains(&zeros), "{base} to {head}, {format}: {out}");
        }
    }
}
