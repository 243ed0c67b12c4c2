//! Files of other tools: what becomes of their numbers, and of files that are broken.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::foreign_rows::FORMATS;
use super::{SUCCESS, regression, usage_error};
use crate::compare_support::{Files, compare_json, run};

pub fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new("tests/fixtures/formats").join(name)).unwrap()
}

/// The formats in the order of the help, and a file of each.
const NAMED: [(&str, &str); 19] = [
    ("llama-bench", "llama-bench.json"),
    ("vllm-latency", "vllm-latency.json"),
    ("vllm-throughput", "vllm-throughput.json"),
    ("sglang", "sglang-one-batch.jsonl"),
    ("vllm-serve", "vllm-serve.json"),
    ("aiperf", "aiperf.json"),
    ("guidellm", "guidellm.json"),
    ("hyperfine", "hyperfine-2.json"),
    ("criterion", "criterion-sample.json"),
    ("pytest-benchmark", "pytest-benchmark.json"),
    ("go", "go.txt"),
    ("github-action-benchmark-data", "data.js"),
    ("github-action-benchmark", "github-action-benchmark.json"),
    ("customSmallerIsBetter", "github-action-benchmark.json"),
    ("customBiggerIsBetter", "github-action-benchmark.json"),
    ("evalscope", "speed_benchmark.json"),
    ("evalscope-db", "evalscope-1.14.1.db"),
    ("qwen-csv", "qwen-vllm.csv"),
    ("bencher", "bencher.json"),
];

/// The rows of a file that is compared with itself.
pub fn rows(content: &[u8], flags: &[&str]) -> Vec<String> {
    let printed = compare_json(&Files::of_bytes(content, content), flags);
    let line = |row: &bench_diff::compare::disk::Row| {
        let base = row.base.unwrap();
        let is_average = serde_json::to_value(row).unwrap()["reason_code"] == "only-averages";
        let values = if is_average { "avg".to_owned() } else { format!("{} x", base.n) };
        let mean = (base.mean * 1e4).round() / 1e4;
        format!("{} | {} | {values} {mean} {} | {}", row.case, row.metric, row.unit, row.better.word())
    };
    printed.rows.iter().map(line).collect()
}

#[test]
fn values_units_and_directions_of_every_format() {
    for (name, expected) in FORMATS {
        assert_eq!(rows(&fixture(name), &[]), expected, "{name}");
    }
}

/// Else a format could be added that no test has a file of.
#[test]
fn every_format_of_the_help_has_a_fixture_that_is_read_when_it_is_named() {
    let files = Files::of_bytes(b"", b"");
    let (_, help, _) = run(&files, &["--help"]);
    let listed = help.lines().skip_while(|line| !line.starts_with("Formats of other tools")).skip(1);
    let listed: Vec<&str> = listed.map_while(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed, NAMED.map(|(format, _)| format), "{help}");
    for (format, name) in NAMED {
        assert!(!rows(&fixture(name), &["--from", format]).is_empty(), "{format}");
    }
}

#[test]
fn a_file_that_is_read_as_another_format_ends_in_words() {
    for (format, _) in NAMED {
        for (name, _) in FORMATS {
            let content = fixture(name);
            let (exit, ..) = run(&Files::of_bytes(&content, &content), &["--from", format, "--fail-on", "never"]);
            assert!([SUCCESS, usage_error()].contains(&exit), "{name} as {format}");
        }
    }
}

/// The input of github-action-benchmark doesn't hold the direction: the unit tells, or the person.
#[test]
fn a_direction_that_nobody_knows_is_said_and_can_be_given() {
    let file = fixture("github-action-benchmark.json");
    let printed = compare_json(&Files::of_bytes(&file, &file), &[]);
    let warning = "base.json doesn't say which direction is better, so these are left out: `points`";
    assert!(printed.warnings.iter().any(|given| given.ends_with(warning)), "{:?}", printed.warnings);
    let score = |format: &str| rows(&file, &["--from", format]).pop().unwrap();
    assert_eq!(score("customSmallerIsBetter"), "score | points | avg 3 points | lower");
    assert_eq!(score("customBiggerIsBetter"), "score | points | avg 3 points | higher");
}

