//! `bench-diff run` through the binary, with `run/worker.sh` as the measured program.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]

#[path = "run/adapters.rs"]
mod adapters;
#[path = "run/batches.rs"]
mod batches;
#[path = "run/configured.rs"]
mod configured;
#[path = "run/ended_engines.rs"]
mod ended_engines;
#[path = "run/export.rs"]
mod export;
#[path = "run/faulty_engines.rs"]
mod faulty_engines;
#[path = "run/own_shapes.rs"]
mod own_shapes;
#[path = "run/programs.rs"]
mod programs;
#[path = "run/replay.rs"]
mod replay;
#[path = "run/resume.rs"]
mod resume;
#[path = "run/servers.rs"]
mod servers;
#[path = "run/sides.rs"]
mod sides;
#[path = "run/started_from.rs"]
mod started_from;
#[path = "run/tree.rs"]
mod tree;
#[path = "run/tried_once.rs"]
mod tried_once;
#[path = "run/versions.rs"]
mod versions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use bench_diff::config::{Selection, load_suite};
use bench_diff::device::Machine;
use bench_diff::engine::candle::Implementation;
use bench_diff::measure::{self, End, MeasuredSide, Request, Silent, Stop, Worker};
use bench_diff::results::{self, FailureKind, Measurement, Outcome, Results, Run};
use tempfile::TempDir;

/// A directory with a configuration of two small models and two cases each, measured twice.
struct Bench {
    directory: TempDir,
}

const CONFIG: &str = r#"
weights = "generated"

[suites.test]
device = "cpu"
models = ["./one", "./two"]
context-lengths = [1, 8]
generated-length = 4
runs = 2
limits = { case-seconds = 60, load-seconds = 60 }
"#;

/// A Qwen2.5 small enough to be measured in no time.
const MODEL: &str = r#"{
  "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "torch_dtype": "float32",
  "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
  "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 512, "rope_theta": 1000000.0,
  "rms_norm_eps": 1e-06, "tie_word_embeddings": true, "use_sliding_window": false
}"#;

