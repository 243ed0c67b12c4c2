//! `convert`: what is written is read again with the same values and units.

use std::fs;
use std::process::ExitCode;

use super::foreign_rows::FORMATS;
use super::tools::{fixture, rows};
use super::{SUCCESS, usage_error};
use crate::compare_support::session;

/// Exit code, standard output and standard error.
fn convert(content: &[u8], flags: &[&str]) -> (ExitCode, Vec<u8>, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, content).unwrap();
    let path = path.display().to_string();
    let args = [&["bench-diff", "convert", &path], flags].concat();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = bench_diff::run(args.iter().map(Into::into), &mut out, &mut err);
    (exit, out, String::from_utf8(err).unwrap().replace(&path, "file"))
}

fn converted(content: &[u8], flags: &[&str]) -> (Vec<u8>, String) {
    let (exit, out, err) = convert(content, flags);
    assert_eq!(exit, SUCCESS, "{flags:?}: {err}");
    (out, err)
}

#[test]
fn every_format_becomes_samples_of_the_same_cases_values_and_units() {
    for (name, expected) in FORMATS {
        let (samples, _) = converted(&fixture(name), &["--to", "ours"]);
        assert_eq!(rows(&samples, &[]), expected, "{name}");
        let (again, _) = converted(&samples, &["--to", "bench-diff"]);
        assert_eq!(again, samples, "{name}: nothing changes any more");
    }
}

/// `3 x 205 tok/s | higher`, which is what all of these hold; names are theirs.
fn values(rows: &[String]) -> Vec<String> {
    let of = |row: &String| row.split(" | ").skip(2).collect::<Vec<_>>().join(" | ");
    let mut values: Vec<String> = rows.iter().map(of).collect();
    values.sort();
    values
}

/// A single value of these is what they call an average.
fn as_average(values: Vec<String>) -> Vec<String> {
    values
        .into_iter()
        .map(|value| value.strip_prefix("1 x").map_or(value.clone(), |rest| format!("avg{rest}")))
        .collect()
}

#[test]
fn go_benchmarks_keep_samples_units_and_directions() {
    for (name, expected) in FORMATS {
        // What github-action-benchmark kept of Go's own units is those units again.
        let own = |row: &&str| row.replace(" ns/op |", " ns |").replace(" B/op |", " B |");
        let expected: Vec<String> = expected.iter().map(own).collect();
        let (text, warnings) = converted(&fixture(name), &["--to", "go"]);
        let mut wanted = as_average(values(&expected));
        wanted.sort();
        assert_eq!(values(&rows(&text, &[])), wanted, "{name}: {}", String::from_utf8_lossy(&text));
        assert!(!warnings.contains("unit"), "{name}: {warnings}");
    }
    let (text, _) = converted(&fixture("go.txt"), &["--to", "go"]);
    assert_eq!(rows(&text, &[]), rows(&fixture("go.txt"), &[]), "its own names come back");
}

#[test]
fn github_action_benchmark_keeps_samples_and_units_in_a_file_for_each_direction() {
    for (name, expected) in FORMATS {
        for (tool, direction) in [("customSmallerIsBetter", "lower"), ("customBiggerIsBetter", "higher")] {
            let (file, warnings) = converted(&fixture(name), &["--to", tool]);
            let of = expected.iter().filter(|row| row.ends_with(direction)).map(|row| (*row).to_owned());
            let mut wanted = as_average(values(&of.collect::<Vec<_>>()));
            wanted.sort();
            if wanted.is_empty() {
                assert_eq!(file, b"[]\n", "{name}");
            } else {
                assert_eq!(values(&rows(&file, &["--from", tool])), wanted, "{name}, {tool}");
            }
            assert!(!warnings.contains("directions"), "{warnings}");
        }
    }
    let (_, warnings) = converted(&fixture("llama-bench.json"), &["--to", "github-action-benchmark"]);
    assert!(!warnings.contains("directions"), "all of it is a rate: {warnings}");
    let (_, warnings) = converted(&fixture("bencher.json"), &["--to", "github-action-benchmark"]);
    assert!(warnings.contains("metrics of both directions are in one file"), "{warnings}");
}

#[test]
fn bencher_gets_means_in_its_own_units_and_what_it_cant_know_is_said() {
    let (file, warnings) = converted(&fixture("hyperfine-1.json"), &["--to", "bencher"]);
    let json: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let nap = &json["sleep {seconds}, seconds 0.5"];
    assert_eq!(nap["latency"]["value"], 0.52e9, "nanoseconds: {json}");
    assert!(nap["latency"]["lower_value"].as_f64() < nap["latency"]["upper_value"].as_f64());
    assert_eq!(json["true"]["latency"].get("lower_value"), None, "an average has no range");
    assert!(warnings.contains("neither unit nor direction of `memory`"), "{warnings}");
    let (file, _) = converted(&fixture("bencher.json"), &["--to", "bencher"]);
    assert_eq!(rows(&file, &[]), rows(&fixture("bencher.json"), &[]));
    let (file, warnings) = converted(&fixture("qwen-vllm.csv"), &["--to", "bencher"]);
    let read = rows(&file, &[]);
    assert!(read[0].ends_with("| e2e_latency | avg 25600 ms | lower"), "{read:?}");
    assert_eq!(warnings, "");
}

