//! What Qwen published, as data: shown, measured again, and beside results.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use bench_diff::published::{Published, Software, rows};
use serde_json::{Value, json};
use tempfile::TempDir;

const SUITES: &str = "suites/qwen2.5-speed-benchmark.toml";

/// Runs the program in this repository: exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("BENCH_DIFF_CONFIG").env_remove("COLUMNS");
    let output = command.output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(&output.stdout), text(&output.stderr))
}

fn good(args: &[&str]) -> String {
    let (exit, out, err) = run(args);
    // Of a plan for other machines, nothing may run here.
    assert!(err.is_empty() && (exit == 0 || exit == 1 && args[0] == "plan"), "{args:?}: {exit} {err}");
    out
}

fn json_of(args: &[&str]) -> Value {
    serde_json::from_str(&good(&[args, &["--format", "json"]].concat())).unwrap()
}

/// Model, quantization, context and number of GPUs.
type Key = (String, String, u64, u64);

fn key(row: &Value) -> Key {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    (text("model"), text("quantization"), row["context_length"].as_u64().unwrap(), row["gpus"].as_u64().unwrap())
}

fn published(software: &str) -> Vec<Key> {
    let mut rows: Vec<Key> =
        json_of(&["published", "--software", software]).as_array().unwrap().iter().map(key).collect();
    rows.sort();
    rows
}

fn planned(suite: &str) -> Value {
    json_of(&["plan", "--config", SUITES, "--suite", suite])
}

/// The cases of the suites of an engine, and that each is measured as it was published.
fn measured(engine: &str) -> Vec<Key> {
    let suites: toml::Table = toml::from_str(&fs::read_to_string(SUITES).unwrap()).unwrap();
    let names = suites["suites"].as_table().unwrap().keys().filter(|name| name.split('-').next() == Some(engine));
    let mut rows = Vec::new();
    for name in names {
        let plan = planned(name);
        assert_eq!(plan["runs"], 3, "{name}");
        for case in plan["cases"].as_array().unwrap() {
            assert_eq!(case["case"]["generated_length"], 2048, "{name}: {case}");
            rows.push(key(&case["case"]));
        }
    }
    rows.sort();
    rows
}

#[test]
fn the_suites_of_a_software_are_exactly_its_published_rows() {
    for (software, rows) in [("transformers", 112), ("vllm", 147)] {
        let published = published(software);
        assert_eq!((published.len(), &measured(software)), (rows, &published), "{software}");
    }
}

#[test]
fn our_engine_measures_every_published_case_once() {
    let without_gpus = |(model, quantization, context, _): Key| (model, quantization, context);
    let published: BTreeSet<_> = ["transformers", "vllm"].into_iter().flat_map(published).map(without_gpus).collect();
    let ours = measured("candle");
    assert_eq!(ours.len(), published.len());
    assert_eq!(ours.into_iter().map(without_gpus).collect::<BTreeSet<_>>(), published);
}

/// vLLM's share of the memory, its length, and whether it has no CUDA graphs.
type Setting = (String, u64, bool);

/// As Qwen's script chooses it.
fn usual_length(longest: u64) -> u64 {
    [32_768, 65_536, 131_072].into_iter().find(|length| *length >= longest + 2048).unwrap()
}

fn published_setting(row: &Published) -> Setting {
    let settings = Software::Vllm.table().settings.iter();
    let meaning = settings.filter(|setting| Some(setting.note) == row.note).map(|setting| setting.meaning).next();
    let words: Vec<&str> = meaning.unwrap_or_default().split([' ', ',']).collect();
    let after = |name: &str| words.iter().position(|word| *word == name).map(|at| words[at + 1]);
    let length = after("max_model_len").map(|length| length.parse().unwrap());
    (
        after("gpu_memory_utilization").unwrap_or("0.9").to_owned(),
        length.unwrap_or_else(|| usual_length(u64::from(row.context_length))),
        meaning.is_some_and(|meaning| meaning.contains("no CUDA graphs")),
    )
}

