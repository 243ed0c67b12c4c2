//! What `plan` says of the devices that its flags name.

use super::*;

/// What `plan` says with these flags, without a file.
fn plan(flags: &str) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &format!("plan {flags}").split(' ').collect::<Vec<_>>())
}

fn refused(flags: &str) -> String {
    let (exit, out, err) = plan(flags);
    assert_eq!((exit, out.as_str()), (2, ""), "{err}");
    err
}

#[test]
fn a_refusal_names_the_flag_that_helps() {
    let advice = "or use `--implementation plain`, which lays a model's layers on several";
    let three = "--device cuda --gpus 0,1,2 --implementation graph";
    for (flags, why) in [
        ("--device cuda --gpus 0,1 --implementation stock", "`stock` uses one GPU: name only one"),
        (three, "`graph` uses one GPU or two: name fewer"),
    ] {
        let said = refused(flags);
        assert!(said.contains(&format!("{why}, {advice}")), "{said}");
    }
    let said = refused("--device cpu --gpus 0,1");
    assert_eq!(said, "error: --gpus: a CPU is asked for with `--device cpu`: leave out one of both\n");
}

/// What a file asks for is judged with the flags over it, and its advice is what a file can say.
#[test]
fn flags_mend_what_a_file_contradicts() {
    let directory = tempfile::tempdir().unwrap();
    let write = |more: &str| {
        let models = "models = [\"Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4\"]";
        let text = format!("{more}[suites.a]\n{models}\ndevice = \"cuda\"\ngpus = [0, 1, 2]\n");
        std::fs::write(directory.path().join("bench-diff.toml"), text).unwrap();
    };
    let plan = |flags: &[&str]| run(directory.path(), &[&["plan", "--device-memory", "80"], flags].concat());
    write("");
    let (exit, out, err) = plan(&[]);
    let why = "`graph` uses one GPU or two: name fewer";
    let said =
        format!("error: bench-diff.toml:4: {why}, or use `implementation = \"plain\"`, which lays a model's layers");
    assert!(exit == 2 && out.is_empty() && err.starts_with(&said), "{err}");
    for flags in [["--implementation", "plain"], ["--gpus", "0"], ["--gpus", "0,1"]] {
        let (exit, _, err) = plan(&flags);
        assert_eq!((exit, err.as_str()), (0, ""), "{flags:?}");
    }
    let (exit, _, err) = plan(&["--implementation", "graph"]);
    assert!(exit == 2 && err.contains("use `--implementation plain`"), "a file can't help against a flag: {err}");
    write("implementation = \"plain\"\n");
    let (exit, _, err) = plan(&[]);
    assert_eq!((exit, err.as_str()), (0, ""));
}

/// A plan for a CPU isn't what they asked for who name GPUs.
#[test]
fn gpus_where_there_is_none_are_not_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    for device in [&[][..], &["--device", "auto"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_bench-diff"))
            .args([&["plan", "--gpus", "0,1"][..], device].concat())
            .current_dir(directory.path())
            .env_remove("BENCH_DIFF_CONFIG")
            .env("CUDA_VISIBLE_DEVICES", "")
            .output()
            .unwrap();
        let said = "error: --gpus: there is no GPU here: leave it out (`bench-diff plan --device cuda` assumes GPUs)\n";
        assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(2), said));
    }
}

/// Nor is a suite for a CPU, or a generation on one.
#[test]
fn gpus_for_a_cpu_are_not_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let text = "[suites.small]\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\ndevice = \"cpu\"\nweights = \"generated\"\n";
    std::fs::write(directory.path().join("bench-diff.toml"), text).unwrap();
    let (exit, _, err) = run(directory.path(), &["plan", "--gpus", "0"]);
    let said = "error: --gpus: suite `small` is for a CPU: leave it out, name another suite with `--suite`, or add `--device cuda`\n";
    assert_eq!((exit, err.as_str()), (2, said));
    let generate = ["generate", "Qwen/Qwen2.5-0.5B", "--weights", "generated", "--device", "cpu", "--gpus", "0"];
    let (exit, out, err) =
        run(directory.path(), &[&generate[..], &["--prompt-ids", "1", "--generated-length", "1"]].concat());
    assert!(exit == 2 && out.is_empty() && err.starts_with("error: --gpus: ") && err.contains("leave it out"), "{err}");
}

