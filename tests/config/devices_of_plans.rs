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
    let int4 = "--model Qwen/Qwen2.5-7B-Instruct-AWQ --device cuda --gpus 0,1";
    for (flags, why) in [
        ("--device cuda --gpus 0,1 --implementation stock", "`stock` uses one GPU: name only one"),
        (three, "`graph` uses one GPU or two: name fewer"),
        (int4, "`graph` shares out only bf16 matrices over two GPUs: name one"),
    ] {
        let said = refused(flags);
        assert!(said.contains(&format!("{why}, {advice}")), "{said}");
    }
    let said = refused("--device cpu --gpus 0,1");
    assert_eq!(said, "error: --gpus: a CPU is asked for with `--device cpu`: leave out one of both\n");
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
