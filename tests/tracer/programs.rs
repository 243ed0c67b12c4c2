//! Programs that are traced while they run.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::{fakes, trace, traced};

/// Two kernels, one of them in a graph, and one of everything else.
const WORK: [&str; 11] = [
    "kernel _ZN2ns4gemvIfEEvPfi 0 1000 101000 132 256 0 1",
    "kernel _ZN2ns4gemvIfEEvPfi 0 111000 211000 132 256 0 2",
    "kernel softmax 0 211000 261000 16 32 7 3",
    "kernel softmax 0 261000 311000 16 32 7 3",
    "kernel softmax 1 400000 450000 16 32 7 4",
    "copy 0 1 4096 500000 500500",
    "copy 0 8 1048576 501000 503000",
    "set 0 64 510000 510900",
    "sync 3 520000 620000",
    "memory 0 1 3 2097152 630000",
    "memory 0 2 3 2097152 640000",
];

#[test]
fn a_program_is_traced_and_its_output_shown() {
    let doing = [&["say hello"], WORK.as_slice()].concat();
    let program = fakes().program.to_str().unwrap();
    let ran = trace(&[&["--", "env", "FAKE_CUPTI_DROPS=1", program], doing.as_slice()].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, "hello\n"));
    let pid = ran.out.split("process ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    insta::assert_snapshot!("traced_program", ran.out.replace(pid, "PID"));
}

#[test]
fn json_has_every_number() {
    let program = fakes().program.to_str().unwrap();
    let ran = trace(&[&["--format", "json", "--", program], WORK.as_slice()].concat());
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let gemv = &json["kernels"][0];
    assert_eq!(
        (gemv["name"].as_str(), gemv["calls"].as_u64(), gemv["registers"].as_u64()),
        (Some("ns::gemv<float>"), Some(2), Some(40))
    );
    assert_eq!((json["launches"].as_u64(), json["gaps"].as_u64()), (Some(5), Some(1)));
    let graphs = json["beside"].as_array().unwrap().iter().find(|row| row["what"] == "graph_launch").unwrap();
    assert_eq!(graphs["calls"].as_u64(), Some(2));
}

#[test]
fn phases_are_apart_whoever_tells_them() {
    for tells in ["phase", "ask phase"] {
        let phases = ["decode", "rest"].map(|name| format!("{tells} {name}"));
        let doing = [
            "kernel load 0 10 20 1 32 0 1",
            "time 100",
            &phases[0],
            "kernel gemv 0 110 120 1 32 0 2",
            "kernel gemv 0 130 140 1 32 0 3",
            "time 200",
            &phases[1],
            "kernel after 0 210 220 1 32 0 4",
        ];
        check_phases(&doing);
    }
}

/// A range that lies in another, and one of a library's own domain, are no phases.
#[test]
fn the_outermost_ranges_are_phases() {
    for push in ["push", "wide", "event", "registered"] {
        let decode = format!("range {push} decode");
        check_phases(&[
            "kernel load 0 10 20 1 32 0 1",
            "time 100",
            "range library ncclAllReduce",
            &decode,
            "range push layer",
            "kernel gemv 0 110 120 1 32 0 2",
            "time 121",
            "range pop",
            "kernel gemv 0 130 140 1 32 0 3",
            "time 200",
            "range pop",
            "kernel after 0 210 220 1 32 0 4",
            "range pop",
        ]);
    }
}

#[test]
fn a_range_that_anybody_can_end_goes_on_until_then() {
    check_phases(&[
        "kernel load 0 10 20 1 32 0 1",
        "time 100",
        "range start decode",
        "kernel gemv 0 110 120 1 32 0 2",
        "time 122",
        "range push aside",
        "time 124",
        "range pop",
        "kernel gemv 0 130 140 1 32 0 3",
        "time 200",
        "range end 1",
        "range end 1",
        "kernel after 0 210 220 1 32 0 4",
    ]);
}

/// Whoever tells phases knows better.
#[test]
fn ranges_of_a_program_that_tells_its_phases_are_none() {
    check_phases(&[
        "kernel load 0 10 20 1 32 0 1",
        "time 100",
        "phase decode",
        "kernel gemv 0 110 120 1 32 0 2",
        "time 125",
        "range push layer",
        "kernel gemv 0 130 140 1 32 0 3",
        "range pop",
        "time 200",
        "phase rest",
        "kernel after 0 210 220 1 32 0 4",
    ]);
}

