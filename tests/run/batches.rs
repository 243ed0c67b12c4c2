//! Batches of one prompt, prompts of one's own ids, and runs exactly as Qwen's programs do them.

use bench_diff::case::{DeviceKind, SeedProtocol};
use bench_diff::engine::{self, ModelSpec};

use super::*;

const ONE: [&str; 5] = ["--model", "./one", "--runs", "1", "--force"];

/// One case, unless other contexts are named.
fn with_context<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let context = ["--context-lengths", "8"];
    let context = if args.contains(&context[0]) { &[][..] } else { &context };
    [&ONE, context, args].concat()
}

/// Of the small model.
fn measured(bench: &Bench, args: &[&str]) -> (Finished, Results) {
    let finished = Finished::of(bench.plain(&with_context(args)).output().unwrap());
    assert_eq!(finished.code, Some(0), "{args:?}: {}", finished.err);
    let results = bench.results();
    (finished, results)
}

fn value(measurement: &Measurement, name: &str) -> Option<f64> {
    measurement.metrics.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| *value)
}

fn refused(bench: &Bench, args: &[&str]) -> String {
    let finished = Finished::of(bench.plain(&with_context(args)).output().unwrap());
    assert_ne!(finished.code, Some(0), "{args:?}");
    (finished.err + &finished.out).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What `compare` says of two results files, as JSON.
fn compared(bench: &Bench, base: &Results, head: &Results) -> serde_json::Value {
    bench.write("base.json", &serde_json::to_string(base).unwrap());
    bench.write("head.json", &serde_json::to_string(head).unwrap());
    let args = ["compare", "base.json", "head.json", "--format", "json", "--fail-on", "never"];
    serde_json::from_str(&bench.bench_diff(&args).out).unwrap()
}

fn blocking(comparison: &serde_json::Value) -> Vec<String> {
    let differences = comparison["differences"].as_array().unwrap().iter().filter(|it| it["blocks"] == true);
    differences.map(|it| format!("{} {} -> {}", it["field"], it["base"], it["head"]).replace('"', "")).collect()
}

/// Every sequence does what a single one does, and the batch's tokens are those of all.
#[test]
fn a_batch_is_a_case_of_its_own_whose_sequences_do_what_one_does() {
    for implementation in ["plain", "stock"] {
        let bench = Bench::new();
        let (_, single) = measured(&bench, &["--implementation", implementation]);
        let (finished, batch) = measured(&bench, &["--implementation", implementation, "--batch-size", "3"]);
        assert_eq!((batch.cases[0].id.as_str(), batch.cases[0].batch_size), ("one/f32/8/batch-3", 3));
        let [single, batch] = [&single, &batch].map(|results| measurement(&results.sessions[0].runs[0]).unwrap());
        assert_eq!((&single.token_hash, single.token_hash.is_some()), (&batch.token_hash, true), "{implementation}");
        let (speed, all) = (value(batch, "speed").unwrap(), value(batch, "batch_throughput").unwrap());
        assert!((all / speed - 3.0).abs() < 1e-4, "{all} is of three sequences, {speed} of one");
        assert_eq!(value(single, "batch_throughput"), None, "of one sequence it would say nothing");
        assert!(finished.out.contains("batch-3") && finished.out.contains("batch ↑"), "{}", finished.out);
    }
}

#[test]
fn a_batch_is_refused_by_name_where_an_engine_cant() {
    let graph = ModelSpec { batch_size: 2, ..ModelSpec::generated("Qwen/Qwen2.5-7B", DeviceKind::Cuda) };
    let said = |spec: &ModelSpec| {
        let refusals = engine::refusals(engine::find(&spec.engine).unwrap(), spec);
        refusals.into_iter().map(|it| format!("{}: {}", it.setting, it.reason)).collect::<Vec<_>>()
    };
    assert_eq!(
        said(&graph),
        ["batch-size: `graph` generates one sequence at a time: use `plain` or `stock` for a batch"]
    );
    let sampled = ModelSpec { batch_size: 1, seed_protocol: Some(SeedProtocol::Transformers), ..graph.clone() };
    assert_eq!(
        said(&sampled),
        [
            "seed-protocol: `graph` chooses the likeliest tokens on the GPU, and Qwen's `transformers` protocol samples: use \
         `plain` or `stock`"
        ]
    );
    let bench = Bench::new();
    let server = ["--engine", "server", "--server", "http://localhost:1/v1"];
    let said = refused(&bench, &[&server[..], &["--batch-size", "2"]].concat());
    assert!(said.contains("the engine `server` generates one sequence at a time"), "{said}");
    for protocol in ["transformers", "vllm"] {
        let said = refused(&bench, &[&server[..], &["--seed-protocol", protocol]].concat());
        assert!(said.contains(&format!("the engine `server` can't follow Qwen's `{protocol}` protocol")), "{said}");
    }
    let said = refused(&bench, &["--batch-size", "2", "--seed-protocol", "vllm"]);
    assert!(said.contains("Qwen's `vllm` protocol generates one sequence at a time"), "{said}");
}

/// A build from before there were batches would measure a single sequence by the batch's name.
#[test]
fn an_older_build_is_never_asked_for_a_batch_or_a_seed_protocol() {
    let bench = Bench::new();
    for args in [&["--batch-size", "2"], &["--seed-protocol", "vllm"]] {
        let finished = Finished::of(bench.command(&with_context(args)).output().unwrap());
        assert_eq!(finished.code, Some(3), "{}", finished.err);
        let said = "worker.sh is too old for a batch size or a seed protocol: it would measure something else";
        assert!(finished.err.contains(said), "{}", finished.err);
    }
}

fn program() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/program.sh").display().to_string()
}

