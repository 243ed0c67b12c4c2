//! Flags of `trace` that would do nothing are refused, and what can't be asked is told in a sentence.

use crate::trace;

const SAVED: &str = "tests/fixtures/traces/plain-1.trace";

#[test]
fn a_flag_that_would_do_nothing_is_refused() {
    let two = ["--diff", SAVED, SAVED];
    for (args, flag) in [
        (vec!["--programs", "a", "b", SAVED], "--programs is for --diff"),
        (vec!["--programs", "a", "b", "--", "true"], "--programs is for --diff"),
        (vec!["--timeline", SAVED], "--timeline is for a program"),
        ([&["--timeline"], &two[..]].concat(), "--timeline is for a program"),
        (vec!["--timeline", "Qwen/Qwen2.5-0.5B"], "--timeline is for a program"),
        (vec!["--per-token", SAVED], "--per-token is for a case or a model"),
        (vec!["--runs", "9", SAVED], "--runs is for a case or a model"),
        ([&["--context-lengths", "5"], &two[..]].concat(), "--context-lengths is for a case or a model"),
        (vec!["--suite", "gpu", "--", "true"], "--suite is for a case or a model"),
    ] {
        let ran = trace(&args);
        assert!(ran.code == 2 && ran.out.is_empty() && ran.err.contains(flag), "{args:?}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn standard_output_is_no_file_to_save_to() {
    for args in [vec!["--export", "folded", "-", SAVED], vec!["--output", "-", "--", "true"]] {
        let ran = trace(&args);
        assert!(ran.code == 2 && ran.err.contains("`-` is no file"), "{}{}", ran.out, ran.err);
        assert!(!std::path::Path::new("-").exists());
    }
}

#[test]
fn what_can_not_be_shown_is_told_in_a_sentence() {
    let said = |args: &[&str]| {
        let ran = trace(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
        ran.err
    };
    assert!(said(&["--phase", "nope", SAVED]).starts_with("error: the trace has no phase `nope`, nor any other"));
    assert!(said(&["/dev/zero"]).starts_with("error: /dev/zero is not a regular file"));
    let nothing = said(&[]);
    assert!(nothing.starts_with("error: there is nothing to trace") && nothing.contains("behind `--`"), "{nothing}");
}
