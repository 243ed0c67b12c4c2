//! Configuration, plan, init and schema, as a user meets them.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]

#[path = "config/devices_of_plans.rs"]
mod devices_of_plans;
#[path = "config/gguf_models.rs"]
mod gguf_models;
#[path = "config/local_models.rs"]
mod local_models;
#[path = "config/named_files.rs"]
mod named_files;
#[path = "config/problems.rs"]
mod problems;
#[path = "config/seed_plan.rs"]
mod seed_plan;

use std::path::Path;
use std::process::Command;

/// Runs the program in `directory`: exit code, standard output, standard error.
fn run(directory: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-diff"))
        .args(args)
        .current_dir(directory)
        .env_remove("BENCH_DIFF_CONFIG")
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(&output.stdout), text(&output.stderr))
}

/// What `plan` says about a configuration file with this text.
fn plan_of(config: &str) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("bench-diff.toml"), config).unwrap();
    run(directory.path(), &["plan", "--device-memory", "80"])
}

/// The error for a configuration file with this text.
fn error_of(config: &str) -> String {
    let (exit, out, err) = plan_of(config);
    assert_eq!((exit, out.as_str()), (2, ""), "{err}");
    err
}

/// A configuration whose suite has `lines`.
fn suite(lines: &str) -> String {
    format!("[suites.gpu]\ndevice = \"cuda\"\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\n{lines}\n")
}

#[test]
fn every_typo_has_its_line_and_the_nearest_word() {
    insta::assert_snapshot!(error_of(
        r#"runz = 3
weights = "generatd"
contextlengths = [1]

[limits]
case-second = 5

[suites.gpu]
device = "gpu"
models = [
    "Qwen/Qwen2.5-0.5B-Instuct",
    { model = "qwen/qwen2.5-7b", dtyp = "bf16" },
    { dtype = "bf16" },
]

[suites.gpu.noise-thresholds]
itl_p99 = "5%"
"#
    ));
}

#[test]
fn impossible_values_say_what_is_possible() {
    insta::assert_snapshot!(error_of(
        r#"runs = 0
warmup = "one"
alpha = 7
gpus = []
generated-length = 99999999999999999999

[suites.gpu]
models = []

[suites.cpu]
context-lengths = [0, 6144]
"#
    ));
}

/// A flag as well as the file.
#[test]
fn alpha_is_from_a_ten_thousandth_to_a_half() {
    let directory = tempfile::tempdir().unwrap();
    let exit = |alpha: &str| run(directory.path(), &["plan", "--device-memory", "80", "--alpha", alpha]).0;
    assert_eq!(["0.0001", "0.5"].map(exit), [0; 2]);
    assert_eq!(["0.00001", "0.51", "NaN"].map(exit), [2; 3]);
}

#[test]
fn gpus_are_a_list_of_numbers_and_uuids() {
    let errors: String =
        ["true", "[-1]", "[1.5]", "[[0]]", "\"\"", "[\"first\"]", "\"0,0\"", "[0, \"0\"]", "[99999999999]", "[0,1,2]"]
            .map(|gpus| error_of(&suite(&format!("gpus = {gpus}"))))
            .concat();
    insta::assert_snapshot!(errors);
    assert_eq!(plan_of(&suite("gpus = \"0\"")).0, 0);
    assert_eq!(plan_of(&suite("gpus = \"0,1\"")).0, 0);
    assert_eq!(plan_of(&suite("gpus = [0, 1, 2]\nimplementation = \"plain\"")).0, 0);
}