/// One that ignores what it doesn't know would be measured as what it isn't.
#[test]
fn a_program_has_to_say_that_it_does_what_it_is_asked_for() {
    let bench = Bench::new();
    let command = |mode: &str| format!("{} {mode}", program());
    let reason = |args: &[&str], mode: &str| {
        let command = command(mode);
        refused(&bench, &[&["--engine", "command", "--command", &command], args].concat());
        failures(&bench.results()).remove(0).1
    };
    let said = reason(&["--batch-size", "2"], "well");
    assert!(said.contains("doesn't say that it generates in batches of 2: `batch_size` in `loaded`"), "{said}");
    let said = reason(&["--seed-protocol", "vllm"], "well");
    assert!(said.contains("doesn't say that it follows Qwen's `vllm` protocol"), "{said}");
    let (_, results) = measured(&bench, &["--engine", "command", "--command", &command("batch"), "--batch-size", "2"]);
    assert!(value(measurement(&results.sessions[0].runs[0]).unwrap(), "batch_throughput").is_some());
}

/// The script's own fault, told: the answer was short, and its speed counts what was asked for.
#[test]
fn an_early_end_counts_as_full_speed_in_vllms_protocol_and_is_said() {
    let bench = Bench::new();
    let command = format!("{} seed", program());
    let (_, results) = measured(&bench, &["--engine", "command", "--command", &command, "--seed-protocol", "vllm"]);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    let (speed, latency) = (value(run, "speed").unwrap(), value(run, "e2e_latency").unwrap());
    assert!((speed * latency / 1e3 - 4.0).abs() < 1e-3, "four tokens were asked for: {speed} tok/s in {latency} ms");
    let said = "it ended after 3 of 4 tokens, and its speed counts all 4, as the program does";
    assert!(run.warnings.iter().any(|warning| warning == said), "{:?}", run.warnings);
}

/// As Qwen starts a script for each: the next one is as cold, and no other's peak of memory is counted for it.
#[test]
fn a_seed_protocol_measures_each_case_in_a_process_of_its_own() {
    for (settings, processes) in [(&["--seed-protocol", "vllm"][..], 2), (&["--warmup", "0"], 1)] {
        let bench = Bench::new();
        let mode = if processes == 2 { "able" } else { "well" };
        let (started, program) = (bench.path("started"), program());
        bench.write("counted.sh", &format!("echo >> {}\nexec {program} {mode}\n", started.display()));
        let command = format!("sh {}", bench.path("counted.sh").display());
        let engine = ["--engine", "command", "--command", &command, "--context-lengths", "4,8"];
        let (_, results) = measured(&bench, &[&engine[..], settings].concat());
        assert_eq!((results.sessions[0].runs.len(), failures(&results)), (2, vec![]));
        assert_eq!(fs::read_to_string(&started).unwrap().lines().count(), processes, "{settings:?}");
    }
}