fn check_phases(doing: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (file, program) = (folder.path().join("a.trace"), fakes().program.to_str().unwrap());
    let file = file.to_str().unwrap();
    let ran = trace(&[&["--output", file, "--", program], doing].concat());
    assert!(ran.code == 0 && ran.out.contains("4 kernel launches") && ran.out.contains("decode"), "{}", ran.out);
    let decode = trace(&["--phase", "decode", file]);
    assert!(decode.out.contains("2 kernel launches in 1 shape,") && !decode.out.contains("after"), "{}", decode.out);
    let unknown = trace(&["--phase", "prefill", file]);
    assert!(unknown.code == 2 && unknown.err.contains("`decode`"), "{}", unknown.err);
}

#[test]
fn generate_tells_its_phases() {
    let driver = format!("LD_PRELOAD={}", fakes().driver.display());
    let generate =
        [env!("CARGO_BIN_EXE_bench-diff"), "generate", "tests/models/qwen2.5-tiny", "--weights", "generated"];
    let how = ["--prompt-ids", "1,2,3", "--generated-length", "4", "--device", "cpu"];
    let ran = trace(&[&["--", "env", &driver], generate.as_slice(), &how].concat());
    assert!(ran.code == 0 && ran.out.contains("prefill, decode and end"), "{}{}", ran.out, ran.err);
}

/// The folder of traces is the program's as well.
#[test]
fn what_a_program_puts_among_the_traces_does_no_harm() {
    let spoil = "cd $BENCH_DIFF_TRACE_DIRECTORY && echo x > 1.trace && truncate -s 1G 2.trace && mkfifo 3.trace && ln -s /dev/zero 4.trace";
    let script = format!("{} 'kernel gemv 0 10 20 1 32 0 1'; {spoil}", fakes().program.display());
    let ran = trace(&["--", "sh", "-c", &script]);
    assert!(ran.code == 0 && ran.out.contains("fake_program: 1 kernel launches"), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("2 files that the program left"), "{}", ran.err);
    let only = trace(&["--", "sh", "-c", spoil]);
    assert!(only.code == 3 && only.err.contains("2 of the files that it left are no traces"), "{}", only.err);
}

/// Who asked can read the file at once.
#[test]
fn what_is_there_is_written_when_somebody_asks() {
    let ran = traced(&["kernel gemv 0 10 20 1 32 0 1", "ask write", "_exit"]);
    assert!(ran.code == 0 && ran.out.contains("1 kernel launches"), "{}{}", ran.out, ran.err);
}

#[test]
fn a_program_that_leaves_by_exit_loses_nothing_that_was_fetched() {
    let ran = traced(&["kernel gemv 0 10 20 1 32 0 1", "wait gemv", "_exit"]);
    assert!(ran.code == 0 && ran.out.contains("gemv") && ran.out.contains("may be missing"), "{}{}", ran.out, ran.err);
}

/// Whoever asked has gone before the answer: that must not end a program that a broken pipe ends.
#[test]
fn an_asker_that_leaves_harms_nobody() {
    let ran = traced(&["kernel gemv 0 10 20 1 32 0 1", "leave", "ask write", "say unharmed"]);
    assert!(ran.code == 0 && ran.err == "unharmed\n" && ran.out.contains("gemv"), "{}{}", ran.out, ran.err);
}

#[test]
fn a_signal_that_the_program_waits_for_reaches_it() {
    let ran = traced(&["kernel gemv 0 10 20 1 32 0 1", "signal", "say unharmed"]);
    assert!(ran.code == 0 && ran.err == "unharmed\n" && ran.out.contains("gemv"), "{}{}", ran.out, ran.err);
}

#[test]
fn ctrl_c_ends_the_program_and_shows_what_was_seen() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    command.args(["trace", "--"]).arg(&fakes().program).args([
        "kernel gemv 0 10 20 1 32 0 1",
        "wait gemv",
        "say ready",
        "sleep",
    ]);
    command.env("BENCH_DIFF_CUPTI", &fakes().cupti).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(130) && out.contains("gemv") && out.contains("may be missing"), "{out}");
}

