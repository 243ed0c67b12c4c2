//! The commands of a comment: nothing of a pull request makes one do something else when it is pasted.

use bench_diff::compare::Verdict;
use bench_diff::render::pull_request::{Surroundings, comment};
use bench_diff::report::{Contenders, Report, Reproduction};

use super::reports::{first_run, judged, regressed, unchanged, unconfirmed};

const BASE: &str = "0123456789abcdef0123456789abcdef01234567";
const HEAD: &str = "89abcdef0123456789abcdef0123456789abcdef";

fn with(report: Report, contenders: Contenders, base: &str, head: &str, flags: &[&str]) -> Report {
    let flags = flags.iter().map(|word| (*word).to_owned()).collect();
    let (base, head) = (Some(base.to_owned()), Some(head.to_owned()));
    Report { reproduction: Some(Reproduction { contenders: contenders.into(), base, head, flags }), ..report }
}

/// The lines of all blocks of code.
fn commands(report: &Report) -> Vec<String> {
    let text = comment(report, &Surroundings::default());
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

/// Those that aren't comments, as a shell reads them.
fn calls(report: &Report) -> Vec<Vec<String>> {
    let lines = commands(report);
    let lines = lines.iter().filter(|line| !line.starts_with('#'));
    lines.map(|line| shlex::split(line).expect("whole words")).collect()
}

#[test]
fn a_comment_prints_commands_that_the_program_knows() {
    let flags = ["--suite", "smoke", "--iterations", "3", "--model", "./my model", "--gpus", "0,1"];
    let report = with(regressed(), Contenders::Commits, BASE, HEAD, &flags);
    let found = calls(&report);
    let expected = [&["bench-diff", "ab", BASE, HEAD][..], &flags].concat();
    assert_eq!(found, std::slice::from_ref(&expected), "what looked changed was measured until it was settled");
    // What drift may explain is measured in turn.
    let found = calls(&with(unconfirmed(), Contenders::Commits, BASE, HEAD, &flags));
    assert_eq!(found, [expected.clone(), expected], "Next, and Reproduce");
    for contenders in [Contenders::Programs, Contenders::Program, Contenders::ThisProgram, Contenders::Candles] {
        for call in calls(&with(regressed(), contenders, BASE, HEAD, &flags)) {
            let parsed = bench_diff::command_line().try_get_matches_from(&call);
            assert!(parsed.is_ok(), "{call:?}: {parsed:?}");
        }
    }
    // As many runs as were one session's.
    let report = with(judged(Verdict::Regressed), Contenders::Candles, BASE, HEAD, &["--runs", "9"]);
    assert_eq!(calls(&report)[0][4..], ["--runs", "3"]);
}

/// What `ci` may take to measure again, `ab` may take.
#[test]
fn the_time_for_measuring_again_goes_with_the_command() {
    let flags = ["--suite", "smoke", "--confirm-budget", "0.5"];
    for (contenders, time) in [
        (Contenders::Commits, ["--budget", "0.5m"]),
        (Contenders::Programs, ["--budget", "0.5m"]),
        (Contenders::Program, ["--confirm-budget", "0.5"]),
        (Contenders::ThisProgram, ["--confirm-budget", "0.5"]),
    ] {
        for call in calls(&with(regressed(), contenders, BASE, HEAD, &flags)) {
            assert!(call.ends_with(&time.map(str::to_owned)), "{call:?}");
            assert!(bench_diff::command_line().try_get_matches_from(&call).is_ok(), "{call:?}");
        }
    }
    // A number of runs has no limit.
    let report = with(judged(Verdict::Regressed), Contenders::Candles, BASE, HEAD, &flags);
    assert_eq!(calls(&report)[0][4..], ["--suite", "smoke", "--runs", "3"]);
}

/// Also those within a sentence.
#[test]
fn what_a_sentence_says_to_run_can_be_run() {
    let (improved, strange) = (judged(Verdict::Improved), judged(Verdict::NotComparable));
    let mut found = 0;
    for report in [first_run(), regressed(), unchanged(), unconfirmed(), improved, strange] {
        let text = comment(&report, &Surroundings::default());
        let spans = text.split('`').skip(1).step_by(2).filter(|span| span.starts_with("bench-diff "));
        for call in spans.map(|span| shlex::split(span).expect("whole words")) {
            let parsed = bench_diff::command_line().try_get_matches_from(&call);
            assert!(parsed.is_ok(), "{call:?}: {parsed:?}");
            found += 1;
        }
    }
    assert!(found >= 4, "only {found}");
}

#[test]
fn hostile_words_are_quoted_or_left_out() {
    let hostile = [
        "$(touch /tmp/x)",
        "`touch /tmp/x`",
        "x; touch /tmp/x",
        "x\ntouch /tmp/x",
        "'; touch /tmp/x; '",
        "x\u{202e}y",
        "```\n@everyone",
        "--fail-on=never",
        "!!",
    ];
    for word in hostile {
        for contenders in [Contenders::Commits, Contenders::Candles, Contenders::Programs, Contenders::ThisProgram] {
            let flags = [
                "--suite",
                word,
                "--model",
                word,
                "--build-command",
                "touch /tmp/x",
                "--worker",
                "/bin/touch",
                "--head-binary",
                "/bin/touch",
                word,
                word,
            ];
            let report = with(regressed(), contenders, word, HEAD, &flags);
            for line in commands(&report) {
                assert!(line.starts_with("# ") || line.starts_with("bench-diff "), "{word:?}: {line}");
            }
            for call in calls(&report) {
                assert!(["ab", "ci"].contains(&&*call[1]), "{call:?}");
                let flags: Vec<&String> = call.iter().filter(|word| word.starts_with("--")).collect();
                let known = ["--suite", "--model", "--head-binary"];
                assert!(flags.iter().all(|flag| known.contains(&flag.as_str())), "{word:?}: {call:?}");
                assert!(call.iter().all(|part| part == word || !part.contains("touch")), "{call:?}");
                let parsed = bench_diff::command_line().try_get_matches_from(&call);
                assert!(parsed.is_ok(), "{call:?}: {parsed:?}");
            }
        }
    }
}

/// A name of a branch is no name of a commit: it may be taken by somebody else.
#[test]
fn sides_are_full_names_of_commits() {
    for base in ["main", "abc1234", "-x", &BASE[..39], ""] {
        let call = calls(&with(regressed(), Contenders::Commits, base, HEAD, &[])).remove(0);
        assert_eq!(call, ["bench-diff", "ci", "--head-binary", "PROGRAM"], "{base:?}");
    }
    let dirty = calls(&with(regressed(), Contenders::Commits, BASE, &format!("{HEAD}-dirty"), &[])).remove(0);
    assert_eq!(dirty, ["bench-diff", "ab", BASE, "."]);
}