/// A configuration may come from a pull request: what it names must neither become an option nor a command.
#[test]
fn a_candle_is_a_checkout_or_a_revision_of_a_repository() {
    let errors: String = [
        "candle = {}",
        "candle = \"../candle\"",
        "candle = { path = \"a\", git = \"https://host/b\", rev = \"main\" }",
        "candle = { git = \"https://host/b\" }",
        "candle = { rev = \"main\" }",
        "candle = { url = \"https://host/b\", rev = \"main\" }",
        "candle = { git = \"--upload-pack=touch x\", rev = \"main\" }",
        "candle = { git = \"ext::sh -c id\", rev = \"main\" }",
        "candle = { git = \"https://me:secret@host/b\", rev = \"main\" }",
        "candle = { git = \"https://host/b\", rev = \"--exec=id\" }",
        "candle = { git = \"https://host/b\", rev = \"main:main\" }",
    ]
    .iter()
    .map(|line| error_of(&format!("{line}\n{}", suite(""))))
    .collect();
    insta::assert_snapshot!(errors);
}

#[test]
fn contradictions_are_found_where_they_come_from() {
    insta::assert_snapshot!(error_of(
        r#"implementation = "graph"
context-lengths = [1, 130000]
gpus = [0, 1]
metrics = ["ttfs"]

[noise-thresholds]
itl_99 = "5%"

[suites.cpu]
device = "cpu"
weights = "local"
models = ["Qwen/Qwen2.5-0.5B", "Qwen2.5-0.5B", "./no-such-model"]

[suites."a b"]
device = "cuda"
models = ["gpt2"]
context-lengths = [1]
"#
    ));
}

/// What is wrong with the shape and what is wrong with the meaning, in one go; but not what may only be the fault of a
/// setting that has an error already, as `graph` on a CPU is here.
#[test]
fn one_look_finds_both_typos_and_contradictions() {
    insta::assert_snapshot!(error_of(
        r#"runs = 0
contextlengths = [1]
metrics = ["ttfs"]
implementation = "graph"

[suites.gpu]
device = "gpu"
models = [
    "Qwen/Qwen2.5-0.5B-Instuct",
    { model = "Qwen/Qwen2.5-7B", dtype = "fp16" },
    { model = "Qwen/Qwen2.5-7B-Instruct", quantization = "awq" },
    "./no-such-model",
]

[suites.gpu.noise-thresholds]
itl_p99 = "200%"
itl_99 = "5%"
"#
    ));
}

#[test]
fn what_is_not_built_yet_is_not_called_a_typo() {
    insta::assert_snapshot!(error_of(
        "weights = \"modelscope\"\nengine = \"server\"\nsuites.a.models = [\"Qwen/Qwen2.5-7B\"]"
    ));
    insta::assert_snapshot!(error_of(
        "suites.a.models = [\"Qwen/Qwen2.5-7B-Instruct-GGUF\"]\nsuites.b.models = [\"Qwen/Qwen2.5-7B\"]\nsuites.b.quantization = \"gptq-int4\""
    ));
}

/// What one suite asks of an engine is no matter to who measures another.
#[test]
fn a_suite_that_cant_run_yet_leaves_the_others_alone() {
    let directory = tempfile::tempdir().unwrap();
    let config = "device = \"cuda\"\nsuites.a.models = [\"Qwen/Qwen2.5-7B-Instruct-GGUF\"]\n\
                  suites.b.models = [\"Qwen/Qwen2.5-7B\"]\nsuites.c.quantization = \"gptq-int4\"\n\
                  suites.c.models = [\"Qwen/Qwen2.5-7B\"]\n";
    std::fs::write(directory.path().join("bench-diff.toml"), config).unwrap();
    let plan = |suite| run(directory.path(), &["plan", "--device-memory", "80", "--suite", suite]);
    assert_eq!(
        plan("a").2,
        "error: bench-diff.toml:2: `Qwen/Qwen2.5-7B-Instruct-GGUF` has a file for each quantization: name one after it, as in \
         `Qwen/Qwen2.5-7B-Instruct-GGUF:q4_k_m`\n"
    );
    assert_eq!(
        plan("c").2,
        "error: bench-diff.toml:4: the weights of `Qwen/Qwen2.5-7B` should be gptq-int4, and they are unquantized: name the model that has \
         them\n"
    );
    let (exit, out, err) = plan("b");
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("\nCases: Qwen2.5-7B/bf16/*\n") && out.contains("\n 6144 "), "{out}");
}

