//! `ci`, `calibrate` and `baseline`, as a user meets them. Most tests measure a script (`ci/program.sh`) instead of a
//! model: its speed is known.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]

#[path = "ci/ab.rs"]
mod ab;
#[path = "ci/ab_engines.rs"]
mod ab_engines;
#[path = "ci/again.rs"]
mod again;
#[path = "ci/baseline.rs"]
mod baseline;
#[path = "ci/candle.rs"]
mod candle;
#[path = "ci/children.rs"]
mod children;
#[path = "ci/confirm.rs"]
mod confirm;
#[path = "ci/doctor.rs"]
mod doctor;
#[path = "ci/doctor_servers.rs"]
mod doctor_servers;
#[path = "ci/engine.rs"]
mod engine;
#[path = "ci/folders.rs"]
mod folders;
#[path = "ci/forged.rs"]
mod forged;
#[path = "ci/in_the_way.rs"]
mod in_the_way;
#[path = "ci/inside.rs"]
mod inside;
#[path = "ci/lacking_traces.rs"]
mod lacking_traces;
#[path = "ci/moved.rs"]
mod moved;
#[path = "ci/moved_part_and_whole.rs"]
mod moved_part_and_whole;
#[path = "ci/moved_twice.rs"]
mod moved_twice;
#[path = "ci/other_work.rs"]
mod other_work;
#[path = "ci/own_engine.rs"]
mod own_engine;
#[path = "ci/pages.rs"]
mod pages;
#[path = "ci/planted.rs"]
mod planted;
#[path = "ci/relation.rs"]
mod relation;
#[path = "ci/resume.rs"]
mod resume;
#[path = "child/shims.rs"]
mod shims;
#[path = "ci/terminal.rs"]
mod terminal;
#[path = "ci/unconfigured.rs"]
mod unconfigured;
#[path = "ci/unjudged.rs"]
mod unjudged;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// A directory with a configuration, as a repository would be.
struct Place(tempfile::TempDir);

/// Exit code, standard output, standard error.
type Said = (i32, String, String);

impl Place {
    fn new() -> Self {
        Self::with_config(
            "[suites.small]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\ncontext-lengths = [1, 256]\n",
        )
    }

    fn with_config(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("bench-diff.toml"), config).unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A program of that speed, built from that commit.
    fn program(&self, name: &str, speed: &str, commit: &str) -> String {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ci/program.sh");
        let script = std::fs::read_to_string(template).unwrap().replace("SPEED", speed).replace("COMMIT", commit);
        self.install(name, &script)
    }

    fn install(&self, name: &str, script: &str) -> String {
        let path = self.path(name);
        // Written elsewhere and copied: executing a file that a forked child still has open for writing fails.
        let source = self.path(&format!("{name}.source"));
        std::fs::write(&source, script).unwrap();
        let made = Command::new("install").arg("-m755").arg(&source).arg(&path).status().unwrap();
        assert!(made.success());
        path.display().to_string()
    }

    fn run(&self, args: &[&str]) -> Said {
        self.run_with(args, &[])
    }

