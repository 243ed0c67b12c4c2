//! What `ci` starts: builds and git.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::shims::{CANARIES, Shims};
use crate::{BUILD, Place, Said, repository, repository_of};

/// A build that notes what it sees, and then builds.
fn noting_build() -> String {
    format!("env > \"$HOME/seen\"; {BUILD}")
}

impl Place {
    fn build_with(&self, flags: &[&str], variables: &[(&str, &str)]) -> Said {
        let (build, home) = (noting_build(), self.0.path().to_str().unwrap().to_owned());
        let ci = ["ci", "--quiet", "--build-command", &build, "--head-binary", "program", "--base-ref", "main"];
        self.run_with(&[&ci[..], flags].concat(), &[&[("HOME", home.as_str())], variables].concat())
    }

    fn base_commit(&self) -> Value {
        self.report()["base"]["sessions"][0]["program"]["commit"].clone()
    }
}

#[test]
fn a_build_gets_what_builds_need_and_no_secret() {
    let (place, base) = repository();
    let needed =
        [("RUSTFLAGS", "-Copt-level=1"), ("CC", "cc"), ("CUDA_COMPUTE_CAP", "90"), ("https_proxy", "http://p")];
    let variables = [&needed[..], &CANARIES[..], &[("MINE", "wanted"), ("ANOTHER", "canary")]].concat();
    let (exit, _, err) = place.build_with(&["--build-env", "MINE"], &variables);
    assert_eq!((exit, place.base_commit()), (0, json!(base)), "{err}");
    let seen = std::fs::read_to_string(place.path("seen")).unwrap();
    assert!(!seen.contains("canary"), "{seen}");
    for (name, value) in [&needed[..], &[("MINE", "wanted")]].concat() {
        assert!(seen.lines().any(|line| line == format!("{name}={value}")), "{name} in {seen}");
    }
}

#[test]
fn a_killed_build_leaves_nothing_behind() {
    let (place, _) = repository();
    let build =
        "(setsid sleep 300 & echo $! >> \"$HOME/pids\"); trap '' TERM INT; echo $$ >> \"$HOME/pids\"; sleep 300";
    let mut child = Command::new(env!("CARGO_BIN_EXE_bench-diff"))
        .args(["ci", "--quiet", "--build-command", build, "--head-binary", "./program", "--base-ref", "main"])
        .current_dir(place.0.path())
        .env("HOME", place.0.path())
        .env_remove("GITHUB_REPOSITORY")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pids = || std::fs::read_to_string(place.path("pids")).unwrap_or_default();
    wait_for(|| pids().lines().count() == 2, "both have started");
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for(|| pids().lines().all(|pid| !Path::new("/proc").join(pid).exists()), "both have ended");
}

/// Stopped is stopped, whatever was at work: neither a failure of the build nor a verdict.
#[test]
fn a_stopped_build_is_no_failure() {
    let (place, _) = repository();
    let fast = place.program("fast", "100", "aaaaaaa");
    for with_baseline in [false, true] {
        if with_baseline {
            assert_eq!(place.ci(&["--head-binary", &fast, "--output", "out"]).0, 0);
            assert_eq!(place.run(&["baseline", "update", "out/results.json"]).0, 0);
        }
        let child = Command::new(env!("CARGO_BIN_EXE_bench-diff"))
            .args(["ci", "--quiet", "--build-command", "touch \"$HOME/began\"; sleep 300", "--base-ref", "main"])
            .args(["--head-binary", "./program", "--output", "stopped"])
            .current_dir(place.0.path())
            .env("HOME", place.0.path())
            .env_remove("GITHUB_REPOSITORY")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for(|| place.path("began").exists(), "the build has begun");
        std::fs::remove_file(place.path("began")).unwrap();
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let ended = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(130), "{err}");
        assert!(err.contains("stopped") && !err.contains("error: "), "{err}");
        let report: Value = serde_json::from_slice(&std::fs::read(place.path("stopped/report.json")).unwrap()).unwrap();
        assert_eq!(report["comparison"].is_object(), with_baseline, "what was measured is in the report: {report}");
    }
}

