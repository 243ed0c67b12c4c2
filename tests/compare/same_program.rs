//! The same program on both sides: what differs is the machine's, and nobody's regression.

use std::process::ExitCode;

use bench_diff::results::{Program, Results};
use serde_json::{Value, json};

use crate::compare_support::{Files, run, session};
use crate::{SUCCESS, regression};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// Results of one session of a program that takes so much longer than another day.
fn results(id: &str, cost: f64, commit: &str, sha256: Option<&str>) -> Results {
    let mut results = session(|_, _| cost);
    let session = &mut results.sessions[0];
    session.id = id.to_owned();
    session.program = Program { commit: Some(commit.to_owned()), ..session.program.clone() };
    session.program_sha256 = sha256.map(str::to_owned);
    results
}

fn compared(base: &Results, head: &Results, flags: &[&str]) -> (ExitCode, String, String) {
    run(&Files::new(&json!(base), &json!(head)), flags)
}

const GATE: &[&str] = &["--fail-on", "regression,missing,not-comparable,inconclusive", "--format", "json"];

#[test]
fn a_program_does_not_regress_against_itself() {
    let dirty = format!("{COMMIT}-dirty");
    let (file, another) = (Some("aa"), Some("bb"));
    for (base, head, same) in [
        ((COMMIT, None), (COMMIT, None), true),
        ((&*dirty, file), (&*dirty, file), true),
        ((COMMIT, file), (OTHER, file), true),
        // Rebuilt elsewhere: the sources are the same.
        ((COMMIT, file), (COMMIT, another), true),
        ((&*dirty, None), (&*dirty, None), false),
        ((&*dirty, file), (&*dirty, another), false),
        ((COMMIT, file), (OTHER, another), false),
    ] {
        let (old, new) = (results("monday", 1.0, base.0, base.1), results("tuesday", 1.4, head.0, head.1));
        for flags in [&[][..], &["--same-session"]] {
            let (exit, out, err) = compared(&old, &new, &[GATE, flags].concat());
            assert_eq!(exit, if same { SUCCESS } else { regression() }, "{base:?} {head:?}: {err}");
            let comparison: Value = serde_json::from_str(&out).expect("JSON");
            assert_eq!(comparison["same_program"].is_object(), same, "{base:?} {head:?}");
            assert_eq!(comparison["verdict"] == "unchanged", same, "{base:?} {head:?}");
            let code = comparison["rows"][0]["reason_code"].as_str();
            assert_eq!(code == Some("same-program"), same, "{base:?} {head:?}");
        }
    }
}

/// Two files of one commit, measured in turn on one machine: what differs comes from how they were built.
#[test]
fn two_builds_of_one_commit_measured_in_turn_are_compared() {
    let side = |cost, sha256| results("together", cost, COMMIT, Some(sha256));
    assert_eq!(compared(&side(1.0, "aa"), &side(1.4, "bb"), GATE).0, regression());
    assert_eq!(compared(&side(1.0, "aa"), &side(1.4, "aa"), GATE).0, SUCCESS);
}

#[test]
fn it_is_said_first_and_shown_as_a_self_check() {
    let (monday, tuesday) = (results("monday", 1.0, COMMIT, None), results("tuesday", 1.37, COMMIT, None));
    let (exit, out, err) = compared(&monday, &tuesday, &["--fail-on", "regression"]);
    assert_eq!(exit, SUCCESS, "{err}");
    insta::assert_snapshot!("same_program", out);
}

/// Of another machine or other work there is nothing to say of the machine either.
#[test]
fn what_cannot_be_compared_stays_so() {
    let (monday, mut tuesday) = (results("monday", 1.0, COMMIT, None), results("tuesday", 1.4, COMMIT, None));
    tuesday.settings.warmup = 2;
    let (exit, out, _) = compared(&monday, &tuesday, &[]);
    assert_eq!(exit, regression(), "{out}");
    assert!(out.starts_with("Nothing was compared: base and head differ in warmup"), "{out}");
}