    /// With these variables as well.
    fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_bench-diff"))
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .envs(["PATH", "HOME"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("COLUMNS", "120")
            .envs(variables.iter().copied())
            .output()
            .expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        (output.status.code().expect("an exit code"), text(&output.stdout), text(&output.stderr))
    }

    /// `ci` on programs of the test, quietly.
    fn ci(&self, args: &[&str]) -> Said {
        self.run(&[&["ci", "--quiet"], args].concat())
    }

    fn report(&self) -> Value {
        read(&self.path(".bench-diff/latest/report.json"))
    }

    /// Without what differs from machine to machine.
    fn plain(&self, text: &str) -> String {
        let report = self.report();
        let cpu = report["head"]["sessions"][0]["environment"]["cpu"].as_str().unwrap();
        let hardware = report["hardware"].as_str().unwrap();
        text.replace(hardware, "HARDWARE").replace(cpu, "CPU").replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_first_run_checks_the_machine_and_keeps_a_local_baseline() {
    let place = Place::new();
    let head = place.program("head", "100", "aaaaaaa");
    let (exit, out, err) = place.ci(&["--head-binary", &head]);
    assert_eq!(exit, 0, "{err}");
    insta::assert_snapshot!("first_run_comment", place.plain(&out));
    insta::assert_snapshot!("first_run_stderr", place.plain(&err));
    assert_eq!(std::fs::read_to_string(place.path(".bench-diff/.gitignore")).unwrap(), "*\n");
    assert!(place.report()["self_check"]["rows"].as_array().is_some_and(|rows| !rows.is_empty()));
}

#[test]
fn the_next_runs_measure_the_kept_build_again_and_add_to_its_sessions() {
    let place = Place::new();
    let head = place.program("head", "100", "aaaaaaa");
    for sessions in 1..=6 {
        let (exit, _, err) = place.ci(&["--head-binary", &head, "--fail-on", "regression"]);
        assert_eq!(exit, 0, "{err}");
        let hardware = place.report()["hardware"].as_str().unwrap().to_owned();
        let kept = read(&place.path(&format!(".bench-diff/baselines/small/{hardware}.json")));
        assert_eq!(kept["sessions"].as_array().unwrap().len(), sessions, "{err}");
    }
    assert_eq!(place.report()["comparison"]["tier"], "same-session");
    assert_eq!(place.report()["comparison"]["verdict"], "unchanged");
    // Without the kept program its sessions still tell something.
    std::fs::remove_dir_all(place.path(".bench-diff/programs")).unwrap();
    let (exit, _, err) = place.ci(&["--head-binary", &head]);
    assert_eq!(exit, 0, "{err}");
    let comparison = &place.report()["comparison"];
    assert_eq!((&comparison["tier"], &comparison["base_occasions"]), (&json!("single-baseline"), &json!(1)));
    assert_eq!(comparison["counts"]["regressed"], 0, "six sessions of one minute are no history");
}

#[test]
fn a_slower_build_is_told_and_does_not_become_the_baseline() {
    let place = Place::new();
    let head = place.program("head", "100", "aaaaaaa");
    for _ in 0..5 {
        assert_eq!(place.ci(&["--head-binary", &head]).0, 0);
    }
    // Its next run is the second of two that are alike, so that those of confirming are pairs.
    let hardware = place.report()["hardware"].as_str().unwrap().to_owned();
    std::fs::write(place.path(&format!(".bench-diff/programs/small/{hardware}.count")), "1").unwrap();
    let slower = place.program("slower", "90", "bbbbbbb");
    let (exit, out, err) = place.ci(&["--head-binary", &slower, "--fail-on", "regression"]);
    assert_eq!(exit, 1, "{err}");
    insta::assert_snapshot!("slower_comment", place.plain(&out));
    insta::assert_snapshot!("slower_stderr", place.plain(&err));
    let (exit, out, err) = place.ci(&["--head-binary", &slower, "--format", "table"]);
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("Slower: decode"), "still judged by the old build: {out}");
}

/// A machine that has become slower since is no regression: the kept build runs on it, too.
#[test]
fn a_machine_that_has_changed_since_is_not_blamed_on_the_new_build() {
    let place = Place::new();
    let head = place.program("head", "100", "aaaaaaa");
    assert_eq!(place.ci(&["--head-binary", &head]).0, 0);
    let hardware = place.report()["hardware"].as_str().unwrap().to_owned();
    let slow_now = place.program("slow-now", "80", "aaaaaaa");
    let kept = place.path(&format!(".bench-diff/programs/small/{hardware}"));
    assert!(Command::new("install").arg("-m755").arg(&slow_now).arg(&kept).status().unwrap().success());
    let next = place.program("next", "80", "bbbbbbb");
    let (exit, _, err) = place.ci(&["--head-binary", &next, "--fail-on", "regression"]);
    assert_eq!(exit, 0, "{err}");
    assert_eq!(place.report()["comparison"]["verdict"], "unchanged");
}

/// What a build with local changes is, nobody knows: its sessions are no history.
#[test]
fn a_dirty_build_is_no_history() {
    let place = Place::new();
    let head = place.program("head", "100", "aaaaaaa-dirty");
    for _ in 0..2 {
        assert_eq!(place.ci(&["--head-binary", &head]).0, 0);
    }
    let hardware = place.report()["hardware"].as_str().unwrap().to_owned();
    let kept = read(&place.path(&format!(".bench-diff/baselines/small/{hardware}.json")));
    assert_eq!(kept["sessions"].as_array().unwrap().len(), 1);
}

/// What is slower there is measured again, beside the base again.
#[test]
fn a_base_program_is_measured_interleaved() {
    let place = Place::new();
    let base = place.program("base", "100", "aaaaaaa");
    let head = place.program("head", "90", "bbbbbbb");
    let (exit, out, err) =
        place.ci(&["--base-binary", &base, "--head-binary", &head, "--fail-on", "regression", "--format", "json"]);
    assert_eq!(exit, 1, "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&report["comparison"]["tier"], &report["comparison"]["verdict"]),
        (&json!("confirmed"), &json!("regressed"))
    );
    let rows = report["comparison"]["rows"].as_array().unwrap();
    assert!(rows.iter().filter(|row| row["verdict"] == "regressed").all(|row| row["base_again"]["n"] == 4));
    assert_eq!(report["base"]["sessions"][0]["id"], report["head"]["sessions"][0]["id"]);
    assert_eq!(report["base"]["sessions"][0]["program"]["commit"], "aaaaaaa");
    let (exit, _, err) = place.ci(&["--base-binary", &base, "--head-binary", &head, "--no-confirm"]);
    assert_eq!((exit, &place.report()["comparison"]["tier"]), (0, &json!("same-session")), "{err}");
}

#[test]
fn when_every_run_fails_there_is_no_verdict() {
    let place = Place::new();
    let head = place.program("head", "0", "aaaaaaa");
    let (exit, out, err) = place.ci(&["--head-binary", &head]);
    assert_eq!(exit, 3);
    assert!(out.starts_with("### ❌ Every run failed"), "{out}");
    insta::assert_snapshot!(err);
    assert!(!place.path(".bench-diff/baselines").exists(), "nothing to compare with later");
}

/// The whole way with a real, if tiny, model.
#[test]
fn a_real_model_on_the_cpu() {
    let place = Place::with_config(
        "[suites.tiny]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"./model\"]\ncontext-lengths = [3]\ngenerated-length = 4\nruns = 2\n",
    );
    std::fs::create_dir(place.path("model")).unwrap();
    let config = json!({
        "model_type": "qwen2", "hidden_act": "silu", "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 151_936,
        "tie_word_embeddings": true, "max_position_embeddings": 32_768, "rope_theta": 1e6, "rms_norm_eps": 1e-6,
    });
    std::fs::write(place.path("model/config.json"), config.to_string()).unwrap();
    let (exit, out, err) = place.ci(&[]);
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("First measurement of 1 case"), "{out}");
    assert!(!err.contains("not measuring the base"), "nobody asked for one: {err}");
    let (exit, _, err) = place.ci(&[]);
    assert_eq!(exit, 0, "{err}");
    assert!(place.report()["comparison"]["rows"].as_array().is_some_and(|rows| !rows.is_empty()));
}

#[test]
fn calibrate_says_how_many_runs_a_change_needs() {
    // The worker is the program itself, so this measures a model; only the shape of the answer is known.
    let place = Place::with_config(
        "[suites.tiny]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"./model\"]\ncontext-lengths = [3]\ngenerated-length = 4\n",
    );
    std::fs::create_dir(place.path("model")).unwrap();
    let config = json!({
        "model_type": "qwen2", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 151_936, "tie_word_embeddings": true,
    });
    std::fs::write(place.path("model/config.json"), config.to_string()).unwrap();
    let (exit, out, err) = place.run(&["calibrate", "--quiet", "--rounds", "3", "--format", "json"]);
    assert_eq!(exit, 0, "{err}");
    let calibration: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&calibration["rounds"], &calibration["runs"]), (&json!(3), &json!(3)));
    let decode = &calibration["metrics"][0];
    assert_eq!(decode["metric"], "decode_throughput");
    assert!(decode["minimum_detectable_effect"].as_f64().unwrap() > decode["spread"].as_f64().unwrap());
}