#[test]
fn broken_toml_has_its_line() {
    insta::assert_snapshot!(error_of("runs = 3\nwarmup = = 1\n[suites.a\n"));
    insta::assert_snapshot!(error_of("runs = 3\nruns = 4\n"));
    insta::assert_snapshot!(error_of(""));
    insta::assert_snapshot!(error_of(&suite("[suites.gpu.noise-thresholds]\nttft = \"2\"")));
    insta::assert_snapshot!(error_of(&suite("[suites.gpu.noise-thresholds]\nttft = 2")));
    assert!(error_of(&suite("noise-thresholds = \"aut\"")).contains("write one such as \"2%\", or \"auto\""));
    for good in [
        "noise-thresholds = \"auto\"",
        "noise-thresholds = { all = \"auto\", ttft = \"3%\" }",
        "gate-at-threshold = true",
    ] {
        assert_eq!(plan_of(&suite(good)).0, 0, "{good}");
    }
}

#[test]
fn a_hostile_file_cannot_steer_the_terminal() {
    let err = error_of("\"run\\u001b[31ms\" = 3\n");
    assert!(!err.contains('\u{1b}'), "{err:?}");
}

#[test]
fn a_model_overrides_its_suite_and_a_suite_the_file() {
    let (exit, out, err) = plan_of(
        r#"generated-length = 512
context-lengths = [1]
[suites.gpu]
device = "cuda"
context-lengths = [6144]
models = ["Qwen/Qwen2.5-0.5B", { model = "Qwen2.5-72B-Instruct", context-lengths = [1, 128000] }, { model = "Qwen/Qwen2.5-32B", implementation = "stock", context-lengths = [14336] }]
"#,
    );
    assert_eq!((exit, err.as_str()), (0, ""));
    insta::assert_snapshot!(out);
}

#[test]
fn flags_override_the_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("bench-diff.toml"), suite("runs = 5\ncontext-lengths = [1, 2]")).unwrap();
    let plan = |flags: &[&str]| {
        let (exit, out, err) = run(directory.path(), &[&["plan", "--format", "json"], flags].concat());
        (exit, serde_json::from_str::<serde_json::Value>(&out).unwrap_or_default(), err)
    };
    let ids = |plan: &serde_json::Value| -> Vec<String> {
        let cases = plan["cases"].as_array().unwrap();
        cases.iter().map(|case| case["case"]["id"].as_str().unwrap().to_owned()).collect()
    };
    let (_, of_file, _) = plan(&[]);
    assert_eq!(
        (&of_file["runs"], ids(&of_file)),
        (&5.into(), vec!["Qwen2.5-0.5B/bf16/1".into(), "Qwen2.5-0.5B/bf16/2".into()])
    );
    let (_, of_flags, _) =
        plan(&["--runs", "1", "--model", "Qwen/Qwen2.5-3B", "--dtype", "f16", "--context-lengths", "7"]);
    assert_eq!((&of_flags["runs"], ids(&of_flags)), (&1.into(), vec!["Qwen2.5-3B/f16/7".into()]));
    let (exit, _, err) = plan(&["--device", "cpu", "--implementation", "graph", "--model", "Qwen/Qwen2.5-3B"]);
    assert_eq!(exit, 2);
    insta::assert_snapshot!(err);
    let (exit, _, err) = plan(&["--runs", "0"]);
    assert_eq!(exit, 2);
    insta::assert_snapshot!(err);
    let (exit, _, err) = plan(&["--suite", "cpu"]);
    assert_eq!((exit, err.as_str()), (2, "error: no suite `cpu`\n  hint: use `gpu`\n"));
}

#[test]
fn a_directory_is_a_model_with_its_own_shape() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (exit, out, err) =
        run(&repository.join("src"), &["plan", "--suite", "ci-cpu", "--device-memory", "4", "--format", "json"]);
    assert_eq!((exit, err.as_str()), (0, ""));
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(plan["cases"][0]["case"]["id"], "qwen2.5-tiny/f32/64");
    // 151936 x 256 tied embedding, 6 layers of 984064 + 512 biases + 512 norms, a last norm; 4 bytes each.
    assert_eq!(plan["cases"][0]["memory"]["weights"], 4 * (151_936 * 256 + 6 * (983_040 + 512 + 512) + 256));
}

