//! Which GPU is planned, watched and measured, through the binary, on a machine whose driver is `devices/nvml.c`.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]
#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const SMALL: &str = "GPU-3a11cd46-8af1-4da2-c478-f1ae39137802";
const LARGE: &str = "GPU-3a11cd47-8af1-4da2-c478-f1ae39137802";

const CONFIG: &str = r#"weights = "generated"
[suites.gpu]
device = "cuda"
models = ["Qwen/Qwen2.5-0.5B"]
context-lengths = [1]
runs = 1
limits = { idle-wait-seconds = 0 }
"#;

/// Tells what it sees, and measures nothing.
const WORKER: &str = r#"#!/bin/sh
echo "$CUDA_VISIBLE_DEVICES" > "$HOME/seen"
cat > "$HOME/job"
exit 1
"#;

/// A machine with a small card and a large one.
struct Machine {
    directory: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { directory: TempDir::new().unwrap(), variables: Vec::new() };
        machine.write("bench-diff.toml", CONFIG);
        machine.write("worker.sh", WORKER);
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/devices/nvml.c");
        let library = machine.path("libnvidia-ml.so.1");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(library).arg(source).status().unwrap();
        assert!(built.success());
        machine.with("BENCH_DIFF_WORKER_CARDS", "Small:24,Large:80")
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Exit code, standard output, standard error.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let here = self.directory.path();
        let output = Command::new(env!("CARGO_BIN_EXE_bench-diff"))
            .args(args)
            .current_dir(here)
            .env_remove("BENCH_DIFF_CONFIG")
            .env_remove("CUDA_VISIBLE_DEVICES")
            .envs([("LD_LIBRARY_PATH", here), ("TMPDIR", here), ("HOME", here)])
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        (output.status.code().expect("an exit code"), text(&output.stdout), text(&output.stderr))
    }

    /// The card that `plan` plans for.
    fn planned(&self, flags: &[&str]) -> String {
        let (exit, out, err) = self.run(&[&["plan", "--format", "json", "--suite", "gpu"], flags].concat());
        assert_eq!((exit, err.as_str()), (0, ""));
        let plan: Value = serde_json::from_str(&out).unwrap();
        format!(
            "{} of {} GiB",
            plan["device"]["name"].as_str().unwrap(),
            plan["device"]["memory"].as_u64().unwrap() >> 30
        )
    }

    /// What the measured program sees: `CUDA_VISIBLE_DEVICES`, and the job's GPUs.
    fn measured(&self, flags: &[&str]) -> (String, [Value; 2]) {
        let worker = self.path("worker.sh");
        let flags = [&["run", "--force", "--quiet", "--suite", "gpu", "--worker", worker.to_str().unwrap()], flags];
        let (exit, _, err) = self.run(&flags.concat());
        assert_eq!(exit, 3, "the worker fails: {err}");
        let job: Value = serde_json::from_str(&fs::read_to_string(self.path("job")).expect(&err)).unwrap();
        let seen = fs::read_to_string(self.path("seen")).unwrap().trim().to_owned();
        (seen, [job["model"]["gpu"].clone(), job["model"]["gpus"].clone()])
    }
}

#[test]
fn the_card_that_is_planned_is_the_card_that_is_measured() {
    let cases = [(None, "0", "Small", SMALL), (None, "1", "Large", LARGE), (None, LARGE, "Large", LARGE)];
    let renumbered =
        [(Some("1"), "0", "Large", LARGE), (Some("1,0"), "1", "Small", SMALL), (Some(LARGE), "0", "Large", LARGE)];
    for (visible, gpus, name, uuid) in cases.into_iter().chain(renumbered) {
        let mut machine = Machine::new();
        machine.variables.extend(visible.map(|visible| ("CUDA_VISIBLE_DEVICES", visible.to_owned())));
        let planned = machine.planned(&["--gpus", gpus]);
        assert!(planned.starts_with(name), "{visible:?} {gpus}: {planned}");
        let (seen, [gpu, gpus]) = machine.measured(&["--gpus", gpus]);
        // The one that it sees is its first, whatever its number here; a program of before there were lists knows `gpu`.
        assert_eq!((seen.as_str(), gpu, gpus), (uuid, 0.into(), [0].as_slice().into()), "{visible:?}");
    }
    assert_eq!(Machine::new().planned(&[]), "Small of 24 GiB");
    assert_eq!(Machine::new().planned(&["--gpu", "1"]), "Large of 80 GiB", "the name that `generate` had for it");
}