fn wait_for(condition: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_linked_work_tree_and_a_subdirectory_are_clones_too() {
    let (place, base) = repository();
    place.git(&["worktree", "add", "--quiet", "--detach", "linked", "HEAD"]);
    let linked = Place::new();
    std::fs::remove_dir_all(linked.0.path()).unwrap();
    place.git(&["worktree", "move", "linked", linked.0.path().to_str().unwrap()]);
    std::fs::copy(place.path("program"), linked.path("copied")).unwrap();
    let made = Command::new("install").arg("-m755").arg(place.path("program")).arg(linked.path("program")).status();
    assert!(made.unwrap().success());
    let (exit, _, err) = linked.build_with(&[], &[]);
    assert_eq!((exit, linked.base_commit()), (0, json!(base)), "{err}");
}

#[test]
fn a_sha256_repository_is_a_clone_too() {
    let (place, base) = repository_of("sha256");
    assert_eq!(base.len(), 64);
    let (exit, _, err) = place.build_with(&[], &[]);
    assert_eq!((exit, place.base_commit()), (0, json!(base)), "{err}");
}

/// A build can ask git what it is building.
#[test]
fn a_work_tree_knows_its_commit_and_its_tags() {
    let (place, base) = repository();
    place.git(&["-c", "tag.gpgSign=false", "tag", "--annotate", "--message", "one", "v1", &base]);
    let build = format!("git describe > \"$HOME/described\"; git status --porcelain >> \"$HOME/described\"; {BUILD}");
    let home = place.0.path().to_str().unwrap().to_owned();
    let ci = ["ci", "--quiet", "--build-command", &build, "--head-binary", "./program", "--base-ref", "main"];
    let (exit, _, err) = place.run_with(&ci, &[("HOME", &home)]);
    assert_eq!(exit, 0, "{err}");
    assert_eq!(std::fs::read_to_string(place.path("described")).unwrap(), "v1\n");
}

/// Building against candle: git in its checkout, cargo, cp.
#[test]
fn no_child_of_a_build_against_candle_sees_a_secret() {
    let place = Place::candle("candle = { path = \"candle\" }");
    place.commit_candle("candle", "100");
    // Its settings name commands, and it is dirty, so that git looks into its files.
    std::fs::write(place.path("candle/candle-core/speed"), "90").unwrap();
    std::fs::write(place.path("candle/.git/info/attributes"), "* filter=x\n").unwrap();
    let touch = format!("touch {}", place.path("ran").display());
    for name in ["filter.x.clean", "core.fsmonitor"] {
        place.git(&["config", "--file", "candle/.git/config", name, &touch]);
    }
    let shims = Shims::of(&["git", "cp", "sed", "cat", "awk"]);
    shims.add("cargo", &place.path("bin/cargo"));
    let (source, path) = (place.path("source").display().to_string(), shims.path());
    let variables = [&CANARIES[..], &[("PATH", path.as_str())]].concat();
    let (exit, _, err) = place.run_with(&["ci", "--quiet", "--source", &source], &variables);
    assert_eq!(exit, 0, "{err}");
    shims.check(&["git", "cp", "cargo", "awk"]);
    assert!(!place.path("ran").exists(), "a setting of candle's clone was followed");
    let commit = place.report()["head"]["sessions"][0]["program"]["components"]["candle"]["commit"].clone();
    assert!(commit.as_str().unwrap().ends_with("-dirty"), "{commit}");
}

#[test]
fn programs_named_without_a_path_are_here() {
    let place = Place::new();
    place.program("base", "100", "aaaaaaa");
    place.program("head", "90", "bbbbbbb");
    let (exit, _, err) = place.ci(&["--head-binary", "head", "--base-binary", "base", "--fail-on", "regression"]);
    assert_eq!(exit, 1, "{err}");
    let (exit, _, err) = place.ci(&["--head-binary", "lacking"]);
    assert_eq!(exit, 2, "{err}");
    assert!(
        err.starts_with("error: no program lacking: it is neither in the current directory nor on the PATH"),
        "{err}"
    );
}
