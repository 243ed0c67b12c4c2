//! A model that can't be loaded however often one tries is tried once a session; what may pass is tried in each run.

use bench_diff::results::FailureKind;

use super::{Bench, failures, runs};

const ONCE: &str = " (tried in one run only: another would fail alike)";

#[test]
fn what_cannot_change_is_tried_once() {
    let bench = Bench::behaving("load refuse-for-good\n");
    let finished = bench.run(&["--runs", "3"]);
    assert_eq!(finished.code, Some(3));
    assert_eq!(bench.read("log"), "start\n".repeat(2), "each model once");
    let results = bench.results();
    let of_one: Vec<String> = runs(&results).into_iter().filter(|run| run.starts_with("one/f32/1 ")).collect();
    assert_eq!(of_one, ["one/f32/1 1 Error", "one/f32/1 2 Error", "one/f32/1 3 Error"]);
    let why = format!("no such file: model.safetensors{ONCE}");
    assert!(failures(&results).iter().all(|(_, reason)| *reason == why), "{:?}", failures(&results));
    assert!(finished.out.contains("tried in one run"), "{}", finished.out);
}

#[test]
fn what_may_pass_is_tried_in_each_run() {
    let bench = Bench::behaving("load refuse\n");
    bench.run(&["--runs", "3"]);
    assert_eq!(bench.read("log"), "start\n".repeat(6));
    assert!(failures(&bench.results()).iter().all(|(_, reason)| !reason.ends_with(ONCE)));
}

/// Of one run there is nothing to leave out.
#[test]
fn of_a_single_run_nothing_is_said() {
    let bench = Bench::behaving("load refuse-for-good\n");
    bench.run(&["--runs", "1"]);
    assert_eq!(failures(&bench.results())[0].1, "no such file: model.safetensors");
}

/// As this program's own worker tells it: what `plan` sees isn't tried at all, and a variable is looked at by who needs it.
#[test]
fn a_setting_that_is_missing_stays_so() {
    let bench = Bench::new();
    let server = "engine = \"server\"\nserver = { url = \"http://127.0.0.1:9/v1\", api-key-env = \"NOWHERE_SET\" }\n";
    bench.write("bench-diff.toml", &format!("{server}{}", bench.read("bench-diff.toml")));
    let finished = super::Finished::of(bench.plain(&[]).output().unwrap());
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    let failed = failures(&bench.results());
    assert_eq!(failed.len(), 8);
    assert!(failed.iter().all(|(kind, reason)| *kind == FailureKind::Error && reason.ends_with(ONCE)), "{failed:?}");
}
