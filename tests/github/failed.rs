//! Nothing could be measured, or the report at hand is another measurement's: no old verdict is taken for a new one.

use std::path::Path;

use bench_diff::report::{Origin, Report};
use serde_json::{Value, json};

use crate::fake::{BASE_SHA, Fault, GitHub, HEAD_SHA};
use crate::reports::{failed, origin, regressed, unchanged};
use crate::step::{Step, stderr};

#[test]
fn that_nothing_could_be_measured_is_told_everywhere() {
    let github = GitHub::start();
    for earlier in [regressed(), unchanged()] {
        assert!(Step::pull_request(&github).publish(&earlier, &[]).status.success());
        let step = Step::pull_request(&github);
        let output = step.publish(&failed(), &["--fail-on", "regression", "--if-no-baseline", "fail"]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert_eq!((step.output("verdict"), step.output("regressed")), ("failed".into(), "0".into()));
        assert!(
            stderr(&output)
                .contains("::error title=bench-diff%3A nothing could be measured of smoke::every run failed")
        );
        assert!(!stderr(&output).contains("no baseline"), "{}", stderr(&output));
        let state = github.state();
        assert_eq!(state.marked().len(), 1);
        let text = state.marked()[0].split_once('\n').unwrap().1.to_owned();
        assert!(!text.contains("regressed") && !text.contains("unchanged"), "{text}");
        assert!(step.read("summary").starts_with("### ❌ Every run failed: crashed"));
        insta::assert_snapshot!("nothing_measured_comment", text);
        let check = state.check_runs.last().unwrap();
        assert_eq!(check["conclusion"], "failure");
        assert_eq!(check["output"]["title"], "❌ Every run failed: crashed");
    }
    let output = Step::pull_request(&github).publish(&failed(), &["--comment", "changed", "--fail-on", "never"]);
    assert_eq!(output.status.code(), Some(0), "nothing is a gate unless it is asked for");
    assert_eq!(github.state().check_runs.last().unwrap()["conclusion"], "neutral");
}

/// Not even a report of a failure: the runner died, the artifact is missing, the configuration is broken.
#[test]
fn without_any_report_no_old_verdict_stays() {
    const WHY: &str = "the measuring job uploaded no report";
    let github = GitHub::start();
    let foreign = github.state().add_comment("mallory", "NONE", "<!-- bench-diff suite=smoke gpu=x run=1 -->\nplanted");
    let other = Report { suite: "other suite".into(), ..unchanged() };
    for report in [regressed(), other] {
        assert!(Step::pull_request(&github).publish(&report, &[]).status.success());
    }
    let step = Step::pull_request(&github).set("GITHUB_RUN_ID", "43");
    let output = step.run(&["publish", "--failed", WHY, "--fail-on", "regression", "--summary", "summary.md"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let error = format!("::error title=bench-diff::nothing was measured: {WHY}");
    assert!(stderr(&output).contains(&error), "{}", stderr(&output));
    assert_eq!((step.output("verdict"), step.output("regressed")), ("failed".into(), "0".into()));
    assert_eq!(step.output("comment-url").lines().count(), 2);
    insta::assert_snapshot!("nothing_at_all_summary", step.read("summary"));
    assert_eq!(step.read("summary.md").trim_end(), step.read("summary").trim_end());
    let state = github.state();
    let comments: Vec<_> = state.comments.iter().filter(|comment| comment["id"] != foreign).collect();
    assert_eq!(comments.len(), 2, "{comments:?}");
    for (comment, suite) in comments.iter().zip(["smoke", "other suite"]) {
        let text = comment["body"].as_str().unwrap();
        assert!(text.contains(&format!("> Commit `111111111` could not be measured: {WHY}")), "{text}");
        assert!(text.contains("run=43") && text.contains(suite) && !text.contains("regressed"), "{text}");
    }
    let checks: Vec<_> = state.check_runs.iter().filter(|check| check["external_id"] == "bench-diff-43").collect();
    assert_eq!(checks.len(), 2, "{checks:?}");
    assert!(checks.iter().all(|check| check["conclusion"] == "failure"), "{checks:?}");
    assert!(state.comments.iter().any(|comment| comment["body"].as_str().unwrap().ends_with("planted")));
}

/// Where nothing was said, nothing is: neither a comment nor a check run for a suite that nobody knows.
#[test]
fn without_any_report_and_comment_there_is_none() {
    let github = GitHub::start();
    for (flags, code) in [(&["--fail-on", "regression"][..], 1), (&["--fail-on", "never"], 0), (&[], 1)] {
        let step = Step::pull_request(&github);
        let output = step.run(&[&["publish", "--failed", "no artifact"], flags].concat());
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert_eq!(step.output("verdict"), "failed");
    }
    assert_eq!(github.state().count("POST"), 0);
    let step = Step::pull_request(&github);
    assert_eq!(step.run(&["publish", "--failed", "x", "--results", "results"]).status.code(), Some(2));
    assert_eq!(step.run(&["publish"]).status.code(), Some(2));
}

/// Another job of the same run may have measured another suite, and a newer run knows better.
#[test]
fn what_this_run_or_a_newer_one_said_stays() {
    for run in ["42", "41"] {
        let github = GitHub::start();
        assert!(Step::pull_request(&github).publish(&unchanged(), &[]).status.success());
        let output = Step::pull_request(&github).set("GITHUB_RUN_ID", run).run(&[
            "publish",
            "--failed",
            "no artifact",
            "--fail-on",
            "never",
        ]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(github.state().marked()[0].contains("### ⚪ No change"), "{run}: {}", github.state().marked()[0]);
    }
}

#[test]
fn what_github_refuses_is_a_warning() {
    let github = GitHub::start();
    github.inject("GET", "/comments", 99, Fault::Status(500, &[], "oops"));
    let step = Step::pull_request(&github);
    let output = step.run(&["publish", "--failed", "no artifact", "--fail-on", "never"]);
    assert!(output.status.success() && step.output("verdict") == "failed", "{}", stderr(&output));
    assert!(stderr(&output).contains("an earlier comment may still be there"), "{}", stderr(&output));
}

fn run_event(event: &str) -> Value {
    json!({ "workflow_run": { "id": 41, "run_attempt": 2, "event": event, "head_sha": HEAD_SHA, "pull_requests": [] } })
}

#[test]
fn a_report_of_another_commit_or_run_is_refused() {
    let pull_request = |github: &GitHub| Step::pull_request(github);
    let workflow_run = |github: &GitHub| Step::new(github, "workflow_run", run_event("pull_request"));
    let comment =
        |github: &GitHub| Step::new(github, "issue_comment", json!({ "issue": { "number": 7, "pull_request": {} } }));
    let by_hand = |github: &GitHub| Step::new(github, "workflow_run", run_event("workflow_dispatch"));
    type Start<'a> = &'a dyn Fn(&GitHub) -> Step;
    let unnamed = Origin { commit: Some(HEAD_SHA.into()), ..Origin::default() };
    let cases: [(Start, Option<Origin>, bool); 11] = [
        (&pull_request, Some(origin(HEAD_SHA, 42)), true),
        (&pull_request, Some(origin(BASE_SHA, 42)), false),
        (&pull_request, Some(origin(HEAD_SHA, 41)), false),
        (&pull_request, Some(unnamed), true),
        (&pull_request, None, true),
        (&workflow_run, Some(origin(HEAD_SHA, 41)), true),
        (&workflow_run, Some(origin(HEAD_SHA, 42)), false),
        (&workflow_run, Some(origin(BASE_SHA, 41)), false),
        // These runs are of the default branch.
        (&by_hand, Some(origin(BASE_SHA, 41)), true),
        (&comment, Some(origin(HEAD_SHA, 42)), true),
        (&comment, Some(origin(HEAD_SHA, 40)), false),
    ];
    for (start, origin, welcome) in cases {
        let github = GitHub::start();
        let step = start(&github);
        let report = Report { origin: origin.clone(), ..regressed() };
        let output = step.publish(&report, &[]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(if welcome { 0 } else { 2 }), "{origin:?}: {said}");
        assert_eq!(said.contains("error: the report of smoke on nvidia-h100-80gb-hbm3 is of "), !welcome, "{said}");
        if !welcome {
            let hint = "\n  hint: measure again, or publish the results of that run\n";
            assert!(said.ends_with(hint), "{said}");
            assert_eq!(github.state().count("POST"), 0);
            assert!(output.stdout.is_empty() && step.read("summary").is_empty() && step.read("output").is_empty());
        }
    }
}

/// A matrix shares a directory: one job's leftover costs the others nothing but the exit code.
#[test]
fn one_leftover_among_reports_is_left_out() {
    let github = GitHub::start();
    let step = Step::pull_request(&github);
    std::fs::create_dir_all(step.path("results/old")).unwrap();
    let old = Report { origin: Some(origin(BASE_SHA, 3)), suite: "old".into(), ..regressed() };
    std::fs::write(step.path("results/old/report.json"), serde_json::to_vec(&old).unwrap()).unwrap();
    let output = step.publish(&unchanged(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("the report of old on nvidia-h100-80gb-hbm3 is of 2222"), "{}", stderr(&output));
    assert_eq!(github.state().marked().len(), 1);
    assert_eq!(step.output("verdict"), "unchanged");
}

/// After a comment the pull request may have moved on: what was measured is said, and no other commit becomes green.
#[test]
fn what_was_measured_is_named() {
    let github = GitHub::start();
    let step = Step::new(&github, "issue_comment", json!({ "issue": { "number": 7, "pull_request": {} } }));
    let report = Report { origin: Some(origin(BASE_SHA, 42)), ..unchanged() };
    let output = step.publish(&report, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let state = github.state();
    assert!(state.marked()[0].contains("PR `222222222`"), "{}", state.marked()[0]);
    assert!(state.check_runs.is_empty() && stderr(&output).contains("no check run: the pull request is at 1111"));
}

#[test]
fn a_file_that_cannot_be_written_does_not_cost_the_comment() {
    let github = GitHub::start();
    for name in ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"] {
        let output = Step::pull_request(&github).set(name, "/nowhere/at/all").publish(&unchanged(), &[]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("::warning title=bench-diff::can't "), "{}", stderr(&output));
    }
    let step = Step::pull_request(&github).set("GITHUB_OUTPUT", "/nowhere/at/all");
    let output = step.publish(&unchanged(), &["--summary", "summary.md"]);
    assert_eq!((output.status.code(), step.read("summary.md").is_empty()), (Some(0), false), "{}", stderr(&output));
    let output = Step::pull_request(&github).publish(&unchanged(), &["--summary", "/nowhere/at/all"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("error: can't write /nowhere/at/all"), "{}", stderr(&output));
    let state = github.state();
    assert_eq!((state.marked().len(), state.count("PATCH /repos/acme/candle/issues")), (1, 3), "posted each time");
}

const SUITE: &str = "[suites.small]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\ncontext-lengths = [1]\n";
const CI: [&str; 6] = ["ci", "--quiet", "--head-binary", "./program", "--output", "out"];

/// A step that measures a program of that speed; 0 fails every run.
fn step(github: &GitHub, run: &str) -> Step {
    let step = Step::pull_request(github).set("GITHUB_RUN_ID", run);
    std::fs::write(step.path("bench-diff.toml"), SUITE).unwrap();
    build(step.directory.path(), "100");
    step
}

fn build(directory: &Path, speed: &str) {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ci/program.sh");
    let script = std::fs::read_to_string(template).unwrap().replace("SPEED", speed).replace("COMMIT", "aaaaaaa");
    std::fs::write(directory.join("built"), script).unwrap();
    let mut install = std::process::Command::new("install");
    assert!(install.args(["-m755", "built", "program"]).current_dir(directory).status().unwrap().success());
}

fn report(step: &Step) -> Value {
    serde_json::from_str(&step.read("out/report.json")).unwrap()
}

#[test]
fn a_failed_measurement_leaves_no_older_report() {
    let github = GitHub::start();
    let step = step(&github, "42");
    assert!(step.run(&[&CI[..], &["--no-publish"]].concat()).status.success());
    assert_eq!(report(&step)["origin"], json!({ "commit": HEAD_SHA, "run_id": 42, "run_attempt": 1 }));
    assert!(report(&step)["failure"].is_null());

    // The directory is kept; every run fails, and another job publishes.
    build(step.directory.path(), "0");
    let step = step.set("GITHUB_RUN_ID", "43");
    let output = step.run(&[&CI[..], &["--no-publish"]].concat());
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(report(&step)["origin"]["run_id"], 43);
    assert!(report(&step)["failure"].as_str().unwrap().starts_with("every run failed: "), "{}", report(&step));
    let output = step.run(&["publish", "--results", "out", "--fail-on", "regression"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(step.output("verdict"), "failed");
    assert!(github.state().marked()[0].contains("> Commit `111111111` could not be measured: every run failed"));
}

/// Whatever keeps it from measuring: the program, the step before, the configuration.
#[test]
fn whatever_fails_the_report_says_so_or_is_gone() {
    let github = GitHub::start();
    for (break_it, flags, code, why) in [
        ("program", &[][..], 3, Some("program")),
        ("", &["--failed", "the build failed,\nsee its step"], 3, Some("the build failed, see its step")),
        ("", &["--base-ref", "nowhere"], 2, Some("no base `nowhere`")),
        ("bench-diff.toml", &[], 2, None),
    ] {
        let step = step(&github, "42");
        assert!(step.run(&CI).status.success());
        if !break_it.is_empty() {
            std::fs::write(step.path(break_it), "[[[").unwrap();
        }
        let output = step.run(&[&CI[..], flags].concat());
        assert_eq!(output.status.code(), Some(code), "{break_it} {flags:?}: {}", stderr(&output));
        assert!(!step.path("out/results.json").exists() || why == Some("program"), "{break_it} {flags:?}");
        match why {
            Some(why) => {
                let answer =
                    if why == "program" { "### ❌ Every run failed" } else { "### ❌ Nothing could be measured" };
                let said = report(&step)["failure"].as_str().unwrap_or_default().to_owned();
                assert!(said.contains(why), "{break_it} {flags:?}: {said}");
                assert!(github.state().marked()[0].contains(answer));
            }
            None => assert!(!step.path("out/report.json").exists()),
        }
        github.state().comments.clear();
    }
}

/// Only files that `ci` writes, and only regular ones.
#[test]
fn what_is_somebodys_is_not_cleared() {
    let github = GitHub::start();
    let step = step(&github, "42");
    std::fs::create_dir_all(step.path("out/report.json/deep")).unwrap();
    std::fs::write(step.path("out/report.json/deep/mine"), "mine").unwrap();
    std::fs::write(step.path("out/notes.json"), "mine").unwrap();
    let output = step.run(&CI);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("out/report.json is not a regular file"), "{}", stderr(&output));
    assert_eq!(step.read("out/report.json/deep/mine"), "mine");
    std::fs::remove_dir_all(step.path("out/report.json")).unwrap();
    std::os::unix::fs::symlink("notes.json", step.path("out/base.json")).unwrap();
    assert_eq!(step.run(&CI).status.code(), Some(2));
    std::fs::remove_file(step.path("out/base.json")).unwrap();
    assert!(step.run(&CI).status.success());
    assert_eq!(step.read("out/notes.json"), "mine");
}
