//! Files that were named for others are called what they are.

use serde_json::Value;

use crate::compare_support::{Files, run, session};
use crate::usage_error;

fn results() -> Value {
    serde_json::to_value(session(|_, _| 1.0)).unwrap()
}

/// Results of the engine `command` have a field that hyperfine's have, and those of `server` one of vLLM's.
#[test]
fn results_without_a_schema_are_nobody_elses() {
    for field in ["command", "request_throughput"] {
        let whole = serde_json::to_string(&session(|_, _| 1.0)).unwrap();
        let nameless = whole.replacen("\"schema\":2,", "", 1).replacen(
            "\"settings\":{",
            &format!("\"settings\":{{\"{field}\":1,"),
            1,
        );
        assert!(whole.len() < nameless.len() + 12 && nameless.contains(field), "{nameless}");
        let (exit, _, err) = run(&Files::of_text(&whole, &nameless), &[]);
        assert_eq!(exit, usage_error());
        assert!(err.starts_with("error: head.json is not a results file: missing field `schema`"), "{err}");
    }
}

#[test]
fn a_report_of_ci_is_called_one() {
    let report = std::fs::read_to_string("tests/fixtures/schemas/report.v3.json").unwrap();
    for name in ["base", "head"] {
        let other = results().to_string();
        let [base, head] = if name == "base" { [&report, &other] } else { [&other, &report] };
        let (exit, _, err) = run(&Files::of_text(base, head), &[]);
        assert_eq!(exit, usage_error());
        assert!(err.contains(&format!("{name}.json is a report of `bench-diff ci`")), "{err}");
        assert!(err.contains("hint: name the results.json beside it"), "{err}");
    }
}