#[test]
fn a_card_that_is_not_there_is_told_with_those_that_are() {
    let machine = Machine::new();
    let list = format!("this machine has 0 (Small, {SMALL}) and 1 (Large, {LARGE})");
    let (exit, _, err) = machine.run(&["plan", "--suite", "gpu", "--gpus", "2"]);
    assert_eq!((exit, err), (2, format!("error: --gpus: there is no GPU 2: {list}\n")));
    machine.write("bench-diff.toml", &CONFIG.replace("runs = 1", "gpus = [\"GPU-5a\"]"));
    let (exit, _, err) = machine.run(&["plan", "--suite", "gpu"]);
    assert_eq!((exit, err), (2, format!("error: bench-diff.toml:6: there is no GPU GPU-5a: {list}\n")));
    let (exit, _, err) = machine.run(&[
        "generate",
        ".",
        "--device",
        "cuda",
        "--gpus",
        "2",
        "--prompt-ids",
        "1",
        "--tokens",
        "1",
        "--dtype",
        "f32",
    ]);
    assert_eq!((exit, err), (2, format!("error: --gpus: there is no GPU 2: {list}\n")));
    let hidden = Machine::new().with("CUDA_VISIBLE_DEVICES", "0");
    let (exit, _, err) = hidden.run(&["plan", "--suite", "gpu", "--gpus", "1"]);
    let shown = format!("CUDA_VISIBLE_DEVICES shows only 0 (Small, {SMALL}), of 2 in this machine");
    assert_eq!((exit, err), (2, format!("error: --gpus: there is no GPU 1: {shown}\n")));
}

/// The cards of a suite for another machine are no reason to refuse this one's.
#[test]
fn only_the_wanted_suite_needs_its_cards() {
    let machine = Machine::new();
    machine.write(
        "bench-diff.toml",
        &format!("{CONFIG}\n[suites.other]\ndevice = \"cuda\"\ngpus = [7]\nmodels = [\"Qwen/Qwen2.5-3B\"]\n"),
    );
    assert_eq!(machine.planned(&[]), "Small of 24 GiB");
    assert_eq!(machine.run(&["plan", "--suite", "other"]).0, 2);
}

impl Machine {
    /// What `doctor` says of the machine and of what fits there.
    fn doctor(&self, flags: &[&str]) -> Vec<[String; 3]> {
        let (exit, out, err) = self.run(&[&["doctor", "--format", "json", "--suite", "gpu"], flags].concat());
        assert_eq!((exit, err.as_str()), (1, ""), "this is no repository: {out}");
        let found: Value = serde_json::from_str(&out).unwrap();
        let checks = found["checks"].as_array().unwrap().iter();
        let of_machine =
            checks.filter(|check| ["machine", "plan", "configuration"].iter().any(|of| check["about"] == *of));
        of_machine.map(|check| ["status", "about", "said"].map(|of| check[of].as_str().unwrap().to_owned())).collect()
    }
}

