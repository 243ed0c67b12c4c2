//! Why a row of two files changed, as far as the files tell: the same words as in `ci` and `ab`.

use bench_diff::results::{Ceilings, DeviceState, Outcome, Program, Results};
use serde_json::{Value, json};

use crate::compare_support::{Files, run, session};
use crate::results_files;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Two files of one session, measured in turn, or of two; the head is a tenth slower in the first case.
fn sides(ids: [&str; 2]) -> [Results; 2] {
    let slower = |index: usize, metric: &str| if (index, metric) == (0, "decode_throughput") { 1.1 } else { 1.0 };
    let mut sides = [session(|_, _| 1.0), session(slower)];
    for (side, id) in sides.iter_mut().zip(ids) {
        side.sessions[0].id = id.to_owned();
    }
    sides
}

fn compared(sides: &[Results; 2], flags: &[&str]) -> Value {
    let (_, out, err) = run(&results_files(&sides[0], &sides[1]), &[&["--format", "json"], flags].concat());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {err}"))
}

/// Of the first row, which changed.
fn cause(comparison: &Value) -> (&str, &str) {
    let row = &comparison["rows"][0];
    assert_eq!(row["metric"], "decode_throughput");
    (row["cause"]["word"].as_str().unwrap_or(""), row["cause"]["evidence"].as_str().unwrap_or(""))
}

fn each_run(results: &mut Results, change: impl Fn(&mut DeviceState)) {
    for run in &mut results.sessions[0].runs {
        if let Outcome::Ok(measured) = &mut run.outcome {
            change(measured.device.get_or_insert_default());
        }
    }
}

type Change = fn(&mut [Results; 2]);

/// What the head is, the cause's word, and its evidence.
fn changes() -> [(Change, &'static str, &'static str); 7] {
    [
        (|sides| sides[1].settings.warmup = 2, "method", "warmup 1 → 2"),
        (
            |sides| sides[1].sessions[0].environment.gpus[0].name = "NVIDIA H200".into(),
            "card",
            "gpu NVIDIA H100 80GB HBM3 → NVIDIA H200",
        ),
        (
            |[base, head]| {
                each_run(base, |device| device.sm_clock_mhz = Some(1980.0));
                each_run(head, |device| device.sm_clock_mhz = Some(1750.0));
            },
            "card",
            "the processors' clock was 1980 MHz in the base, 1750 in the head",
        ),
        (
            |[_, head]| each_run(head, |device| device.throttle_reasons = vec!["sw_power_cap".into()]),
            "card",
            "only the head was throttled (sw_power_cap)",
        ),
        (
            |sides| {
                for (side, bandwidth_gb_s) in sides.iter_mut().zip([2900.0, 2400.0]) {
                    side.sessions[0].ceilings = Some(Ceilings { bandwidth_gb_s, matmul_tflop_s: 700.0 });
                }
            },
            "card",
            "the device's measured memory bandwidth in GB/s differs (2900 in the base, 2400 in the head): the machine may be the cause",
        ),
        (
            |sides| sides[1].sessions[0].environment.cpu = Some("Other".into()),
            "host",
            "cpu Some CPU → Other; else only the program differs, as far as is known",
        ),
        (
            |sides| sides[1].sessions[0].environment.driver_version = Some("600.1".into()),
            "method",
            "driver_version 580.0 → 600.1; else only the program differs, as far as is known",
        ),
    ]
}

#[test]
fn what_differs_in_the_files_is_the_cause() {
    for (change, word, evidence) in changes() {
        let mut sides = sides(["s-1", "s-1"]);
        change(&mut sides);
        let flags = ["--same-session", "--allow-mismatch"];
        let comparison = compared(&sides, &flags);
        assert_eq!(cause(&comparison), (word, evidence));
        assert_eq!(comparison["rows"][1]["cause"], Value::Null, "what didn't change has none");
        let (_, page, _) = run(&results_files(&sides[0], &sides[1]), &flags);
        let begin: String = evidence.chars().take(20).collect();
        assert!(page.contains(&format!("\nCause ({word}):\n")) && page.contains(&begin), "{page}");
    }
}