#[test]
fn results_become_all_of_them_and_stay_results_as_ours() {
    let results = serde_json::to_vec(&session(|_, _| 1.0)).unwrap();
    let (ours, warnings) = converted(&results, &["--to", "ours"]);
    assert_eq!(
        (serde_json::from_slice::<serde_json::Value>(&ours).unwrap()["schema"].as_u64(), warnings),
        (Some(2), String::new())
    );
    let (text, _) = converted(&results, &["--to", "go"]);
    let cells = rows(&text, &[]);
    assert_eq!(cells.len(), 6 * 4, "six cases of four metrics");
    assert!(cells[0].starts_with("BenchmarkQwen2.5-1B/bf16/6144 | decode_throughput | 3 x "), "{cells:?}");
    let old = fs::read("tests/fixtures/schemas/results.v1.json").unwrap();
    let (ours, _) = converted(&old, &["--to", "ours"]);
    assert!(ours.starts_with(b"{\n  \"schema\": 2,"), "an older schema becomes the newest");
    let (_, warnings) = converted(&old, &["--to", "bencher"]);
    assert!(warnings.contains("failed and are left out"), "{warnings}");
}

#[test]
fn what_cant_be_converted_is_said() {
    for (content, flags, said) in [
        (&b""[..], &["--to", "go"][..], "error: file is empty\n"),
        (b"[\n", &["--to", "go"], "error: file ends in the middle (line 2): it looks cut off\n"),
        (
            br#"[{"case": "a b", "metric": "ttft", "samples": [1]}, {"case": "a_b", "metric": "ttft", "samples": [1]}]"#,
            &["--to", "go"],
            "error: `a b` and `a_b` have one name as Go benchmarks, `Benchmark_a_b`\n",
        ),
        (
            br#"[{"case": "a", "metric": "time", "unit": "s", "better": "lower", "samples": [1]},
                {"case": "a", "metric": "latency", "unit": "ms", "better": "lower", "samples": [1]}]"#,
            &["--to", "bencher"],
            "error: `latency` of `a` would be the measure `latency`, which it has already\n",
        ),
        (
            br#"[{"case": "x / time", "metric": "a", "unit": "a", "better": "lower", "samples": [1]},
                {"case": "x", "metric": "time", "unit": "ms", "better": "lower", "samples": [1]}]"#,
            &["--to", "github-action-benchmark"],
            "error: `a` of `x / time` and `time` of `x` would have one name for github-action-benchmark, `x / time`\n",
        ),
        (
            br#"[{"case": "x / time", "metric": "a", "unit": "ms", "better": "lower", "samples": [1]},
                {"case": "x", "metric": "time / a", "unit": "ms", "better": "lower", "samples": [1]}]"#,
            &["--to", "customSmallerIsBetter"],
            "error: `a` of `x / time` and `time / a` of `x` would have one name for github-action-benchmark, `x / time / a`\n",
        ),
    ] {
        let (exit, out, err) = convert(content, flags);
        assert_eq!((exit, out.len(), err.as_str()), (usage_error(), 0, said));
    }
    let (exit, _, err) = convert(b"[]", &["--to", "benchstat"]);
    assert_eq!(exit, usage_error());
    assert!(
        err.contains("ours, bencher, github-action-benchmark, customSmallerIsBetter, customBiggerIsBetter, go"),
        "{err}"
    );
}

/// Whatever they name themselves, they stay what they are in each format.
#[test]
fn hostile_names_are_no_syntax() {
    let file = r#"[{"case": "a\n\"b\" , -8\u001b[2J", "metric": "m\tx\u001b[31m", "unit": "o\nps\u001b[0m\u202e", "better": "higher", "samples": [1, 2]}]"#;
    for (to, from) in
        [("go", "go"), ("bencher", "bencher"), ("customBiggerIsBetter", "customBiggerIsBetter"), ("ours", "")]
    {
        let (written, _) = converted(file.as_bytes(), &["--to", to]);
        let obeyed = |byte: &u8| byte.is_ascii_control() && *byte != b'\n';
        assert!(!written.iter().any(obeyed), "{to}: {}", String::from_utf8_lossy(&written));
        if to != "bencher" {
            let flags: &[&str] = if from.is_empty() { &[] } else { &["--from", from] };
            assert_eq!(rows(&written, flags).len(), 1, "{to}: {}", String::from_utf8_lossy(&written));
        }
    }
}