fn called_with(command: &[&str], contexts: &[u64]) -> Setting {
    let after = |flag: &str| command.iter().position(|word| *word == flag).map(|at| command[at + 1]);
    let length = after("--max-model-len").map(|length| length.parse().unwrap());
    (
        after("--gpu-memory-utilization").unwrap_or("0.9").to_owned(),
        length.unwrap_or_else(|| usual_length(*contexts.iter().max().unwrap())),
        command.contains(&"--enforce-eager"),
    )
}

/// A case of a suite that calls an adapter.
struct Called {
    model: String,
    context: u64,
    gpus: usize,
    /// All of its entry: the model is loaded for the longest.
    contexts: Vec<u64>,
    command: Vec<String>,
}

fn called(adapter: &str) -> Vec<Called> {
    let suites: toml::Table = toml::from_str(&fs::read_to_string(SUITES).unwrap()).unwrap();
    let mut called = Vec::new();
    for suite in suites["suites"].as_table().unwrap().values() {
        for model in suite["models"].as_array().unwrap() {
            let own = |key: &str| model.get(key).or_else(|| suite.get(key));
            let Some(command) = own("command").and_then(toml::Value::as_array) else { continue };
            let command: Vec<String> = command.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
            let contexts = own("context-lengths").unwrap().as_array().unwrap().iter();
            let contexts: Vec<u64> = contexts.map(|context| context.as_integer().unwrap() as u64).collect();
            let id = model.as_str().or_else(|| model["model"].as_str()).unwrap();
            let gpus = own("gpus").map_or(1, |gpus| gpus.as_array().unwrap().len());
            // From the file, as all its paths.
            if command[1] == format!("../{adapter}") {
                called.extend(contexts.iter().map(|&context| Called {
                    model: id.to_owned(),
                    context,
                    gpus,
                    contexts: contexts.clone(),
                    command: command.clone(),
                }));
            }
        }
    }
    called
}

#[test]
fn vllm_is_measured_with_the_settings_that_were_published() {
    let called = called("adapters/vllm.py");
    for row in rows().iter().filter(|row| row.software == Software::Vllm) {
        let key = (row.model, u64::from(row.context_length), row.gpus as usize);
        let case = called.iter().find(|case| (case.model.as_str(), case.context, case.gpus) == key).unwrap();
        let command: Vec<&str> = case.command.iter().map(String::as_str).collect();
        assert_eq!(called_with(&command, &case.contexts), published_setting(row), "{row:?}");
    }
}

/// What Qwen's scripts do is a setting, and no flag of an adapter.
#[test]
fn the_suites_of_a_software_follow_its_script() {
    let text = fs::read_to_string(SUITES).unwrap();
    let suites: toml::Table = toml::from_str(&text).unwrap();
    for (name, suite) in suites["suites"].as_table().unwrap().iter().filter(|(name, _)| *name != "candle") {
        assert_eq!(suite["seed-protocol"].as_str(), name.split('-').next(), "{name}");
    }
    assert!(!text.contains("--sampling"), "the protocol says how to sample");
}

#[test]
fn the_suites_call_the_adapters_with_flags_that_they_have() {
    for (adapter, cases) in [("adapters/transformers.py", 112), ("adapters/vllm.py", 147)] {
        let (source, called) = (fs::read_to_string(adapter).unwrap(), called(adapter));
        assert_eq!(called.len(), cases);
        for flag in called.iter().flat_map(|case| &case.command).filter(|word| word.starts_with("--")) {
            assert!(source.contains(&format!("add_argument(\"{flag}\"")), "{adapter} {flag}");
        }
    }
}