#[test]
fn a_seed_protocol_measures_as_its_program_does_and_blocks_other_comparisons() {
    let bench = Bench::new();
    let (_, ours) = measured(&bench, &[]);
    for (protocol, iterations) in [("transformers", 1), ("vllm", 1), ("evalscope", 2)] {
        let (finished, seed) = measured(&bench, &["--seed-protocol", protocol, "--implementation", "plain"]);
        let settings = &seed.settings;
        assert_eq!((settings.warmup, settings.iterations), (0, iterations), "{protocol}");
        assert_eq!(settings.seed_protocol.as_ref().map(ToString::to_string).as_deref(), Some(protocol));
        assert_eq!(settings.prompt.to_string(), protocol);
        let run = measurement(&seed.sessions[0].runs[0]).unwrap();
        let told: Vec<&str> = run.metrics.keys().map(|name| name.as_str()).collect();
        assert_eq!(told, ["e2e_latency", "speed"], "what the program tells; memory only where it was seen");
        assert_eq!((&run.token_hash, &run.itl), (&None, &None));
        let blocks = blocking(&compared(&bench, &ours, &seed));
        assert!(blocks.contains(&format!("seed_protocol none -> {protocol}")), "{blocks:?}");
        let rows = compared(&bench, &seed, &seed)["rows"].as_array().unwrap().clone();
        let metrics: Vec<_> = rows.iter().map(|row| row["metric"].as_str().unwrap()).collect();
        assert_eq!(metrics, ["speed"], "and compared with its own by its speed");
        assert!(finished.out.contains(&format!("measured as Qwen's protocol {protocol}")), "{}", finished.out);
        assert!(finished.out.contains("speed ↑") && finished.out.contains("e2e latency ↓"), "{}", finished.out);
    }
}

#[test]
fn a_prompt_of_own_ids_measures_models_of_other_vocabularies() {
    let bench = Bench::new();
    bench.write("one/config.json", &MODEL.replace("151936", "100"));
    let said = refused(&bench, &[]);
    assert!(said.contains("so give token ids of its own (`prompt-ids`)"), "{said}");
    bench.write("ids.json", "[5, 6, 7]");
    let (_, first) = measured(&bench, &["--prompt-ids", "ids.json"]);
    assert_eq!(first.settings.prompt.to_string(), "ids");
    let hash = first.settings.prompt_sha256.clone().unwrap();
    bench.write("other.json", "[5, 6, 8]");
    // In the file, the path starts from the file, and its suite needs no flag.
    bench.write("bench-diff.toml", &format!("prompt-ids = \"other.json\"\n{CONFIG}"));
    let (_, second) = measured(&bench, &[]);
    let [difference] = &blocking(&compared(&bench, &first, &second))[..] else { panic!("one difference") };
    assert_eq!(*difference, format!("prompt_sha256 {hash} -> {}", second.settings.prompt_sha256.unwrap()));
    bench.write("ids.json", "[5, 100]");
    let said = refused(&bench, &["--prompt-ids", "ids.json"]);
    assert!(said.contains("the prompt `ids` has token 100, but the model has only ids below 100"), "{said}");
    for (text, why) in [
        ("[]", "the list is empty"),
        ("[1.5]", "it must be a JSON list of whole numbers"),
        ("{\"ids\": [1]}", "it must be a JSON list of whole numbers"),
    ] {
        bench.write("ids.json", text);
        let said = refused(&bench, &["--prompt-ids", "ids.json"]);
        assert!(said.contains("--prompt-ids: can't read the token ids of ids.json") && said.contains(why), "{said}");
    }
    assert!(refused(&bench, &["--prompt-ids", "none.json"]).contains("can't read the token ids of none.json"));
}
