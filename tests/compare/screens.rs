//! What a base of one occasion allows to say.

use bench_diff::results::Results;
use serde_json::Value;

use crate::compare_support::{Files, Printed, compare_json};

/// Five sessions of an H100, all of one afternoon; one of them as if it had been measured on another day, with decode
/// slower by `slower` in the cases whose names hold `which`.
fn compared(session: usize, which: &str, slower: f64) -> Printed {
    let text = include_str!("../fixtures/formats/h100-small.v1.json");
    let mut base: Results = serde_json::from_str(text).expect("a baseline");
    let mut head = Results { sessions: vec![base.sessions.remove(session)], ..base.clone() };
    let later = |time: &str| time.replace("2026-11-24", "2026-11-25");
    let other = &mut head.sessions[0];
    other.started = later(&other.started);
    other.finished = other.finished.as_deref().map(later);
    let value = |results: &Results| serde_json::to_value(results).expect("JSON");
    let mut head = value(&head);
    head["sessions"][0]["program"]["commit"] = "another".into();
    for run in head["sessions"][0]["runs"].as_array_mut().expect("runs") {
        if run["case"].as_str().is_some_and(|case| case.contains(which)) {
            let decode = &mut run["metrics"]["decode_throughput"];
            *decode = Value::from(decode.as_f64().expect("decode") / (1.0 + slower));
        }
    }
    compare_json(&Files::new(&value(&base), &head), &[])
}

/// Quiet cases show together that the machine hasn't drifted by much: 40 of 100 rows were open before they were asked.
#[test]
fn quiet_rows_of_another_day_are_unchanged() {
    let counts: Vec<_> = (0..5).map(|session| compared(session, "-", 0.0).counts).collect();
    let unchanged: usize = counts.iter().map(|counts| counts.unchanged).sum();
    assert!(unchanged >= 85, "{counts:?}");
    assert!(counts.iter().all(|counts| counts.regressed + counts.improved == 0), "{counts:?}");
}

/// A case that is slower is never called unchanged by the quiet ones beside it.
#[test]
fn a_slower_case_is_not_unchanged() {
    for session in 0..5 {
        for slower in [0.03, 0.05, 0.1] {
            let rows = compared(session, "1.5B-Instruct/bf16/1", slower).rows;
            let slow = rows.iter().filter(|row| row.metric == "decode_throughput" && row.case.contains("1.5B"));
            assert!(slow.clone().count() > 0);
            for row in slow.filter(|row| row.case.ends_with("bf16/1")) {
                assert_eq!(row.verdict.word(), "inconclusive", "{row:?}");
            }
        }
    }
}

/// Where every case moves, drift is as good an explanation as a change.
#[test]
fn what_moves_everywhere_may_be_drift() {
    let comparison = compared(0, "", 0.05);
    let decode = comparison.rows.iter().filter(|row| row.metric == "decode_throughput");
    assert!(decode.clone().all(|row| row.verdict.word() == "inconclusive"), "{comparison:?}");
}