#[test]
fn doctor_says_who_uses_the_card_and_what_does_not_fit() {
    let says = |checks: &[[String; 3]], status: &str, about: &str, said: &str| {
        let found = checks.iter().any(|check| check[0] == status && check[1] == about && check[2].contains(said));
        assert!(found, "no {status} {about} {said:?} in {checks:#?}");
    };
    let machine = Machine::new();
    let checks = machine.doctor(&["--gpus", "1"]);
    says(&checks, "ok", "machine", "GPU 1, Large, driver ");
    says(&checks, "ok", "machine", "; nobody uses it");
    says(&checks, "ok", "plan", "every case fits");
    let too_large = machine.doctor(&["--model", "Qwen/Qwen2.5-32B-Instruct"]);
    says(&too_large, "missing", "plan", "but the device has 24.0 GiB");
    let busy = Machine::new().with("BENCH_DIFF_WORKER_BUSY", "1");
    says(&busy.doctor(&["--gpus", "1"]), "note", "machine", "GPU 1 is busy: ");
    says(&busy.doctor(&["--gpus", "0"]), "ok", "machine", "; nobody uses it");
    let hidden = Machine::new().with("CUDA_VISIBLE_DEVICES", "");
    says(&hidden.doctor(&[]), "missing", "configuration", "CUDA_VISIBLE_DEVICES shows none");
}

/// The layers of a model on two cards: what each needs, and which is too small. 72B in bf16 leaves 8.2 GiB of 80 beside its
/// weights and buffers, at 160 KiB a token.
#[test]
fn several_cards_are_planned_each_for_itself() {
    let plan = |cards: &str, flags: &[&str]| {
        let machine = Machine::new().with("BENCH_DIFF_WORKER_CARDS", cards);
        let flags = [&["plan", "--suite", "gpu", "--implementation", "plain", "--format", "json"], flags].concat();
        let (exit, out, err) = machine.run(&flags);
        let planned: Value = serde_json::from_str(&out).unwrap();
        let runs = planned["cases"].as_array().unwrap().iter().any(|case| case["failure"].is_null());
        assert_eq!((exit, err.as_str()), (i32::from(!runs), ""));
        planned
    };
    let on_two = ["--gpus", "0,1", "--context-lengths", "1,6144,129024", "--model", "Qwen/Qwen2.5-72B-Instruct"];
    let plan_of_72b = plan("Large:80,Large:80", &on_two);
    let cases = plan_of_72b["cases"].as_array().unwrap();
    let reasons: Vec<&Value> = cases.iter().map(|case| &case["failure"]["reason"]).collect();
    assert_eq!(reasons[..2], [&Value::Null, &Value::Null], "72B in bf16 runs on two such cards");
    let said = reasons[2].as_str().unwrap();
    assert!(
        said.starts_with("needs about 9") && said.contains(" GiB on GPU 1 (Large), which has 80.0 GiB: "),
        "{said}"
    );
    assert!(said.ends_with("use a context of at most about 51000 tokens, a smaller model or more GPUs"), "{said}");
    let weights: Vec<u64> =
        cases[0]["by_card"].as_array().unwrap().iter().map(|card| card["weights"].as_u64().unwrap()).collect();
    assert_eq!(weights.iter().sum::<u64>(), cases[0]["memory"]["weights"].as_u64().unwrap());
    assert_eq!(weights[1] - weights[0], 8192 * 2, "the last norm");

    let on_one = plan("Large:80,Large:80", &["--gpus", "1", "--model", "Qwen/Qwen2.5-72B-Instruct"]);
    let said = on_one["cases"][0]["failure"]["reason"].as_str().unwrap();
    assert!(said.ends_with("but the device has 80.0 GiB: use a smaller model or more GPUs"), "{said}");
    let unlike = plan("Small:24,Large:80", &["--gpus", "1,0", "--model", "Qwen/Qwen2.5-32B-Instruct"]);
    let said = unlike["cases"][0]["failure"]["reason"].as_str().unwrap();
    assert!(said.contains(" GiB on GPU 0 (Small), which has 24.0 GiB: use a smaller model"), "{said}");
    let many = plan("A:80,A:80,A:80,A:80", &["--gpus", "0,1,2,3", "--device-memory", "48", "--model", "Qwen2.5-72B"]);
    assert_eq!(many["device"]["memory"].as_u64(), Some(4 * (48 << 30)), "each has that much");
    assert_eq!(many["cases"][0]["failure"], Value::Null);
}

