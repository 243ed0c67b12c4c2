//! The gate: what fails the step, colours the check run, and is worth a comment.

use bench_diff::compare::{Options, Verdict};
use bench_diff::report::{Caveats, Report, SuiteChange};

use serde_json::json;

use crate::fake::{BASE_SHA, Fault, GitHub, HEAD_SHA, pull};
use crate::reports::{
    SMALL, Samples, failed, first_run, forged, in_turn, judged, lost_and_regressed, noted, origin, regressed, unchanged,
};
use crate::step::{Step, stderr};

fn accept(github: &GitHub) {
    github.state().permissions.insert("ada".into(), "write".into());
    github.state().add_comment("ada", "MEMBER", "bench-accept: worth it");
}

/// Exit code and the check run's conclusion.
fn gate(report: &Report, accepted: bool, fail_on: &str) -> (i32, String) {
    let github = GitHub::start();
    if accepted {
        accept(&github);
    }
    let output = Step::pull_request(&github).publish(report, &["--fail-on", fail_on, "--comment", "never"]);
    let conclusion = github.state().check_runs[0]["conclusion"].as_str().unwrap().to_owned();
    (output.status.code().unwrap(), conclusion)
}

#[test]
fn what_regressed_or_was_lost_fails_and_what_was_decided_can_be_accepted() {
    let (regressed, lost) = (judged(Verdict::Regressed), noted(true));
    let both = lost_and_regressed();
    for (report, alone, accepted) in [
        (&regressed, "failure", "success"),
        (&lost, "failure", "failure"),
        (&both, "failure", "failure"),
        (&failed(), "failure", "failure"),
        (&noted(false), "success", "success"),
        (&judged(Verdict::Improved), "success", "success"),
        (&judged(Verdict::Inconclusive), "success", "success"),
        (&judged(Verdict::NotComparable), "neutral", "success"),
        (&unchanged(), "success", "success"),
        (&first_run(), "success", "success"),
    ] {
        for (is_accepted, conclusion) in [(false, alone), (true, accepted)] {
            let code = i32::from(conclusion == "failure");
            assert_eq!(gate(report, is_accepted, "regression"), (code, conclusion.to_owned()));
        }
        let told = if alone == "success" { "success" } else { "neutral" };
        assert_eq!(gate(report, false, "never"), (0, told.to_owned()));
    }
}

/// A comment that is there is kept up to date; a new one needs something to say.
#[test]
fn a_new_comment_needs_something_to_say() {
    for (report, comments) in [
        (unchanged(), 0),
        (judged(Verdict::Inconclusive), 0),
        (judged(Verdict::NotComparable), 0),
        (judged(Verdict::Regressed), 1),
        (judged(Verdict::Improved), 1),
        (noted(true), 1),
        (noted(false), 1),
        (first_run(), 1),
        (failed(), 1),
    ] {
        let github = GitHub::start();
        for (when, comments) in [("never", 0), ("changed", comments), ("always", 1), ("changed", 1)] {
            let step = Step::pull_request(&github);
            let output = step.publish(&report, &["--comment", when]);
            assert_eq!(github.state().marked().len(), comments, "{when}: {}", stderr(&output));
            let silent = when == "never" || comments == 0;
            assert_eq!(stderr(&output).contains("not commenting: nothing changed, or comments are off"), silent);
            assert_eq!(step.output("comment-url").is_empty(), silent);
        }
    }
}

/// The reports of a matrix are one step's: each counts, wherever it stands.
#[test]
fn one_of_many_reports_fails_the_step() {
    let of = |report: Report, hardware: &str| Report { hardware: hardware.into(), ..report };
    for places in [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]] {
        let github = GitHub::start();
        let step = Step::pull_request(&github);
        std::fs::create_dir_all(step.path("results/more")).unwrap();
        std::fs::create_dir_all(step.path("results/most")).unwrap();
        let [bad, good, first] = places;
        for (path, report) in
            [("results/more/report.json", of(unchanged(), good)), ("results/most/report.json", of(first_run(), first))]
        {
            std::fs::write(step.path(path), serde_json::to_vec(&report).unwrap()).unwrap();
        }
        let output = step.publish(&of(regressed(), bad), &["--fail-on", "regression"]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let outputs = ["verdict", "regressed", "improved", "at-threshold", "inconclusive", "unchanged"]
            .map(|name| step.output(name));
        assert_eq!(outputs, ["regressed", "2", "1", "0", "1", "14"]);
        assert_eq!(step.output("comment-url").lines().count(), 3);
        let mut conclusions: Vec<_> =
            github.state().check_runs.iter().map(|run| run["conclusion"].as_str().unwrap().to_owned()).collect();
        conclusions.sort();
        assert_eq!(conclusions, ["failure", "success", "success"]);
    }
}