/// A repository whose program is built by a command from a file with its speed: 100 on main, 80 on the branch that is
/// checked out.
fn repository() -> (Place, String) {
    repository_of("sha1")
}

fn repository_of(format: &str) -> (Place, String) {
    let place = Place::new();
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ci/program.sh");
    std::fs::copy(template, place.path("program.sh")).unwrap();
    std::fs::write(place.path(".gitignore"), "program\nbuilt*\nprogram.count\n").unwrap();
    std::fs::write(place.path("speed"), "100").unwrap();
    place.git(&["init", "--quiet", "--initial-branch", "main", "--object-format", format]);
    place.commit("main");
    let base = place.git(&["rev-parse", "HEAD"]);
    place.git(&["switch", "--quiet", "--create", "slower"]);
    std::fs::write(place.path("speed"), "80").unwrap();
    place.commit("slower");
    let built = Command::new("bash").args(["-c", BUILD]).current_dir(place.0.path()).status().unwrap();
    assert!(built.success());
    (place, base)
}

const BUILD: &str =
    "sed \"s/SPEED/$(cat speed)/g; s/COMMIT/$(git rev-parse HEAD)/\" program.sh > built && install -m755 built program";

impl Place {
    fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=test", "-c", "user.email=test@example.com"]).args(args);
        let output = command.current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// In a workflow, of a pull request that goes into this commit.
    fn ci_of_pull_request(&self, base: &str, head: &str) -> Said {
        let sides =
            json!({ "head": { "sha": self.git(&["rev-parse", "HEAD"]) }, "base": { "sha": base }, "number": 7 });
        std::fs::write(self.path("event.json"), json!({ "pull_request": sides }).to_string()).unwrap();
        let event = self.path("event.json").display().to_string();
        self.run_with(
            &["ci", "--quiet", "--no-publish", "--head-binary", head, "--output", "out"],
            &[
                ("GITHUB_REPOSITORY", "acme/candle"),
                ("GITHUB_EVENT_NAME", "pull_request"),
                ("GITHUB_EVENT_PATH", &event),
            ],
        )
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }
}

