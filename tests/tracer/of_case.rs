//! `bench-diff trace CASE` and `trace MODEL`: what is measured, traced and shown phase by phase.

use serde_json::Value;

use crate::counters::Bench;

#[test]
fn a_case_is_shown_phase_by_phase() {
    let bench = Bench::with_card();
    bench.configure(&["20", "10"], "");
    let planned: Value = serde_json::from_str(&bench.run(&["plan", "--format", "json"]).out).unwrap();
    let case = planned["cases"][1]["case"]["id"].as_str().unwrap();
    let ran = bench.run(&["trace", case, "--per-token", "--output", "case.trace"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let said = |line: &&str| ["in the phase", "gemv", "copies", "The tables"].iter().any(|word| line.contains(word));
    insta::assert_snapshot!("a_case_per_token", ran.out.lines().filter(said).collect::<Vec<_>>().join("\n"));
    // What was saved holds the generations one by one.
    let saved = bench.run(&["trace", "case.trace", "--phase", "one token 1"]);
    assert!(saved.out.contains("20 kernel launches"), "{}{}", saved.out, saved.err);
    let ran = bench.run(&["trace", "./model", "--phase", "decode", "--format", "json"]);
    let shown: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err));
    let [decode] = shown.as_array().unwrap().as_slice() else { panic!("{shown}") };
    // Two generations of 9 tokens, without the first ones.
    assert_eq!(
        (&decode["phase"], &decode["times"], &decode["launches"]),
        (&"decode".into(), &16.0.into(), &160.into())
    );
}

#[test]
fn what_can_not_be_traced_says_why() {
    let bench = Bench::with_card();
    bench.configure(&["20", "10"], "");
    let said = |args: &[&str]| {
        let ran = bench.run(args);
        (ran.code, ran.err.lines().next().unwrap_or_default().to_owned())
    };
    let (code, err) = said(&["trace", "no-such-thing"]);
    assert_eq!(code, 2, "{err}");
    assert!(
        err.starts_with("error: no-such-thing is neither a saved trace, nor a case of the suite, nor a model: "),
        "{err}"
    );
    let (code, err) = said(&["trace", "./model", "--phase", "nonsense"]);
    assert_eq!((code, err.as_str()), (2, "error: a case has the phases `load`, `prefill` and `decode`"));
    let ran = bench.run_beside(std::path::Path::new("/nowhere/libcupti.so"), &["trace", "./model"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("was not traced: ") && ran.err.contains("CUPTI"), "{}", ran.err);
}

/// Nothing is loaded, run or downloaded before that is said.
#[test]
fn without_a_gpu_no_case_is_run() {
    let bench = Bench::new();
    bench.configure(&["20", "10"], "");
    let ran = bench.run(&["trace", "./model"]);
    assert_eq!((ran.code, ran.err.as_str()), (3, "error: there is no GPU here; a case is traced on a GPU\n"));
    let bench = Bench::with_card();
    bench.configure(&["20", "10"], "");
    let ran = bench.run(&["trace", "./model", "--device", "cpu"]);
    assert!(ran.code == 3 && ran.err.contains("is measured on the CPU; a case is traced on a GPU"), "{}", ran.err);
}