/// The pull request went on while it was measured: its new head is not called green, nor red.
#[test]
fn a_commit_that_was_not_measured_gets_no_check_run() {
    let other = "3333333333333333333333333333333333333333";
    for (head, runs) in [(HEAD_SHA, 1), (other, 0)] {
        let github = GitHub::start();
        github.state().pulls.insert(7, pull(7, head));
        let payload = serde_json::json!({ "issue": { "number": 7, "pull_request": {} } });
        let report = Report { origin: Some(origin(HEAD_SHA, 42)), ..regressed() };
        let output = Step::new(&github, "issue_comment", payload).publish(&report, &[]);
        assert_eq!(github.state().check_runs.len(), runs, "{}", stderr(&output));
        assert_eq!(stderr(&output).contains("which is not what was measured"), runs == 0);
        assert_eq!(github.state().marked().len(), 1, "it is told all the same");
    }
}

/// What fails is an error in the log; what was accepted, or can't fail, is a warning.
#[test]
fn annotations_are_as_loud_as_the_gate() {
    for (report, accepted, fail_on, level) in [
        (judged(Verdict::Regressed), false, "regression", "::error title=bench-diff%3A regression in "),
        (judged(Verdict::Regressed), true, "regression", "::warning title=bench-diff%3A regression in "),
        (judged(Verdict::Regressed), false, "never", "::warning title=bench-diff%3A regression in "),
        (noted(true), false, "regression", "::warning title=bench-diff%3A no numbers for lost::no numbers in the head"),
    ] {
        let github = GitHub::start();
        if accepted {
            accept(&github);
        }
        let output = Step::pull_request(&github).publish(&report, &["--fail-on", fail_on]);
        let said = stderr(&output);
        assert_eq!(said.lines().filter(|line| line.starts_with("::")).count(), 1, "{said}");
        assert!(said.contains(level), "{said}");
    }
    let output = Step::pull_request(&GitHub::start()).publish(&noted(false), &["--fail-on", "regression"]);
    assert!(!stderr(&output).contains("::"), "{}", stderr(&output));
}

/// A baseline is asked for where something was measured and nothing compared.
#[test]
fn a_missing_baseline_is_the_only_one_that_if_no_baseline_is_about() {
    for (report, code) in [(first_run(), 1), (unchanged(), 0), (judged(Verdict::Regressed), 0), (failed(), 0)] {
        let output =
            Step::pull_request(&GitHub::start()).publish(&report, &["--if-no-baseline", "fail", "--fail-on", "never"]);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert_eq!(stderr(&output).contains("nothing was compared"), code == 1, "{}", stderr(&output));
    }
}

/// An acceptance is of a regression: where there is none, nobody is said to have accepted anything.
#[test]
fn what_did_not_regress_is_not_accepted() {
    let github = GitHub::start();
    accept(&github);
    assert!(Step::pull_request(&github).publish(&unchanged(), &[]).status.success());
    assert!(!github.state().marked()[0].contains("Accepted"), "{}", github.state().marked()[0]);
    assert_eq!(github.state().count("GET /repos/acme/candle/collaborators"), 0);
}