/// Also of quantized models: 72B has 36 GB of integers of 4 bits, which leaves 80 GB too small for the longest context alone,
/// and 72 GB of 8 bits, which leave no room for a long one.
#[test]
fn what_the_engine_cant_hold_fails_its_cases_and_not_the_file() {
    let plan = planned("candle");
    let failures = |model: &str| {
        let cases = plan["cases"].as_array().unwrap().iter().filter(|case| case["case"]["model"] == model);
        cases.map(|case| case["failure"]["kind"].as_str().unwrap_or("none").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(failures("Qwen/Qwen2.5-72B-Instruct"), ["does_not_fit"; 6]);
    let int4 = failures("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4");
    assert_eq!((&int4[..5], int4[5].as_str()), (&["none"; 5].map(str::to_owned)[..], "does_not_fit"));
    let int8 = failures("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int8");
    assert_eq!(
        (&int8[..3], &int8[3..]),
        (&["none"; 3].map(str::to_owned)[..], &["does_not_fit"; 3].map(str::to_owned)[..])
    );
    assert_eq!(failures("Qwen/Qwen2.5-7B-Instruct-AWQ"), ["none"; 6]);
}

/// Programs don't say beforehand what they need.
#[test]
fn a_time_that_nobody_knows_is_not_a_short_one() {
    insta::assert_snapshot!("plan", good(&["plan", "--config", SUITES, "--suite", "transformers-3-gpus"]));
}

#[test]
fn a_model_is_shown_with_how_it_was_measured() {
    insta::assert_snapshot!("table", good(&["published", "32B", "--context-lengths", "1,129024"]));
    let markdown = ["published", "Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4", "--software", "vllm", "--format", "markdown"];
    insta::assert_snapshot!("markdown", good(&markdown));
    let csv =
        ["published", "7B", "--quantization", "awq", "--context-lengths", "30720,63488,129024", "--format", "csv"];
    insta::assert_snapshot!("csv", good(&csv));
}

#[test]
fn a_memory_that_was_not_published_is_absent() {
    let all = json_of(&["published"]);
    assert_eq!(all.as_array().unwrap().len(), 259);
    let memory = |software: &str| {
        let rows = all.as_array().unwrap().iter().filter(move |row| row["software"] == software);
        rows.filter(|row| row.get("memory_gib").is_some()).count()
    };
    assert_eq!((memory("transformers"), memory("vllm")), (112, 0));
    let csv = good(&["published", "7B", "--software", "vllm", "--format", "csv"]);
    assert!(csv.lines().skip(1).all(|line| line.split(',').nth(6) == Some("")), "{csv}");
}

#[test]
fn what_was_not_published_is_said() {
    let (exit, _, err) = run(&["published", "Qwen/Qwen2.5-7B"]);
    assert_eq!(exit, 2);
    assert_eq!(
        err,
        "error: Qwen published no numbers of `Qwen/Qwen2.5-7B`\n  hint: did you mean `bench-diff published Qwen/Qwen2.5-7B-Instruct`?\n"
    );
    let (exit, _, err) = run(&["published", "0.5B", "--context-lengths", "63488"]);
    assert!(exit == 2 && err.starts_with("error: Qwen published no such numbers\n"), "{err}");
}

/// A results file, of which each case has these settings, and numbers where it has some.
struct Measured {
    directory: TempDir,
}

impl Measured {
    fn new(cases: &[(Value, Value)]) -> Self {
        let directory = TempDir::new().unwrap();
        let case = |(index, (own, _)): (usize, &(Value, Value))| {
            let mut case = json!({
                "id": format!("case-{index}"), "model": "Qwen/Qwen2.5-0.5B-Instruct", "weights": "generated",
                "quantization": "none", "dtype": "bf16", "engine": "candle", "implementation": "graph", "device": "cuda",
                "gpus": 1, "batch_size": 1, "context_length": 1, "generated_length": 2048
            });
            case.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
            case
        };
        let run = |(index, (_, metrics)): (usize, &(Value, Value))| {
            let run = json!({ "case": format!("case-{index}"), "round": 1, "started": "2026-01-01T00:00:00Z" });
            let outcome = match metrics.is_null() {
                true => json!({ "status": "failed", "kind": "out_of_memory", "reason": "out of memory" }),
                false => json!({ "status": "ok", "metrics": metrics }),
            };
            let mut run = run;
            run.as_object_mut().unwrap().extend(outcome.as_object().unwrap().clone());
            run
        };
        let mut results: Value =
            serde_json::from_str(&fs::read_to_string("docs/measured/h100-full.json").unwrap()).unwrap();
        results["cases"] = cases.iter().enumerate().map(case).collect();
        results["sessions"][0]["runs"] = cases.iter().enumerate().map(run).collect();
        fs::write(directory.path().join("results.json"), results.to_string()).unwrap();
        Self { directory }
    }

    fn path(&self) -> String {
        self.directory.path().join("results.json").display().to_string()
    }

    fn beside(&self) -> Value {
        json_of(&["compare", &self.path(), "--published"])
    }
}

#[test]
fn measured_numbers_stand_beside_the_published_ones() {
    insta::assert_snapshot!("beside", good(&["compare", "docs/measured/h100-full.json", "--published"]));
    let one = ["compare", "docs/measured/h100-full.json", "--published=transformers", "--format", "markdown"];
    insta::assert_snapshot!("beside_markdown", good(&one));
    let csv = good(&["compare", "docs/measured/h100-full.json", "--published=vllm", "--format", "csv"]);
    insta::assert_snapshot!("beside_csv", csv);
    let columns = |line: &str| line.split(',').count();
    assert!(
        csv.lines().all(|line| line.contains('"') || columns(line) == columns(csv.lines().next().unwrap())),
        "{csv}"
    );
}

/// The ratios are those of the raw numbers, and docs/measured.md shows the same ones.
#[test]
fn ratios_are_of_the_means() {
    let metrics = json!({ "speed": 94.8, "peak_memory": 4096.0, "allocated_memory": 1986.56 });
    let beside = Measured::new(&[(json!({}), metrics)]).beside();
    let published = beside["cases"][0]["published"].as_array().unwrap();
    let of = |index: usize, name: &str| published[index].get(name).and_then(Value::as_f64);
    assert_eq!((of(0, "speed_tok_s"), of(0, "speed_ratio")), (Some(47.4), Some(2.0)));
    assert_eq!((of(0, "memory_gib"), of(0, "memory_ratio")), (Some(0.97), Some(2.0)), "allocated, as Qwen's");
    assert_eq!((of(1, "speed_tok_s"), of(1, "memory_gib"), of(1, "memory_ratio")), (Some(311.55), None, None));
    let peak = Measured::new(&[(json!({}), json!({ "speed": 94.8, "peak_memory": 1986.56 }))]).beside();
    assert_eq!(peak["cases"][0]["memory"], json!({ "metric": "peak_memory", "mean_gib": 1.94 }));
    let none = Measured::new(&[(json!({}), json!({ "speed": 94.8 }))]).beside();
    assert_eq!((none["cases"][0].get("memory"), none["cases"][0]["published"][0].get("memory_ratio")), (None, None));
}

/// With a seed protocol our number is the same as Qwen's; else the peak begins anew after loading.
#[test]
fn which_memory_stands_beside_qwens_is_said() {
    let metrics = json!({ "speed": 94.8, "allocated_memory": 1986.56 });
    let measured = Measured::new(&[(json!({}), metrics)]);
    let said = good(&["compare", &measured.path(), "--published"]);
    assert!(
        said.contains("memory: the most inside the engine's allocator while generating; Qwen's counts loading, too\n")
    );
    let mut results: Value = serde_json::from_str(&fs::read_to_string(measured.path()).unwrap()).unwrap();
    results["settings"]["seed_protocol"] = json!("transformers");
    fs::write(measured.path(), results.to_string()).unwrap();
    let said = good(&["compare", &measured.path(), "--published"]);
    assert!(said.contains("memory: the most inside the engine's allocator, loading included, as Qwen's\n"), "{said}");
}

#[test]
fn a_case_without_its_like_says_why() {
    let speed = json!({ "speed": 100.0 });
    let named = |own: Value| (own, speed.clone());
    let measured = Measured::new(&[
        named(json!({ "model": "Qwen/Qwen2.5-0.5B" })),
        named(json!({ "quantization": "gptq-int4" })),
        named(json!({ "dtype": "f16" })),
        named(json!({ "generated_length": 512 })),
        named(json!({ "batch_size": 4 })),
        named(json!({ "context_length": 63488 })),
        (json!({}), Value::Null),
        named(json!({ "model": "<b>`x`</b>" })),
        named(json!({ "model": "Qwen/Qwen2.5-72B-Instruct", "gpus": 4 })),
        named(json!({ "model": "Qwen2.5-7B-Instruct-AWQ", "quantization": "awq", "dtype": "f16", "weights": "local" })),
    ]);
    insta::assert_snapshot!("unmatched", good(&["compare", &measured.path(), "--published"]));
    let markdown = good(&["compare", &measured.path(), "--published", "--format", "markdown"]);
    assert!(!markdown.contains("<b>"), "{markdown}");
}

#[test]
fn no_verdict_no_failure_no_colour() {
    let slow = Measured::new(&[(json!({}), json!({ "speed": 0.1 })), (json!({ "dtype": "f32" }), Value::Null)]);
    let (exit, out, _) = run(&["--color", "always", "compare", &slow.path(), "--published"]);
    assert!(exit == 0 && !out.contains("\u{1b}[31m") && !out.contains("\u{1b}[32m"), "{out}");
    for word in ["slower", "faster", "regress", "improve"] {
        assert!(!out.to_lowercase().contains(word), "{word}: {out}");
    }
    let nothing = Measured::new(&[(json!({ "dtype": "f32" }), Value::Null)]);
    assert!(good(&["compare", &nothing.path(), "--published"]).contains("No case has a number that Qwen published"));
}

#[test]
fn flags_of_verdicts_and_published_numbers_exclude_each_other() {
    for flags in [&["--fail-on", "never"][..], &["--metric", "ttft"], &["--alpha", "0.1"], &["--from", "go"]] {
        let (exit, _, err) = run(&[&["compare", "docs/samples/old.json", "--published"], flags].concat());
        assert!(exit == 2 && err.contains("cannot be used with"), "{flags:?}: {err}");
    }
    let (exit, _, err) = run(&["compare", "docs/samples/old.json", "--published"]);
    assert_eq!(exit, 2);
    assert_eq!(
        err,
        "error: docs/samples/old.json is a list, as of samples, and not a results file\n  hint: name a file that \
         `bench-diff run` or `bench-diff ci` wrote\n"
    );
    let (exit, _, err) = run(&["compare", "docs/samples/old.json"]);
    assert!(exit == 2 && err.contains("<HEAD>"), "{err}");
    assert!(Path::new(SUITES).is_file());
}

/// The nearest command, where somebody guessed.
#[test]
fn a_guess_is_understood_or_answered_with_the_right_command() {
    assert_eq!(good(&["published", "7b"]), good(&["published", "7B"]));
    assert_eq!(good(&["published", "--published", "vllm"]), good(&["published", "--software", "vllm"]));
    for (args, hint) in [
        (&["published", "Qwen2.5-7B-Instrukt"][..], "did you mean `bench-diff published Qwen/Qwen2.5-7B-Instruct"),
        (&["published", "x"], "`bench-diff published 7B` shows those of a size"),
        (&["compare", "a.json", "vllm", "--published"], "did you mean `--published=vllm`?"),
        (
            &["compare", "a.json", "b.json", "--published"],
            "leave out one of them: `bench-diff compare b.json --published`",
        ),
    ] {
        let (exit, _, err) = run(args);
        assert_eq!(exit, 2, "{err}");
        assert!(err.contains(&format!("\n  hint: {hint}")), "{err}");
    }
}

#[test]
fn what_stands_beside_published_numbers_is_our_own() {
    let file = "tests/fixtures/schemas/results.v2.json";
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    let output = command.args(["compare", "-", "--published"]).stdin(fs::File::open(file).unwrap()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), good(&["compare", file, "--published"]));
    let foreign = "tests/fixtures/formats/llama-bench.json";
    let (exit, _, err) = run(&["compare", foreign, "--published"]);
    assert_eq!(exit, 2);
    let is = format!(
        "error: {foreign} is of llama-bench, and only results of bench-diff are shown beside published numbers\n"
    );
    let hint =
        "  hint: measure with `bench-diff run`, or compare two files of llama-bench: `bench-diff compare OLD NEW`\n";
    assert_eq!(err, is + hint);
}