impl Bench {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let bench = Self { directory };
        bench.write("bench-diff.toml", CONFIG);
        for model in ["one", "two"] {
            fs::create_dir(bench.path(model)).unwrap();
            bench.write(&format!("{model}/config.json"), MODEL);
        }
        bench
    }

    /// What the fake worker does, by case.
    fn behaving(behaviour: &str) -> Self {
        let bench = Self::new();
        bench.write("behaviour", behaviour);
        bench
    }

    /// With limits that a hanging worker reaches soon; others could reach them on a busy machine.
    fn impatient(self) -> Self {
        self.write("bench-diff.toml", &CONFIG.replace("seconds = 60", "seconds = 2"));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// `bench-diff run` with the fake worker.
    fn command(&self, args: &[&str]) -> Command {
        let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run/worker.sh");
        let mut command = self.plain(args);
        command.arg("--worker").arg(worker);
        command
    }

    /// `bench-diff run`.
    fn plain(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
        // Its own lock files: these tests run side by side.
        command.arg("run").args(args).current_dir(&self.directory).env("TMPDIR", self.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Finished {
        Finished::of(self.command(args).output().unwrap())
    }

    /// Another command.
    fn bench_diff(&self, args: &[&str]) -> Finished {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
        Finished::of(command.args(args).current_dir(&self.directory).output().unwrap())
    }

    fn results(&self) -> Results {
        serde_json::from_str(&self.read("results.json")).unwrap()
    }

    /// Waits until the file has that many lines.
    fn wait_for_lines(&self, name: &str, lines: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while fs::read_to_string(self.path(name)).unwrap_or_default().lines().count() < lines {
            assert!(Instant::now() < deadline, "`{name}` never had {lines} lines");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

struct Finished {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Finished {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// `CASE round` of every run, in the file's order, with the kind of failure.
fn runs(results: &Results) -> Vec<String> {
    let line = |run: &Run| match &run.outcome {
        Outcome::Ok(_) => format!("{} {}", run.case, run.round),
        Outcome::Failed(failure) => format!("{} {} {:?}", run.case, run.round, failure.kind),
    };
    results.sessions[0].runs.iter().map(line).collect()
}

fn failures(results: &Results) -> Vec<(FailureKind, String)> {
    let runs = results.sessions[0].runs.iter();
    runs.filter_map(|run| match &run.outcome {
        Outcome::Failed(failure) => Some((failure.kind, failure.reason.clone())),
        Outcome::Ok(_) => None,
    })
    .collect()
}

#[test]
fn rounds_are_interleaved_and_each_has_its_process() {
    let bench = Bench::new();
    let finished = bench.run(&[]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let log = "start\none/f32/1\none/f32/8\nstart\ntwo/f32/1\ntwo/f32/8\n";
    assert_eq!(bench.read("log"), [log, log].concat());
    let results = bench.results();
    assert!(bench.read("results.json").starts_with("{\n  \"schema\": 2,"), "which schema it is comes first");
    assert!(results.sessions[0].finished.is_some());
    assert_eq!(results.sessions[0].program.name, "fake");
    assert_eq!(runs(&results).len(), 8);
}

#[test]
fn the_table_and_the_progress_lines_can_be_read() {
    let bench = Bench::behaving("two/f32/8 oom\n");
    let finished = bench.run(&[]);
    assert_eq!(finished.code, Some(3));
    let machine = bench.results().sessions[0].environment.cpu.clone().unwrap();
    insta::assert_snapshot!("table", finished.out.replace(machine.as_str(), "CPU"));
    insta::assert_snapshot!("progress", without_estimates(&finished.err));
}

/// How long the rest takes depends on the machine.
fn without_estimates(text: &str) -> String {
    let cut = |line: &str| line.split("  (").next().unwrap().to_owned();
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

#[test]
fn quiet_says_nothing_but_the_result() {
    let finished = Bench::new().run(&["--quiet"]);
    assert_eq!(finished.err, "");
    assert!(finished.out.contains("one · 1"));
}

#[test]
fn a_crash_costs_only_its_case() {
    let bench = Bench::behaving("one/f32/1 crash\n");
    let finished = bench.run(&[]);
    assert_eq!(finished.code, Some(3));
    let results = bench.results();
    assert_eq!(runs(&results)[..4], ["one/f32/1 1 Crashed", "one/f32/8 1", "two/f32/1 1", "two/f32/8 1"]);
    assert!(failures(&results)[0].1.contains("killed by signal 9"), "{:?}", failures(&results));
    assert!(results.sessions[0].finished.is_some());
}

#[test]
fn a_panic_is_quoted() {
    let bench = Bench::behaving("one/f32/8 exit\n");
    bench.run(&["--runs", "1"]);
    let (kind, reason) = failures(&bench.results()).remove(0);
    assert_eq!(kind, FailureKind::Crashed);
    assert!(reason.contains("exit code 101; it said: thread 'main' panicked: no luck"), "{reason}");
}

#[test]
fn a_hanging_case_is_killed_with_its_children() {
    let bench = Bench::behaving("one/f32/1 hang\n").impatient();
    bench.run(&["--runs", "1"]);
    let results = bench.results();
    assert_eq!(runs(&results), ["one/f32/1 1 TimedOut", "one/f32/8 1", "two/f32/1 1", "two/f32/8 1"]);
    assert!(failures(&results)[0].1.contains("limit of 2 s"));
}

#[test]
fn out_of_memory_goes_on_in_a_new_process() {
    let bench = Bench::behaving("one/f32/1 oom\n");
    bench.run(&["--runs", "1"]);
    assert_eq!(failures(&bench.results()), [(FailureKind::OutOfMemory, "out of memory: 3 GiB".to_owned())]);
    assert_eq!(bench.read("log"), "start\none/f32/1\nstart\none/f32/8\nstart\ntwo/f32/1\ntwo/f32/8\n");
}

#[test]
fn a_model_that_cant_be_loaded_fails_all_its_cases_at_once() {
    for (action, kind) in
        [("refuse", FailureKind::Error), ("crash", FailureKind::Crashed), ("hang", FailureKind::TimedOut)]
    {
        let bench = Bench::behaving(&format!("load {action}\n"));
        let bench = if action == "hang" { bench.impatient() } else { bench };
        let finished = bench.run(&["--runs", "1", "--model", "./one"]);
        assert_eq!(finished.code, Some(3), "{action}");
        assert_eq!(failures(&bench.results()).iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [kind, kind]);
        assert_eq!(bench.read("log"), "start\n", "{action}: one attempt");
    }
}

#[test]
fn nonsense_from_the_measured_program_costs_its_case_and_shows_no_control_characters() {
    for action in ["garbage", "endless"] {
        let bench = Bench::behaving(&format!("one/f32/1 {action}\n"));
        let finished = bench.run(&["--runs", "1", "--model", "./one"]);
        assert_eq!(runs(&bench.results()), ["one/f32/1 1 Error", "one/f32/8 1"], "{action}");
        assert!(!finished.out.contains('\x1b') && !finished.err.contains('\x1b'));
    }
}

#[test]
fn what_happens_after_everything_was_measured_costs_nothing() {
    for action in ["garbage", "crash", "hang"] {
        let bench = Bench::behaving(&format!("end {action}\n")).impatient();
        let finished = bench.run(&["--runs", "1", "--model", "./one"]);
        assert_eq!(finished.code, Some(0), "{action}: {}", finished.err);
        assert_eq!(runs(&bench.results()), ["one/f32/1 1", "one/f32/8 1"], "{action}");
    }
}

#[test]
fn events_that_nobody_asked_for_are_ignored() {
    let bench = Bench::behaving("one/f32/1 other\ntwo/f32/1 newer\n");
    let finished = bench.run(&["--runs", "1"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert_eq!(runs(&bench.results()), ["one/f32/1 1", "one/f32/8 1", "two/f32/1 1", "two/f32/8 1"]);
}

#[test]
fn what_really_ran_is_recorded_beside_what_was_asked_for() {
    let bench = Bench::behaving("one/f32/8 fallback\n");
    let finished = bench.run(&["--runs", "1", "--model", "./one"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let results = bench.results();
    assert!(results.cases.iter().all(|case| case.implementation == Implementation::Plain));
    let ran = results.sessions[0].runs.iter().map(|run| measurement(run).unwrap().implementation.clone());
    assert_eq!(ran.collect::<Vec<_>>(), [None, Some(Implementation::Stock.into())], "the first says nothing");
}

#[test]
fn a_throttled_run_is_measured_again_and_kept_as_discarded() {
    let bench = Bench::behaving("one/f32/1 throttle-once\n");
    let finished = bench.run(&["--runs", "2", "--model", "./one", "--trace", "trace.jsonl"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert_eq!(bench.read("log"), "start\none/f32/1\none/f32/8\nstart\none/f32/1\nstart\none/f32/1\none/f32/8\n");
    let results = bench.results();
    assert_eq!(runs(&results), ["one/f32/8 1", "one/f32/1 1", "one/f32/1 2", "one/f32/8 2"]);
    let [discarded] = &results.sessions[0].discarded[..] else { panic!("one run doesn't count") };
    assert_eq!((discarded.run.case.as_str(), discarded.run.round), ("one/f32/1", 1));
    assert_eq!(discarded.why, "clocks were held down (sw_thermal_slowdown)");
    assert!(measurement(&discarded.run).is_some_and(|measured| !measured.metrics.is_empty()), "its numbers are kept");
    assert_eq!(bench.read("trace.jsonl").lines().count(), 4, "only of runs that count");
    let said = "round 1  one/f32/1  measuring again: clocks were held down (sw_thermal_slowdown)\n";
    assert!(finished.err.contains(said), "{}", finished.err);
    let noted = "measured again: one/f32/1, run 1: clocks were held down (sw_thermal_slowdown)\n";
    assert!(finished.out.contains(noted), "{}", finished.out);
}

/// A card that is too weak for a case is throttled whatever we do.
#[test]
fn a_case_that_is_always_throttled_counts_in_the_end() {
    let bench = Bench::behaving("one/f32/1 throttle\n");
    let finished = bench.run(&["--runs", "3", "--model", "./one"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let results = bench.results();
    assert_eq!((runs(&results).len(), results.sessions[0].discarded.len()), (6, 2));
    let throttled = |run: &&Run| measurement(run).unwrap().device.is_some();
    assert_eq!(results.sessions[0].runs.iter().filter(throttled).count(), 3, "and say so");
}

#[test]
fn a_worker_that_claims_to_be_done_isnt_believed() {
    let bench = Bench::behaving("one/f32/8 done\n");
    bench.run(&["--runs", "1"]);
    assert_eq!(runs(&bench.results()), ["one/f32/1 1", "one/f32/8 1 Error", "two/f32/1 1", "two/f32/8 1"]);
}

#[test]
fn the_measured_program_sees_no_secrets() {
    let bench = Bench::new();
    let secrets = ["GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_CREDENTIALS"];
    let mut command = bench.command(&["--runs", "1"]);
    command.envs(secrets.map(|name| (name, "s3cret"))).env("CUDA_VISIBLE_DEVICES", "0");
    assert!(command.output().unwrap().status.success());
    let names = bench.read("environment");
    assert!(names.lines().any(|name| name == "PATH") && names.lines().any(|name| name == "CUDA_VISIBLE_DEVICES"));
    for secret in secrets {
        assert!(!names.contains(secret), "{secret} was passed on");
    }
}

/// Where a program's memory lies is no one's advantage: its environment, which lies there too, has another length each run.
#[test]
fn each_run_lies_elsewhere_in_memory() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["--runs", "4"]).code, Some(0));
    let lengths = bench.read("padding");
    let lengths: std::collections::BTreeSet<&str> = lengths.lines().collect();
    assert!(lengths.len() >= 6, "two models in four rounds: {lengths:?}");
}

#[test]
fn threads_are_a_setting_like_others() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["--runs", "1", "--threads", "3", "--iterations", "2"]).code, Some(0));
    assert!(bench.read("environment").lines().any(|name| name == "RAYON_NUM_THREADS"));
    let settings = bench.results().settings;
    assert_eq!((settings.threads, settings.iterations), (Some(3), 2));
    for flags in [["--threads", "2"], ["--iterations", "1"]] {
        let finished = bench.run(&[&["--resume", "results.json"], &flags[..]].concat());
        assert_eq!(finished.code, Some(2), "{flags:?}: {}", finished.err);
        assert!(finished.err.contains("can't resume"), "{flags:?}: {}", finished.err);
    }
}

#[test]
fn one_measures_at_a_time() {
    let bench = Bench::behaving("f32 slow\n");
    let first = bench.command(&["--output", "first.json", "--runs", "1"]).spawn().unwrap();
    bench.wait_for_lines("log", 2);
    let second = bench.run(&["--output", "second.json", "--runs", "1"]);
    let holder = format!("process {} is measuring on this device", first.id());
    let first = Finished::of(first.wait_with_output().unwrap());
    assert_eq!((first.code, second.code), (Some(0), Some(0)));
    assert!(second.err.contains(&holder), "{}", second.err);
    let log = "start\none/f32/1\none/f32/8\nstart\ntwo/f32/1\ntwo/f32/8\n";
    assert_eq!(bench.read("log"), [log, log].concat());
}

#[test]
fn a_missing_program_is_named() {
    let bench = Bench::new();
    let finished = Finished::of(bench.plain(&["--worker", "./nowhere"]).output().unwrap());
    assert_eq!(finished.code, Some(3));
    let what = "error: can't start ./nowhere: No such file or directory (os error 2)";
    let hint = "it must be a program that speaks bench-diff's protocol";
    assert!(finished.err.ends_with(&format!("{what}\n  hint: {hint}\n")), "{}", finished.err);
}

fn measurement(run: &Run) -> Option<&Measurement> {
    match &run.outcome {
        Outcome::Ok(measurement) => Some(measurement),
        Outcome::Failed(_) => None,
    }
}
