//! What measuring makes of an engine that isn't candle's: one that tells of several tokens at once, by another clock.

use bench_diff::case::Clock;

use super::*;

/// The configuration with the engine `replay` on the recording, which gives all models the same times.
fn replaying(recording: &str) -> Bench {
    let bench = Bench::new();
    bench.write("bench-diff.toml", &format!("engine = \"replay\"\n{CONFIG}"));
    for model in ["one", "two"] {
        bench.write(&format!("{model}/replay.json"), recording);
    }
    bench
}

fn run(bench: &Bench, args: &[&str]) -> Finished {
    Finished::of(bench.plain(args).output().unwrap())
}

#[test]
fn chunks_by_a_clients_clock_are_measured() {
    let bench =
        replaying(r#"{ "clock": "client", "chunks": [[1, 20.0], [2, 30.0], [9, 40.0]], "end_to_end_ms": 41.0 }"#);
    let finished = run(&bench, &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let results = bench.results();
    assert_eq!(results.cases[0].engine.as_str(), "replay");
    let measured = measurement(&results.sessions[0].runs[0]).unwrap();
    assert_eq!((measured.clock.clone(), &measured.token_hash), (Some(Clock::Client.into()), &None));
    assert_eq!(measured.implementation.as_ref().unwrap().as_str(), "recorded");
    let metric =
        |name: &str| measured.metrics.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| *value);
    assert_eq!((metric("ttft"), metric("decode_throughput")), (Some(20.0), Some(150.0)), "3 tokens in 20 ms");
    assert!(measured.warnings[0].contains("several at a time"), "{:?}", measured.warnings);
    assert!(measured.roofline.is_none(), "nobody knows what its model costs");
}

#[test]
fn an_engine_that_stops_early_is_a_failed_run() {
    let bench = replaying(r#"{ "clock": "client", "chunks": [[3, 20.0]], "end_to_end_ms": 20.0 }"#);
    let finished = run(&bench, &["--runs", "1", "--model", "./one"]);
    assert_eq!(finished.code, Some(3));
    let said = (FailureKind::Error, "the engine gave 3 tokens instead of 4".to_owned());
    assert_eq!(failures(&bench.results()), [said.clone(), said]);
}

#[test]
fn an_engine_that_cant_tell_what_it_needs_is_planned_all_the_same() {
    let bench = replaying("{}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    let finished = Finished::of(command.args(["plan"]).current_dir(&bench.directory).output().unwrap());
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert!(finished.out.contains("4 of 4 cases will run"), "{}", finished.out);
}

#[test]
fn the_engine_of_these_tests_is_nowhere_shown() {
    let bench = Bench::new();
    bench.write("bench-diff.toml", &format!("engine = \"reply\"\n{CONFIG}"));
    let finished = run(&bench, &[]);
    assert!(finished.err.contains("candle") && !finished.err.contains("replay"), "{}", finished.err);
    let help = run(&bench, &["--help"]).out;
    assert!(help.contains("candle") && !help.contains("replay") && !help.contains("recorded"), "{help}");
}
