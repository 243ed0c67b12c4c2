//! Traces that lack something are no evidence of what a program did.

use crate::moved::{Machine, usual};

#[test]
fn traces_that_lack_records_are_no_evidence() {
    for (whole, lacking, why) in [
        (r#""dropped":0"#, r#""dropped":50"#, "the head: its trace lacks 50 records, which CUPTI dropped"),
        (r#""ended":true"#, r#""ended":false"#, "the head: its trace is cut: the program didn't end by itself"),
    ] {
        let machine = Machine::new();
        let slower = usual().with(|step| step.kernels[0].3 = 2500);
        let (base, head) =
            (machine.program("base", &usual().speed(), &usual()), machine.program("head", &slower.speed(), &slower));
        for number in 0..3 {
            let file = machine.0.path(&format!("head.{number}.trace"));
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(text.contains(whole), "{text}");
            std::fs::write(&file, text.replace(whole, lacking)).unwrap();
        }
        let (exit, out, err) =
            machine.run(&["ci", "--quiet", "--runs", "4", "--base-binary", &base, "--head-binary", &head]);
        assert_eq!(exit, 0, "{err}");
        assert!(!out.contains("What got slower") && out.contains(why), "{out}");
        assert_eq!(machine.cause(), ("unexplained".to_owned(), format!("not traced: {why}")));
    }
}
