//! Traces that lack something are no evidence of what a program did; those of a program that didn't end well may lack nothing.

use crate::moved::{Machine, usual};

/// The comment on a slower head whose traces say something else in a place, and the cause.
fn told(whole: &str, otherwise: &str) -> (String, (String, String)) {
    let machine = Machine::new();
    let slower = usual().with(|step| step.kernels[0].3 = 2500);
    let (base, head) =
        (machine.program("base", &usual().speed(), &usual()), machine.program("head", &slower.speed(), &slower));
    for number in 0..3 {
        let file = machine.0.path(&format!("head.{number}.trace"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(whole), "{text}");
        std::fs::write(&file, text.replace(whole, otherwise)).unwrap();
    }
    let args = ["ci", "--quiet", "--runs", "4", "--base-binary", &base, "--head-binary", &head];
    let (exit, out, err) = machine.run(&args);
    assert_eq!(exit, 0, "{err}");
    (out, machine.cause())
}

#[test]
fn traces_that_lack_records_are_no_evidence() {
    let why = "the head: its trace lacks 50 records, which CUPTI dropped";
    let (out, cause) = told(r#""dropped":0"#, r#""dropped":50"#);
    assert!(!out.contains("What got slower") && out.contains(why), "{out}");
    assert_eq!(cause, ("unexplained".to_owned(), format!("not traced: {why}")));
}

/// It leaves by `_exit`, as vLLM does, after its cases were written.
#[test]
fn a_program_that_leaves_without_its_end_is_traced() {
    let (out, cause) = told(r#""ended":true"#, r#""ended":false"#);
    assert!(out.contains("What got slower"), "{out}");
    assert_eq!(cause.0, "code");
}