#[test]
fn the_base_is_built_from_the_commit_where_the_branch_began() {
    let (place, base) = repository();
    let flags =
        ["--build-command", BUILD, "--head-binary", "./program", "--base-ref", "main", "--fail-on", "regression"];
    let (exit, _, err) = place.ci(&flags);
    assert_eq!(exit, 1, "{err}");
    assert_eq!(place.report()["base"]["sessions"][0]["program"]["commit"], json!(base));
    assert_eq!(place.report()["comparison"]["tier"], "confirmed");
    // What is built is kept.
    let (exit, _, err) = place.ci(&[&flags[..], &["--build-command", "false"]].concat()[2..]);
    assert_eq!(exit, 3, "another command is another build: {err}");
    let absolute = place.path("program").display().to_string();
    let (exit, _, err) = place.ci(&["--head-binary", &absolute, "--build-command", BUILD, "--base-ref", "main"]);
    let told = "error: with --build-command, --head-binary must be a path inside the repository\n";
    assert_eq!((exit, err.as_str()), (2, told));
    assert!(place.report()["failure"].as_str().is_some_and(|why| told.contains(why)), "the report says so as well");
    let (exit, _, err) = place.ci(&["--head-binary", "./program", "--build-command", "x", "--base-ref", "nowhere"]);
    assert_eq!(exit, 2);
    assert!(err.starts_with("error: no base `nowhere`: "), "{err}");
    let absolute = place.path("program").display().to_string();
    let (exit, _, err) = place.ci(&["--head-binary", &absolute, "--build-command", "x", "--base-ref", "main"]);
    assert_eq!(exit, 2);
    assert!(err.contains("--head-binary must be a path inside the repository"), "{err}");
    // Without a base there is still something to measure.
    let (exit, _, err) = place.ci(&["--head-binary", "./program", "--build-command", "false"]);
    assert_eq!(exit, 0, "{err}");
    assert!(err.starts_with("not measuring the base: nothing says what the base is\n"), "{err}");
}