/// What was measured of a part only is said.
#[test]
fn requests_that_failed_are_warned_of() {
    let cancelled =
        String::from_utf8(fixture("aiperf.json")).unwrap().replace("cancelled\": false", "cancelled\": true");
    for (file, said) in [
        (fixture("guidellm.json"), "3 requests of `Qwen/Qwen2.5-7B, concurrent 8` failed"),
        (
            cancelled.into_bytes(),
            "`Qwen/Qwen2.5-7B, concurrency 4` was cancelled: its numbers are of a part of the run",
        ),
    ] {
        let printed = compare_json(&Files::of_bytes(&file, &file), &[]);
        assert!(printed.warnings.iter().any(|warning| warning.ends_with(said)), "{:?}", printed.warnings);
    }
}

/// However far apart two averages are, and whatever is on the other side.
#[test]
fn an_average_is_never_significant() {
    let average = |ns: f64| format!("BenchmarkA 100 {ns} ns/op {ns} B/op\n");
    let samples = average(100.0) + &average(101.0) + &average(100.5) + &average(100.2);
    for (base, head) in
        [(average(100.0), average(900.0)), (samples.clone(), average(900.0)), (average(9.0), samples.clone())]
    {
        let files = Files::of_text(&base, &head);
        let printed = compare_json(&files, &["--same-session"]);
        assert_eq!(printed.rows.len(), 2);
        assert!(printed.rows.iter().all(|row| row.change.is_some()), "the change is shown all the same");
        assert_eq!((printed.counts.inconclusive, printed.family), (2, 0));
        assert_eq!(run(&files, &["--same-session", "--fail-on", "regression"]).0, SUCCESS);
    }
    let slower: String = [300.0, 301.0, 300.5, 300.2].map(average).concat();
    let files = Files::of_text(&samples, &slower);
    assert_eq!(run(&files, &["--same-session", "--fail-on", "regression"]).0, regression(), "with samples it is");
}

#[test]
fn repetitions_within_a_process_are_said_to_be_that() {
    let warns = |name: &str| {
        let printed = compare_json(&Files::of_bytes(&fixture(name), &fixture(name)), &[]);
        printed.warnings.iter().any(|warning| warning.contains("are repetitions within one process"))
    };
    assert!(warns("criterion-sample.json") && warns("llama-bench.json") && warns("vllm-latency.json"));
    assert!(!warns("hyperfine-1.json") && !warns("criterion-estimates.json") && !warns("qwen-transformers.csv"));
}

#[test]
fn a_file_that_is_cut_off_at_any_byte_is_never_taken_for_more() {
    for_each_format(|name, most_rows| {
        let whole = fixture(name);
        // A database says how long it is.
        let step = if name.ends_with(".db") { 61 } else { 1 };
        for at in (0..whole.len()).step_by(step) {
            let files = Files::of_bytes(&whole, &whole[..at]);
            let (exit, out, err) = run(&files, &["--fail-on", "never", "--format", "json"]);
            assert!([SUCCESS, usage_error()].contains(&exit), "{name}, cut at {at}");
            if exit == usage_error() {
                assert!(err.starts_with("error: head.json"), "{name}, cut at {at}: {err}");
                continue;
            }
            let printed: serde_json::Value = serde_json::from_str(&out).unwrap();
            let left = printed["rows"].as_array().unwrap();
            assert!(left.len() <= most_rows, "{name}, cut at {at}: {left:?}");
        }
    });
}

/// Every seventh byte of each file replaced by one that means something.
#[test]
fn a_damaged_file_ends_in_words() {
    for_each_format(|name, _| {
        let whole = fixture(name);
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] = b"\"0e-{[],\n\x80\\:"[at % 12];
            let (exit, ..) = run(&Files::of_bytes(&whole, &bytes), &["--fail-on", "never"]);
            assert!([SUCCESS, usage_error()].contains(&exit), "{name}, {at}");
        }
    });
}

/// The name of each fixture and how many rows it has, in threads of their own: these tests take longer than others.
fn for_each_format(check: impl Fn(&str, usize) + Sync) {
    let check = &check;
    std::thread::scope(|scope| {
        for (name, expected) in FORMATS {
            scope.spawn(move || check(name, expected.len()));
        }
    });
}

const DIRECTIONS: &str = r#"window.BENCHMARK_DATA = {"entries": {
    "a": [{"tool": "cargo", "benches": [{"name": "x", "value": 1, "unit": "points"}]}],
    "b": [{"tool": "pytest", "benches": [{"name": "x", "value": 1, "unit": "points"}]}]
}}"#;