/// On somebody's own machine there is no log to annotate.
#[test]
fn outside_of_a_workflow_nothing_is_annotated() {
    let step = Step::pull_request(&GitHub::start()).set("GITHUB_REPOSITORY", "");
    let output = step.publish(&regressed(), &["--fail-on", "regression"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!stderr(&output).contains("::"), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("### 🔴 Slower: decode"));
}

#[test]
fn no_check_run_is_set_where_none_is_wanted_or_allowed() {
    let quiet = "no check run: the job has no `checks: write` permission";
    for (status, flags, said) in [
        (None, &["--no-check-run"][..], ""),
        (Some(403), &[], quiet),
        (Some(404), &[], quiet),
        (Some(422), &[], "::warning title=bench-diff::no check run: "),
    ] {
        let github = GitHub::start();
        if let Some(status) = status {
            github.inject("POST", "/check-runs", 99, Fault::Status(status, &[], "no"));
        }
        let output = Step::pull_request(&github).publish(&unchanged(), flags);
        assert!(output.status.success() && github.state().check_runs.is_empty());
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
        assert_eq!(github.state().count("POST /repos/acme/candle/check-runs") > 0, status.is_some());
    }
}

/// A lost answer makes no second check run, and no warning where the first one came.
#[test]
fn a_check_run_whose_answer_was_lost_is_found() {
    for (fault, runs) in [(Fault::DropAfter, 1), (Fault::FailAfter, 1), (Fault::DropBefore, 0)] {
        let github = GitHub::start();
        github.inject("POST", "/check-runs", 1, fault.clone());
        let output = Step::pull_request(&github).publish(&unchanged(), &[]);
        assert!(output.status.success());
        assert_eq!(github.state().check_runs.len(), runs, "{fault:?}: {}", stderr(&output));
        assert_eq!(stderr(&output).contains("no check run: "), runs == 0, "{fault:?}: {}", stderr(&output));
    }
}

/// What the pull request keeps from being compared: told first, failed by default, and a maintainer's to accept.
#[test]
fn what_was_promised_and_not_judged_fails_by_default() {
    let with = |report: Report, caveats: Caveats| Report { caveats, ..report };
    let changed =
        |setting: &str| SuiteChange { setting: setting.into(), base: "1".into(), head: "2".into(), overruled: false };
    let out_of_reach = Caveats { base_out_of_reach: Some("no compiler".into()), ..Caveats::default() };
    let another = Caveats { suite_changes: vec![changed("suite")], ..Caveats::default() };
    let other_settings = Caveats { suite_changes: vec![changed("warmup")], ..Caveats::default() };
    let nothing = forged(&unchanged(), |json| json["comparison"]["rows"] = json!([]));
    for (report, verdict, failing, says) in [
        (judged(Verdict::NotComparable), "not_comparable", "not-comparable", "Nothing was compared"),
        (nothing, "not_comparable", "not-comparable", "Nothing was compared"),
        (with(first_run(), out_of_reach.clone()), "not_comparable", "not-comparable", "The base couldn't be run"),
        (with(unchanged(), out_of_reach), "not_comparable", "not-comparable", "The base couldn't be run"),
        (
            with(first_run(), another.clone()),
            "not_comparable",
            "not-comparable",
            "Nothing was compared: this pull request",
        ),
        (with(unchanged(), another), "not_comparable", "not-comparable", "this pull request measures another suite"),
        // Said, and judged all the same.
        (with(unchanged(), other_settings), "unchanged", "", "No change"),
        (first_run(), "no_baseline", "", "no baseline yet"),
    ] {
        for accepted in [false, true] {
            let github = GitHub::start();
            if accepted {
                accept(&github);
            }
            let step = Step::pull_request(&github);
            let output = step.publish(&report, &[]);
            let failing = if accepted { "" } else { failing };
            assert_eq!(output.status.code(), Some(i32::from(!failing.is_empty())), "{says}: {}", stderr(&output));
            assert_eq!(
                (step.output("verdict").as_str(), step.output("failing").as_str()),
                (verdict, failing),
                "{says}"
            );
            let conclusion = if failing.is_empty() { "success" } else { "failure" };
            let state = github.state();
            assert_eq!(state.check_runs[0]["conclusion"], conclusion, "{says}");
            assert!(state.check_runs[0]["output"]["title"].as_str().unwrap().contains(says), "{says}");
            let comment = &state.marked()[0];
            assert!(comment.lines().find(|line| line.starts_with("### ")).unwrap().contains(says), "{comment}");
            assert_eq!(comment.contains("Accepted by"), accepted && verdict == "not_comparable", "{comment}");
            assert!(step.read("summary").contains(says), "{says}");
            let loud = stderr(&output).contains("::error title=bench-diff%3A no verdict on smoke::");
            assert_eq!(loud, !failing.is_empty(), "{says}: {}", stderr(&output));
        }
    }
}

/// A case that the pull request takes out of the suite is a decision; one that crashed isn't.
#[test]
fn a_case_that_was_taken_out_can_be_accepted() {
    let (base, head) = (Samples::of(BASE_SHA, &[SMALL]).with_case("taken-out"), Samples::of(HEAD_SHA, &[SMALL]));
    let taken_out = in_turn(&base, &head, &Options::default());
    for (report, accepted) in [(taken_out, 0), (noted(true), 1)] {
        assert_eq!(gate(&report, false, "missing").0, 1);
        assert_eq!(gate(&report, true, "missing").0, accepted);
    }
}

/// The same commit was measured as base and as head: the report of a job is held to what its sessions say.
#[test]
fn a_report_of_one_program_is_a_self_check() {
    assert!(regressed().comparison().unwrap().same_program.is_none());
    let report = forged(&regressed(), |json| {
        let program = json["head"]["sessions"][0]["program"].clone();
        for session in json["base"]["sessions"].as_array_mut().unwrap() {
            session["program"] = program.clone();
        }
    });
    let github = GitHub::start();
    let step = Step::pull_request(&github);
    let output = step.publish(&report, &["--fail-on", "regression,missing,not-comparable,inconclusive"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(["verdict", "regressed", "failing"].map(|name| step.output(name)), ["unchanged", "0", ""]);
    let state = github.state();
    let comment = state.marked()[0];
    insta::assert_snapshot!("one_program", comment);
}

/// Several words, and what each of them is about.
#[test]
fn each_word_of_fail_on_is_about_its_own() {
    for (report, words) in [
        (judged(Verdict::Regressed), &["regression"][..]),
        (noted(true), &["regression", "missing"]),
        (judged(Verdict::Inconclusive), &["inconclusive"]),
        (judged(Verdict::NotComparable), &["not-comparable"]),
        (failed(), &["regression", "missing", "not-comparable"]),
        (unchanged(), &[]),
    ] {
        for word in ["regression", "missing", "inconclusive", "not-comparable"] {
            let code = i32::from(words.contains(&word));
            assert_eq!(gate(&report, false, word).0, code, "{word}");
        }
        assert_eq!(gate(&report, false, "none").0, 0);
    }
}