#[test]
fn a_plan_for_several_cards_has_a_line_for_each() {
    let machine = Machine::new().with("BENCH_DIFF_WORKER_CARDS", "Large:80,Large:80");
    let flags =
        ["plan", "--suite", "gpu", "--gpus", "0,1", "--implementation", "plain", "--context-lengths", "1,60000"];
    let (exit, out, err) = machine.run(&[&flags[..], &["--model", "Qwen/Qwen2.5-72B-Instruct"]].concat());
    assert_eq!((exit, err.as_str()), (0, ""));
    insta::assert_snapshot!(out);
}

#[test]
fn a_program_that_is_given_several_cards_sees_them_in_their_order() {
    let flags = ["--implementation", "plain", "--gpus"];
    for (gpus, seen) in [("0,1", format!("{SMALL},{LARGE}")), ("1,0", format!("{LARGE},{SMALL}"))] {
        let (visible, [_, ordinals]) = Machine::new().measured(&[&flags[..], &[gpus]].concat());
        assert_eq!((visible, ordinals), (seen, [0, 1].as_slice().into()), "{gpus}");
    }
}

/// A build from before would measure the first card by the name of both.
#[test]
fn an_older_build_is_never_asked_for_several_cards() {
    let machine = Machine::new();
    let program = r#"{"name":"old","version":"1.0","candle_version":"none"}"#;
    machine.write(
        "worker.sh",
        &format!("#!/bin/sh\necho '{{\"event\":\"hello\",\"protocol\":3,\"program\":{program}}}'\n"),
    );
    let worker = machine.path("worker.sh");
    let flags = ["run", "--quiet", "--suite", "gpu", "--gpus", "0,1", "--implementation", "plain", "--worker"];
    let (exit, _, err) = machine.run(&[&flags[..], &[worker.to_str().unwrap()]].concat());
    assert_eq!(exit, 3, "{err}");
    assert!(err.contains("worker.sh is too old for several GPUs: it would measure something else"), "{err}");
}

/// `graph`, which runs on a GPU unless another is named, takes two; `stock` takes one.
#[test]
fn what_runs_on_one_card_refuses_two() {
    let machine = Machine::new();
    let plan = ["plan", "--suite", "gpu", "--gpus", "0,1"];
    let (exit, out, err) = machine.run(&plan);
    assert!(exit == 0 && ["GPU 0", "GPU 1"].iter().all(|card| out.contains(card)), "{out}{err}");
    let why = "uses one GPU: name only one, or use `--implementation plain`, which lays a model's layers on several";
    let stock = ["--implementation", "stock"];
    let (exit, out, err) = machine.run(&[&plan[..], &stock].concat());
    assert_eq!((exit, out.as_str(), err), (2, "", format!("error: --gpus: `stock` {why}\n")));
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qwen2/untied");
    let flags = ["--device", "cuda", "--gpus", "0,1", "--prompt-ids", "1", "--generated-length", "1"];
    let (exit, out, err) = machine.run(&[&["generate", model][..], &flags, &stock].concat());
    assert_eq!((exit, out.as_str(), err), (2, "", format!("error: `stock` {why}\n")));
}

#[test]
fn only_the_card_that_is_measured_must_be_idle() {
    let machine = Machine::new().with("BENCH_DIFF_WORKER_BUSY", "1");
    assert_eq!(machine.measured(&["--gpus", "0"]).0, SMALL);
    let worker = machine.path("worker.sh");
    let flags = ["run", "--force", "--quiet", "--suite", "gpu", "--gpus", "1", "--worker", worker.to_str().unwrap()];
    let (exit, _, err) = machine.run(&flags);
    let reason = "GPU 1 is busy: process 4242 (python3, 512 MiB)";
    let hint = "stop that, or wait longer than 0 s (`idle-wait-seconds`)";
    assert_eq!((exit, err), (3, format!("error: {reason}\n  hint: {hint}\n")));
}