/// What is better on the slower side explains nothing, and what differs around the program is all named.
#[test]
fn evidence_fits_the_change() {
    let with = |change: Change| {
        let mut sides = sides(["s-1", "s-1"]);
        change(&mut sides);
        compared(&sides, &["--same-session", "--allow-mismatch"])
    };
    let faster_card = with(|sides| {
        for (side, bandwidth_gb_s) in sides.iter_mut().zip([2400.0, 2900.0]) {
            side.sessions[0].ceilings = Some(Ceilings { bandwidth_gb_s, matmul_tflop_s: 700.0 });
        }
    });
    assert_eq!(cause(&faster_card).0, "unexplained");
    let other_machine = with(|sides| {
        sides[1].sessions[0].environment.cpu = Some("Other".into());
        sides[1].sessions[0].environment.driver_version = Some("600.1".into());
    });
    let both = "cpu Some CPU → Other, driver_version 580.0 → 600.1; else only the program differs, as far as is known";
    assert_eq!(cause(&other_machine), ("host", both));
}

/// Two sessions of different days: what looks changed has a cause where there is one, and else nothing to say.
#[test]
fn what_only_looks_changed_is_explained_where_it_can_be() {
    let mut sides = sides(["s-1", "s-2"]);
    let comparison = compared(&sides, &[]);
    assert_eq!(comparison["rows"][0]["unconfirmed"], true);
    assert_eq!(comparison["rows"][0]["cause"], Value::Null);
    each_run(&mut sides[0], |device| device.sm_clock_mhz = Some(1980.0));
    each_run(&mut sides[1], |device| device.sm_clock_mhz = Some(1750.0));
    assert_eq!(cause(&compared(&sides, &[])).0, "card");
}

/// Where nothing of that differs, JSON says so, and the page has no table for it.
#[test]
fn what_nothing_tells_is_unexplained() {
    let sides = sides(["s-1", "s-1"]);
    let unexplained = ("unexplained", "settings are equal, and base and head were not traced");
    assert_eq!(cause(&compared(&sides, &["--same-session"])), unexplained);
    let (_, page, _) = run(&results_files(&sides[0], &sides[1]), &["--same-session"]);
    assert!(page.starts_with("Slower: ") && !page.contains("cause") && !page.contains("Cause"), "{page}");
}

/// One program differs from itself by that much.
#[test]
fn what_one_program_shows_against_itself_is_noise() {
    let mut sides = sides(["s-1", "s-2"]);
    for side in &mut sides {
        let program = &mut side.sessions[0].program;
        *program = Program { commit: Some(COMMIT.to_owned()), ..program.clone() };
    }
    let comparison = compared(&sides, &["--same-session"]);
    let (word, evidence) = cause(&comparison);
    assert_eq!(word, "noise");
    assert!(evidence.starts_with("both sides are of one program, so it differs from itself by 9.1%"), "{evidence}");
    assert_eq!(comparison["rows"][1]["cause"], Value::Null);
}

/// Samples of other tools don't say how they were taken.
#[test]
fn samples_have_no_cause() {
    let cell = |samples: [f64; 3]| json!([{ "case": "a", "metric": "ttft", "unit": "ms", "better": "lower", "samples": samples }]);
    let files = Files::new(&cell([10.0, 10.1, 9.9]), &cell([20.0, 20.1, 19.9]));
    let (_, out, _) = run(&files, &["--same-session", "--format", "json"]);
    let comparison: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&comparison["verdict"], &comparison["rows"][0]["cause"]), (&json!("regressed"), &Value::Null));
}

/// Each of several files, too.
#[test]
fn several_files_have_causes_each() {
    let mut sides = sides(["s-1", "s-1"]);
    sides[1].settings.warmup = 2;
    let files = results_files(&sides[0], &sides[1]);
    let another = files.head();
    let flags = [another.to_str().unwrap(), "--same-session", "--allow-mismatch", "--format", "json"];
    let (_, out, err) = run(&files, &flags);
    let compared: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {err}"));
    assert_eq!(compared["sides"][1]["rows"][0]["cause"], json!({ "word": "method", "evidence": "warmup 1 → 2" }));
}