#[test]
fn faults_of_foreign_files_in_one_sentence() {
    let deep = format!("{{\"a\": {{\"b\": {{\"value\": {}1{}}}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    let whole = |name: &str| String::from_utf8(fixture(name)).unwrap();
    let cut = |name: &str, at: usize| String::from_utf8(fixture(name)[..at].to_vec()).unwrap();
    let faults = [
        ("a failed llama-bench", "[\n".to_owned()),
        ("llama-bench, cut off", cut("llama-bench.json", 1100)),
        ("llama-bench's CSV, cut off", cut("llama-bench.csv", 300)),
        ("llama-bench's header alone", cut("llama-bench.csv", 137)),
        ("llama-bench without a model", r#"[{"n_prompt": 1, "n_gen": 0, "samples_ts": [1.0]}]"#.to_owned()),
        (
            "a server that answered nothing",
            r#"{"request_throughput": 0.0, "output_throughput": 0.0, "completed": 0, "model_id": "m"}"#.to_owned(),
        ),
        ("SGLang, nothing served", whole("sglang-serving.jsonl").replace("\"completed\": 64", "\"completed\": 0")),
        ("SGLang, cut off", cut("sglang-one-batch.jsonl", 90)),
        ("AIPerf without requests", whole("aiperf.json").replace("\"avg\": 10.0", "\"avg\": 0.0")),
        ("GuideLLM without requests", whole("guidellm.json").replace("\"successful\": 60", "\"successful\": 0")),
        ("EvalScope's database, cut off", "SQLite format 3\0\u{10}\0".to_owned()),
        ("hyperfine without results", r#"{"results": [{"command": "a", "times": "none"}]}"#.to_owned()),
        (
            "hyperfine in hours",
            r#"{"results": [{"command": "a", "measurements": [{"time_wall_clock": {"value": 1, "unit": "hour"}}]}]}"#
                .to_owned(),
        ),
        ("criterion, unequal lists", r#"{"iters": [1.0], "times": [1.0, 2.0]}"#.to_owned()),
        ("pytest-benchmark without benchmarks", r#"{"machine_info": {}, "benchmarks": []}"#.to_owned()),
        ("Go, failed", "goos: linux\n--- FAIL: BenchmarkA\nFAIL\n".to_owned()),
        ("Go, cut off", "goos: linux\nBenchmarkA 10 5 ns/op 3".to_owned()),
        ("Go, cut off in a unit", "goos: linux\nBenchmarkA 10 5 ns/op 121 MB".to_owned()),
        ("Go, no number", "BenchmarkA 10 fast ns/op\n".to_owned()),
        ("data.js, cut off", cut("data.js", 200)),
        ("Bencher, a name twice", r#"{"a": {"latency": {"value": 1}, "latency": {"value": 2}}}"#.to_owned()),
        ("Bencher, deep", deep),
        ("a name that is empty", r#"[{"name": "", "value": 1, "unit": "ms"}]"#.to_owned()),
        ("two directions", DIRECTIONS.to_owned()),
        ("Qwen's CSV without a speed", cut("qwen-vllm.csv", 92) + "m,1,2,1,1.0,\r\n"),
        ("Qwen's CSV, cut off", cut("qwen-vllm.csv", 120)),
    ];
    let mut said = String::new();
    for (what, content) in faults {
        let (exit, out, err) = run(&Files::of_bytes(&fixture("go.txt"), content.as_bytes()), &["--fail-on", "never"]);
        let shown = if exit == usage_error() { err } else { out.lines().take(1).collect::<String>() + "\n" };
        said += &format!("{what}\n  {}\n", shown.trim_end().replace('\n', "\n  "));
    }
    insta::assert_snapshot!(said);
}

/// Half a number is one as well: `12.5` of `12.58`.
#[test]
fn a_last_line_that_doesnt_end_is_warned_of() {
    for name in ["go.txt", "qwen-vllm.csv", "llama-bench.csv"] {
        let whole = fixture(name);
        let open = whole.trim_ascii_end();
        let warns = |head: &[u8]| {
            let printed = compare_json(&Files::of_bytes(&whole, head), &[]);
            printed.warnings.iter().any(|warning| warning.contains("its last value may be cut off"))
        };
        assert!(warns(open) && !warns(&whole), "{name}");
    }
}

/// `MB` of `MB/s`, `n` of `ns/op`, `tok` of `tok/s`: half a unit is a unit of something else.
#[test]
fn a_unit_at_an_open_end_is_one_that_is_known() {
    let whole = "goos: linux\nUnit tok/s better=higher\nBenchmarkA 10 5 ns/op 12 tok/s\nBenchmarkA 10 5 ns/op 12 tok/s";
    let start = whole.len() - "BenchmarkA 10 5 ns/op 12 tok/s".len();
    let files = |at: usize| Files::of_bytes(fixture("go.txt").as_slice(), &whole.as_bytes()[..at]);
    for at in start + "BenchmarkA 10 ".len()..whole.len() {
        let (exit, out, err) = run(&files(at), &["--fail-on", "never"]);
        let ends_whole = whole[..at].ends_with("ns/op") || whole[..at].ends_with("ns/op ");
        let expected = if ends_whole { SUCCESS } else { usage_error() };
        assert_eq!(exit, expected, "{:?}: {out}{err}", &whole[start..at]);
    }
    assert_eq!(run(&files(whole.len()), &["--fail-on", "never"]).0, SUCCESS);
}

#[test]
fn numbers_that_are_none_are_left_out_and_hostile_names_stay_names() {
    let file = |times: &str| {
        format!(r#"{{"results": [{{"command": "a\u001b[2J\u202e | <b>@you</b>", "times": [{times}]}}]}}"#)
    };
    let files = Files::of_text(&file("1.0, 1.1, 1.2"), &file("1.0, NaN, 1e999, -1.0, 1.1"));
    let printed = compare_json(&files, &[]);
    assert_eq!((printed.rows[0].head.unwrap().n, printed.rows[0].head_dropped), (2, 3));
    let words = r#"[{"name": "a", "value": "fast", "unit": "ms"}]"#;
    let lost = compare_json(&Files::of_text(&words.replace("fast", "1.5"), words), &[]);
    assert!(lost.notes[0].reason.contains("`ms` is lost"), "{:?}", lost.notes);
    for format in ["table", "markdown", "csv"] {
        let (_, out, _) = run(&files, &["--format", format]);
        assert!(!out.contains(['\u{1b}', '\u{202e}']), "{format}");
    }
}

#[test]
fn formats_are_not_mixed_with_results() {
    let results = serde_json::to_string(&crate::compare_support::session(|_, _| 1.0)).unwrap();
    let (exit, _, err) = run(&Files::of_bytes(results.as_bytes(), &fixture("go.txt")), &[]);
    assert_eq!(exit, usage_error());
    assert_eq!(err.lines().next(), Some("error: base.json is a results file and head.json is of Go's benchmarks"));
}

/// Files of one name are samples; criterion's folders are names.
#[test]
fn a_folder_is_read_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, content: &[u8]| -> PathBuf {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    };
    for time in ["0102030405", "0102030406", "0102030407"] {
        write(&format!("seed/Qwen_{time}.csv"), &fixture("qwen-vllm.csv"));
    }
    write("seed/notes.txt", b"as measured");
    for (benchmark, kind) in [("decode/7B", "new"), ("decode/7B", "base"), ("load", "new")] {
        write(&format!("criterion/{benchmark}/{kind}/sample.json"), &fixture("criterion-sample.json"));
    }
    write("mixed/a.csv", &fixture("qwen-vllm.csv"));
    write("mixed/b.txt", &fixture("go.txt"));
    let compare = |name: &str, flags: &[&str]| {
        let path = folder.path().join(name).display().to_string();
        let args = [&["bench-diff", "compare", &path, &path, "--fail-on", "never"], flags].concat();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = bench_diff::run(args.iter().map(Into::into), &mut out, &mut err);
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    let (_, out, err) = compare("seed", &["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
    assert_eq!((&json["rows"][0]["base"]["n"], json["rows"].as_array().unwrap().len()), (&serde_json::json!(3), 4));
    let (_, out, err) = compare("criterion", &["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
    let cases: Vec<_> = json["rows"].as_array().unwrap().iter().map(|row| row["case"].as_str().unwrap()).collect();
    assert_eq!(cases, ["decode/7B", "load"]);
    let (exit, _, err) = compare("mixed", &[]);
    assert_eq!(exit, usage_error());
    assert!(err.contains("has files of Qwen's speed benchmark and of Go's benchmarks"), "{err}");
    assert_eq!(compare("mixed", &["--from", "go"]).0, SUCCESS);
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert!(compare("empty", &[]).2.contains("is a folder without files of other tools that can be compared"));
}

#[test]
fn standard_input_is_one_of_the_files() {
    let compare = |args: [&str; 2]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
        command.arg("compare").args(args).args(["--format", "csv", "--fail-on", "never"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Whoever refuses the arguments doesn't read it.
        let _ = child.stdin.take().unwrap().write_all(&fixture("go.txt"));
        child.wait_with_output().unwrap()
    };
    let output = compare(["tests/fixtures/formats/go.txt", "-"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("BenchmarkDecode-8,time,"), "{output:?}");
    let output = compare(["-", "-"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard input can be only one of the files"));
}