/// There may be nothing to show yet.
#[test]
fn ctrl_c_before_anything_was_seen_is_no_failure() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    command.args(["trace", "--", "sh", "-c", "echo ready; sleep 600"]).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    err.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let rest = std::io::read_to_string(err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.starts_with("nothing was traced: the program was stopped") && !rest.contains("hint"), "{rest}");
}

#[test]
fn what_threads_do_adds_up() {
    let ran = traced(&["threads"]);
    assert!(ran.out.contains("4000 kernel launches in 1 shape,"), "{}", ran.out);
}

/// A forked child has a copy of its parent's trace, which isn't its own.
#[test]
fn a_fork_counts_nothing_twice() {
    let ran = traced(&["kernel gemv 0 10 20 1 32 0 1", "fork"]);
    assert!(ran.out.contains("fake_program: 1 kernel launches"), "{}", ran.out);
}

#[test]
fn each_process_has_its_own_trace_and_the_table_has_all() {
    let script =
        format!("{0} 'kernel a 0 10 20 1 32 0 1' & {0} 'kernel b 0 10 20 1 32 0 1'; wait", fakes().program.display());
    let ran = trace(&["--", "sh", "-c", &script]);
    assert!(ran.out.contains("2 processes: 2 kernel launches in 2 shapes"), "{}{}", ran.out, ran.err);
}

#[test]
fn a_program_that_fails_is_shown_as_far_as_it_came() {
    let ran = traced(&["kernel gemv 0 10 20 1 32 0 1", "fail"]);
    assert!(ran.code == 3 && ran.out.contains("gemv") && ran.err.contains("exit status: 7"), "{}{}", ran.out, ran.err);
}

#[test]
fn what_keeps_from_tracing_is_said_in_a_sentence() {
    let program = fakes().program.to_str().unwrap();
    let said = |variable: &str| {
        let ran = trace(&["--", "env", variable, program, "say unharmed"]);
        assert!(ran.code == 3 && ran.err.contains("unharmed\n") && ran.out.is_empty(), "{}{}", ran.out, ran.err);
        ran.err
    };
    assert!(said("FAKE_CUPTI_REFUSES=1").contains("refused to trace: CUPTI_ERROR_INSUFFICIENT_PRIVILEGES"));
    assert!(said("FAKE_CUPTI_VERSION=17").contains("has version 17"));
    assert!(
        said("BENCH_DIFF_CUPTI=/nowhere/libcupti.so")
            .contains("/nowhere/libcupti.so (BENCH_DIFF_CUPTI) can't be loaded")
    );
}

#[test]
fn a_program_without_cuda_is_said_to_be_one() {
    let ran = trace(&["--", "true"]);
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
    insta::assert_snapshot!("without_cuda", ran.err);
    let output = Command::new(env!("CARGO_BIN_EXE_bench-diff"))
        .args(["trace", "--", "true"])
        .env("TMPDIR", "/nonexistent")
        .output()
        .unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("hint: TMPDIR names the folder"));
    let ran = trace(&["--", "no-such-program"]);
    assert!(ran.code == 2 && ran.err.contains("no program no-such-program"), "{}", ran.err);
}

#[test]
fn the_program_gets_no_secret_of_ours() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    let command =
        command.args(["trace", "--", "env"]).env("GITHUB_TOKEN", "ghs_verysecret").env("HF_TOKEN", "hf_verysecret");
    let output = command.env("PYTHONPATH", "my-packages").env("VLLM_CACHE_ROOT", "my-cache").output().unwrap();
    let shown = String::from_utf8(output.stderr).unwrap();
    assert!(
        shown.contains("CUDA_INJECTION64_PATH=") && !shown.contains("GITHUB_TOKEN") && !shown.contains("HF_TOKEN"),
        "{shown}"
    );
    // What finds its Python does pass.
    assert!(shown.contains("PYTHONPATH=my-packages") && shown.contains("VLLM_CACHE_ROOT=my-cache"), "{shown}");
    // A program that fails may lack a variable: the hint says how it gets one.
    let ran = trace(&["--", "sh", "-c", "echo no module named vllm >&2; exit 1"]);
    assert_eq!(ran.code, 3);
    insta::assert_snapshot!("failed_without_cuda", ran.err);
}