/// Otherwise the KV cache of a case that is refused would push the others out of memory.
#[test]
fn a_case_that_does_not_fit_takes_no_memory_from_the_others() {
    use bench_diff::{config, device::Capacity, device::Machine, plan};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bench-diff.toml");
    std::fs::write(&path, suite("context-lengths = [1, 6144, 129024]\ngenerated-length = 2048")).unwrap();
    let selection = config::Selection { config: Some(path), ..Default::default() };
    let suite = config::load_suite(&selection, &Machine::without_driver()).unwrap();
    assert_eq!(suite.models[0].spec.max_length, 131_072);
    // 0.92 GiB of weights, and 1.5 GiB of keys and values for the longest.
    let card =
        Capacity { name: "small".into(), memory: Some(2 << 30), bandwidth: 1e12, flops: 1e14, by_card: Vec::new() };
    let plan = plan::plan(&suite, card).unwrap();
    assert_eq!(plan.refused().into_keys().collect::<Vec<_>>(), ["Qwen2.5-0.5B/bf16/129024"]);
    let suite = plan.fit(suite);
    assert_eq!((suite.models[0].spec.max_length, suite.models[0].cases.len()), (8192, 3));
}

#[test]
fn every_suite_of_this_repository_is_valid() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    for suite in ["h100-small", "h100-full", "ci-cpu", "qwen2.5-speed-benchmark"] {
        let (exit, _, err) = run(repository, &["plan", "--suite", suite, "--device-memory", "80"]);
        assert_eq!((exit, err.as_str()), (0, ""), "{suite}");
    }
}

#[test]
fn without_a_file_there_is_a_built_in_suite() {
    let directory = tempfile::tempdir().unwrap();
    let (exit, out, err) = run(directory.path(), &["plan", "--suite", "gpu", "--device-memory", "24"]);
    assert_eq!((exit, err.as_str()), (0, ""));
    insta::assert_snapshot!(out);
}

#[test]
fn init_writes_a_file_that_works_and_keeps_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let (exit, out, err) = run(directory.path(), &["init"]);
    assert_eq!((exit, err.as_str()), (0, ""));
    insta::assert_snapshot!(out);
    for suite in ["gpu", "cpu"] {
        let (exit, _, err) = run(directory.path(), &["plan", "--suite", suite, "--device-memory", "24"]);
        assert_eq!((exit, err.as_str()), (0, ""));
    }
    let (exit, _, err) = run(directory.path(), &["init"]);
    assert_eq!(exit, 2);
    insta::assert_snapshot!(err);
    assert_eq!(run(directory.path(), &["init", "--force"]).0, 0);
}

/// What the starter file shows as commented-out defaults must be valid too, and be the defaults.
#[test]
fn the_defaults_that_init_shows_are_the_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bench-diff.toml");
    let plan = || {
        let (exit, out, err) = run(directory.path(), &["plan", "--suite", "gpu", "--format", "json"]);
        assert_eq!((exit, err.as_str()), (0, ""));
        out
    };
    assert_eq!(run(directory.path(), &["init"]).0, 0);
    let before = plan();
    let starter = std::fs::read_to_string(&path).unwrap();
    // A commented-out setting: `# key = value`, unlike prose.
    let is_setting = |line: &str| line.strip_prefix("# ").and_then(|rest| rest.split(' ').nth(1)) == Some("=");
    let lines: Vec<_> = starter.lines().map(|line| if is_setting(line) { &line[2..] } else { line }).collect();
    // `graph` is the default of a GPU only.
    let text = lines.join("\n").replace("[suites.cpu]", "[suites.cpu]\nimplementation = \"plain\"\ndtype = \"f32\"");
    assert_ne!(text, starter);
    std::fs::write(&path, text).unwrap();
    assert_eq!(before, plan());
}