#[test]
fn a_pull_request_is_judged_by_the_baseline_of_its_base() {
    let (place, _) = repository();
    place.git(&["switch", "--quiet", "main"]);
    let fast = place.program("program", "100", "aaaaaaa");
    for _ in 0..2 {
        assert_eq!(place.ci(&["--head-binary", &fast, "--output", "out"]).0, 0);
        assert_eq!(place.run(&["baseline", "update", "out/results.json"]).0, 0);
    }
    place.commit("a baseline");
    let base = place.git(&["rev-parse", "HEAD"]);
    place.git(&["switch", "--quiet", "--create", "sly"]);
    std::fs::remove_dir_all(place.path("baselines")).unwrap();
    place.commit("no baseline, no regression");
    let slow = place.program("program", "60", "bbbbbbb");

    let (exit, out, err) = place.ci_of_pull_request(&base, &slow);
    assert_eq!((exit, out.as_str()), (0, ""), "nothing is published: {err}");
    let report = read(&place.path("out/report.json"));
    let rows = report["comparison"]["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["unconfirmed"] == true), "much slower, as far as two sessions of a minute tell");
    assert_eq!(report["pull_request"], 7);
}

/// What else lies there is no baseline, and one that can't be had is not passed over.
#[test]
fn only_baselines_of_the_base_count_and_all_of_them() {
    let (place, _) = repository();
    place.git(&["switch", "--quiet", "main"]);
    std::fs::create_dir_all(place.path("baselines/small")).unwrap();
    std::fs::write(place.path("baselines/small/README.md"), "none yet").unwrap();
    place.commit("no baseline yet");
    let without = place.git(&["rev-parse", "HEAD"]);
    let head = place.program("program", "100", "aaaaaaa");
    assert_eq!(place.ci(&["--head-binary", &head, "--output", "out"]).0, 0);
    assert_eq!(place.run(&["baseline", "update", "out/results.json"]).0, 0);
    let (exit, _, err) = place.ci_of_pull_request(&without, &head);
    assert_eq!(exit, 0, "{err}");
    let report = read(&place.path("out/report.json"));
    let doubt = format!("judged by the checkout's baselines, as the base ({without}) has none");
    assert_eq!(report["comparison"]["warnings"].as_array().unwrap().last(), Some(&json!(doubt)));

    let hardware = report["hardware"].as_str().unwrap();
    place.commit("a baseline");
    let with = place.git(&["rev-parse", "HEAD"]);
    let name = format!("baselines/small/{hardware}.json");
    let blob = place.git(&["rev-parse", &format!("HEAD:{name}")]);
    std::fs::remove_file(place.path(".git/objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    let (exit, _, err) = place.ci_of_pull_request(&with, &head);
    assert_eq!(exit, 2, "{err}");
    assert!(err.contains(&format!("error: can't take the baselines of {with}: {name}: ")), "{err}");
    assert!(err.contains("check out without a filter"), "{err}");
}