/// More GPUs than `graph` takes are no advice to who runs it.
#[test]
fn what_is_too_large_is_told_what_takes_more_gpus() {
    let said = |flags: &str| {
        let (exit, out, err) = plan(&format!("--device cuda --device-memory 15 {flags}"));
        assert_eq!((exit, err.as_str()), (1, ""), "{out}");
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let plain = "use a smaller model or `--implementation plain` on more GPUs";
    assert!(said("--gpus 0,1 --model Qwen/Qwen2.5-72B-Instruct").contains(plain));
    let more = "use a smaller model or more GPUs";
    assert!(said("--gpus 0 --model Qwen/Qwen2.5-72B-Instruct").contains(more));
    assert!(said("--gpus 0 --model Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4").contains(more));
    assert!(said("--gpus 0,1 --model Qwen/Qwen2.5-72B-Instruct --implementation plain").contains(more));
}

/// `plain` runs what `graph` can't halve or compute in, and lays layers where `graph` would have laid halves.
#[test]
fn what_graph_cannot_share_out_has_the_memory_of_plain() {
    let by_card = |flags: &str| {
        let (_, out, err) = plan(&format!("--device cuda --gpus 0,1 --weights generated --format json {flags}"));
        let plan: serde_json::Value = serde_json::from_str(&out).expect(&err);
        let cards = plan["cases"][0]["by_card"].clone();
        assert_eq!(cards.as_array().map(Vec::len), Some(2), "{plan}");
        cards
    };
    let both = |flags: &str| [by_card(flags), by_card(&format!("{flags} --implementation plain"))];
    // One key/value head.
    let odd = concat!("--model ", env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qwen2/untied");
    for flags in [odd, "--model Qwen/Qwen2.5-7B --dtype f32"] {
        let [usual, plain] = both(flags);
        assert_eq!(usual, plain, "{flags}");
    }
    let [graph, plain] = both("--model Qwen/Qwen2.5-7B");
    assert_ne!(graph, plain, "halves have the whole embedding on both");
}

/// Who plans for `graph` learns that it won't be that.
#[test]
fn what_runs_in_place_of_graph_is_told() {
    let planned = |flags: &str| plan(&format!("--weights generated --device cuda --context-lengths 1 --model {flags}"));
    let instead = |why: &str| format!("graph can't run it ({why}): the plain implementation runs instead");
    for (flags, why) in [
        (
            "Qwen/Qwen2.5-7B-Instruct-GGUF:q5_k_m",
            "its attn_q matrices are Q5_K; Q4_0, Q8_0, Q4_K and Q6_K are supported",
        ),
        ("Qwen/Qwen2.5-0.5B --dtype f32", "it computes in bf16, not in f32"),
    ] {
        let (exit, out, err) = planned(flags);
        let said = out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(exit == 0 && said.contains(&instead(why)), "{out}{err}");
        let (_, out, _) = planned(&format!("{flags} --format json"));
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(json["cases"][0]["instead"], instead(why).as_str());
    }
    let (_, out, _) = planned("Qwen/Qwen2.5-7B-Instruct-GGUF:q4_k_m");
    assert!(!out.contains("instead"), "{out}");
}

#[test]
fn gpus_beside_a_cpu_in_one_suite_are_a_contradiction() {
    let directory = tempfile::tempdir().unwrap();
    let suite =
        "[suites.a]\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\ndevice = \"cpu\"\ngpus = [0, 1]\nweights = \"generated\"\n";
    std::fs::write(directory.path().join("bench-diff.toml"), suite).unwrap();
    let (exit, _, err) = run(directory.path(), &["plan"]);
    let said = "error: bench-diff.toml:4: suite `a` says `device = \"cpu\"` as well: leave out one of both\n";
    assert_eq!((exit, err.as_str()), (2, said));
    let (exit, _, err) = run(directory.path(), &["plan", "--device", "cuda", "--device-memory", "80"]);
    assert_eq!((exit, err.as_str()), (0, ""), "the flag decides");
}

#[test]
fn a_memory_that_is_no_size_is_said_shortly() {
    for (given, said) in [("1e308", "1e308"), ("0", "0.0"), ("nan", "NaN")] {
        let words = format!("error: --device-memory must be a number of GiB above 0 and below a million, not {said}\n");
        assert_eq!(refused(&format!("--device-memory {given}")), words);
    }
}

/// Where there is no GPU, its speed is assumed, and its memory is what was asked for.
#[test]
fn an_assumed_gpu_has_the_memory_that_was_asked_for() {
    let several =
        "--model Qwen/Qwen2.5-72B-Instruct --device cuda --gpus 0,1 --implementation plain --context-lengths 129024";
    let (_, out, err) = plan(&format!("{several} --device-memory 75"));
    let words = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!out.contains("A100 80GB") && words.contains("a smaller model or more GPUs"), "{out}{err}");
}

/// Traces are compared by another command.
#[test]
fn a_trace_is_no_results_file() {
    let directory = tempfile::tempdir().unwrap();
    let trace = r#"{"schema": "bench-diff trace 1", "processes": []}"#;
    for name in ["a.trace", "b.trace"] {
        std::fs::write(directory.path().join(name), trace).unwrap();
    }
    let (exit, _, err) = run(directory.path(), &["compare", "a.trace", "b.trace"]);
    assert_eq!(exit, 2, "{err}");
    assert_eq!(err, "error: a.trace is a trace\n  hint: compare traces with `bench-diff trace --diff`\n");
}

/// By the device that is asked for, and not by the machine's.
#[test]
fn a_device_chooses_the_suite() {
    for (device, first) in [("cuda", "Suite gpu on an assumed A100 80GB"), ("cpu", "Suite cpu on CPU")] {
        let (exit, out, err) = plan(&format!("--device {device}"));
        assert_eq!((exit, err.as_str()), (0, ""));
        assert!(out.starts_with(first), "{out}");
    }
}

/// Vectors that no GPU's shared memory has room for.
#[test]
fn what_no_gpu_has_room_for_is_told() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("wide")).unwrap();
    let config = r#"{"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 8192, "intermediate_size": 49152,
        "num_hidden_layers": 2, "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 151936,
        "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "hidden_act": "silu",
        "tie_word_embeddings": false, "torch_dtype": "bfloat16"}"#;
    std::fs::write(directory.path().join("wide/config.json"), config).unwrap();
    let plan = |gpus| {
        run(
            directory.path(),
            &["plan", "--device", "cuda", "--model", "./wide", "--weights", "generated", "--gpus", gpus],
        )
    };
    let (exit, out, err) = plan("0");
    assert_eq!((exit, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("graph can't run it (it needs ") && out.contains(" bytes of shared memory a block"), "{out}");
    // Each of two has half of the longest.
    let (exit, out, _) = plan("0,1");
    assert!(exit == 0 && !out.contains("graph can't run it"), "{out}");
}