#[test]
fn schemas_are_json_schemas() {
    for (of, property) in [("config", "suites"), ("results", "sessions"), ("comparison", "verdict")] {
        let (exit, out, err) = run(Path::new("."), &["schema", of]);
        assert_eq!((exit, err.as_str()), (0, ""));
        let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(schema["properties"][property].is_object(), "{of} has {property}");
    }
}

/// What will fail is said before anything runs.
#[test]
fn a_prompt_outside_of_the_vocabulary_is_planned_as_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("small");
    std::fs::create_dir(&model).unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen2/untied/config.json");
    std::fs::copy(config, model.join("config.json")).unwrap();
    let text = "[suites.s]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"./small\"]\ncontext-lengths = [8]\n\
                generated-length = 8\nruns = 1\n";
    std::fs::write(directory.path().join("bench-diff.toml"), text).unwrap();
    let said = "the prompt `transformers` has token 35946, but the model has only ids below 251";
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (exit, out, err) = run(directory.path(), &["plan"]);
    assert_eq!((exit, err.as_str()), (1, ""));
    assert!(words(&out).contains(said) && out.contains("0 of 1 cases will run"), "{out}");
    let (exit, out, _) = run(directory.path(), &["run", "--quiet"]);
    assert_eq!(exit, 3);
    assert!(words(&out).contains(said) && out.contains("no program ran"), "{out}");
}

/// Nothing is downloaded, and no file is made, for what this build can't do.
#[cfg(not(feature = "cuda"))]
#[test]
fn a_suite_on_a_gpu_needs_a_build_that_can_use_one() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("bench-diff.toml"), suite("")).unwrap();
    for command in [&["run"][..], &["ci", "--no-publish"], &["calibrate"]] {
        let (exit, out, err) = run(directory.path(), command);
        assert_eq!((exit, out.as_str()), (2, ""), "{err}");
        let said =
            "error: Qwen/Qwen2.5-0.5B can't be measured: this build of bench-diff can't use a GPU\n  hint: build it";
        assert!(err.contains(said), "{err}");
    }
    assert!(!directory.path().join("results.json").exists());
}

/// An installed bench-diff has no source folder beside it.
#[test]
fn adapters_are_written_to_where_the_suites_look_for_them() {
    let directory = tempfile::tempdir().unwrap();
    let (exit, out, err) = run(directory.path(), &["init", "--adapters", "sub"]);
    assert_eq!((exit, err.as_str()), (0, ""));
    let said = out.split("See what it would run: bench-diff ").nth(1).unwrap();
    assert_eq!(said.trim(), "plan --config sub/suites/qwen2.5-speed-benchmark.toml");
    let written = |name: &str| std::fs::read_to_string(directory.path().join("sub").join(name)).unwrap();
    for name in ["adapters/engine_protocol.py", "adapters/transformers.py", "adapters/vllm.py"] {
        assert_eq!(written(name), std::fs::read_to_string(name).unwrap());
    }
    let plan = ["plan", "--config", "sub/suites/qwen2.5-speed-benchmark.toml", "--suite", "vllm"];
    let (exit, out, err) = run(directory.path(), &plan);
    assert!(exit == 0 && !out.contains("isn't there"), "{out}{err}");
    // One that is there keeps all from being written; one that is gone is missed.
    std::fs::write(directory.path().join("sub/adapters/vllm.py"), "mine").unwrap();
    let (exit, _, err) = run(directory.path(), &["init", "--adapters", "sub"]);
    assert!(exit == 2 && err.contains("sub/adapters/engine_protocol.py exists already"), "{err}");
    std::fs::remove_file(directory.path().join("sub/adapters/vllm.py")).unwrap();
    let (_, out, _) = run(directory.path(), &plan);
    assert!(out.contains("the script `../adapters/vllm.py` isn't there"), "{out}");
    assert!(out.contains("`bench-diff init --adapters` writes the adapters"), "{out}");
}
