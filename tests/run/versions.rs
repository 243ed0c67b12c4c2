//! Programs that speak other versions of the worker protocol.

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/worker").join(name)
}

/// `bench-diff run` of one model, once, with a shell script as the measured program.
fn run_with(bench: &Bench, script: &str) -> Finished {
    bench.write("program.sh", &format!("#!/bin/sh\n{script}"));
    let program = bench.path("program.sh");
    let mut permissions = fs::metadata(&program).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&program, permissions).unwrap();
    let args = ["--runs", "1", "--model", "./one", "--trace", "trace.jsonl", "--worker", "./program.sh"];
    Finished::of(bench.plain(&args).output().unwrap())
}

/// What bench-diff 0.1.0 of commit faad9a1 said, event for event.
#[test]
fn a_worker_of_version_1_is_measured() {
    let bench = Bench::new();
    let events = fixture("protocol-1.events.jsonl");
    let events = events.display();
    let finished = run_with(&bench, &format!("head -n 1 {events}\ncat > job\ntail -n +2 {events}"));
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let results = bench.results();
    assert_eq!(runs(&results), ["one/f32/1 1", "one/f32/8 1"]);
    let program = &results.sessions[0].program;
    assert_eq!(program.commit.as_deref(), Some("faad9a14ed52ad1c200165bd349301ff2ca27e24"));
    assert_eq!(program.components["candle"].version.as_deref(), Some("0.11.1"));
    let measured = measurement(&results.sessions[0].runs[0]).unwrap();
    assert_eq!((measured.metrics.len(), measured.clock.clone()), (9, None));
    assert_eq!(measured.token_hash.as_deref(), Some("e93b2bf78357f80e86aa4c47b74b9aa5"));
    assert_eq!(bench.read("trace.jsonl").lines().count(), 2);

    // It reads the job that it always got: what is new stands beside it.
    let json = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    holds(&json(bench.read("job")), &json(fs::read_to_string(fixture("protocol-1.job.json")).unwrap()));
}

/// Every field of `part` is in `all`, with the same value.
fn holds(all: &serde_json::Value, part: &serde_json::Value) {
    match part.as_object() {
        Some(fields) => fields.iter().for_each(|(name, value)| holds(&all[name], value)),
        None => assert_eq!(all, part),
    }
}

/// Nobody waits for the other.
#[test]
fn a_program_that_reads_its_job_first_is_measured() {
    let bench = Bench::new();
    let events = fixture("protocol-1.events.jsonl");
    let finished = run_with(&bench, &format!("cat > job\ncat {}", events.display()));
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert_eq!(runs(&bench.results()), ["one/f32/1 1", "one/f32/8 1"]);
}

#[test]
fn a_newer_worker_gets_its_job_in_our_version() {
    let bench = Bench::new();
    let hello = r#"{"event":"hello","protocol":9,"program":{"name":"newer","version":"9"}}"#;
    let failed = r#"{"event":"failed","failure":{"kind":"error","reason":"that is all"}}"#;
    run_with(&bench, &format!("echo '{hello}'\ncat > job\necho '{failed}'"));
    assert!(bench.read("job").starts_with("{\"protocol\":4,"), "{}", bench.read("job"));
    assert_eq!(bench.results().sessions[0].program.name, "newer");
}

/// What ran, in a word that this build doesn't know, costs nothing.
#[test]
fn an_unknown_implementation_is_recorded() {
    let bench = Bench::new();
    let events = fs::read_to_string(fixture("protocol-1.events.jsonl")).unwrap();
    bench.write("events", &events.replace("\"implementation\":\"plain\"", "\"implementation\":\"paged\""));
    let finished = run_with(&bench, "head -n 1 events\ncat > job\ntail -n +2 events");
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let results = bench.results();
    let ran = &measurement(&results.sessions[0].runs[0]).unwrap().implementation;
    assert_eq!(ran.as_ref().unwrap().as_str(), "paged");
}
