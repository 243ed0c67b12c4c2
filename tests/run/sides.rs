//! The library's session: several programs in one, and a real model.

use super::*;

/// Two programs in one session, as `ci` measures base and head.
#[test]
fn base_and_head_take_turns_and_swap_places() {
    let bench = Bench::new();
    let selection = Selection { config: Some(bench.path("bench-diff.toml")), ..Selection::default() };
    let suite = load_suite(&selection, &Machine::without_driver()).unwrap();
    let worker = |label: &str| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run/worker.sh");
        let command = format!("cd \"$0\" && echo {label} >> log && exec \"$1\" worker");
        let args = ["-c".into(), command.into(), bench.directory.path().into(), script.into()];
        Worker { args: args.into(), ..Worker::at("/bin/sh") }
    };
    let id = measure::session_id();
    let output = |label: &str| bench_diff::files::Output::claim(&bench.path(&format!("{label}.json"))).unwrap();
    let mut sides =
        ["base", "head"].map(|label| MeasuredSide::new(label, worker(label), &suite, &id).saved_to(output(label)));
    // Its own lock files.
    let request = |suite| Request { locks: bench.directory.path().into(), ..Request::new(suite) };
    let end = measure::run(&request(&suite), &mut sides, &mut Silent, &Stop::new()).unwrap();
    assert_eq!(end, End::Complete);
    let log = bench.read("log");
    let order: Vec<_> = log.lines().filter(|line| ["base", "head"].contains(line)).collect();
    // Round 1 of both models, then round 2, each in an order of its own.
    let turns = |model: usize| [order[2 * model], order[2 * model + 1], order[2 * model + 4], order[2 * model + 5]];
    for turns in [turns(0), turns(1)] {
        assert!(turns == ["base", "head", "head", "base"] || turns == ["head", "base", "base", "head"], "{turns:?}");
    }
    let read = |name: &str| results::read(&bench.path(name)).unwrap();
    let (base, head) = (read("base.json"), read("head.json"));
    assert_eq!((&base.sessions[0].id, base.sessions[0].runs.len()), (&id, 8));
    assert_eq!((&head.sessions[0].id, head.sessions[0].runs.len()), (&id, 8));

    // More rounds go on in the same session.
    let mut longer = suite.clone();
    longer.settings.runs = 3;
    measure::run(&request(&longer), &mut sides, &mut Silent, &Stop::new()).unwrap();
    assert_eq!(bench.read("log").lines().filter(|line| *line == "start").count(), 12);
    assert_eq!(sides[0].results.sessions[0].runs.len(), 12);
}

#[test]
fn a_real_model_is_measured() {
    let bench = Bench::new();
    let finished = Finished::of(bench.plain(&["--model", "./one", "--warmup-length", "2"]).output().unwrap());
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let results = bench.results();
    let session = &results.sessions[0];
    assert_eq!(session.program.name, "bench-diff");
    assert_eq!(session.program.components["candle"].version.as_deref(), Some("0.11.1"));
    assert!(session.environment.cpu_cores.is_some() && session.environment.fingerprint().starts_with("cpu-"));
    for case in ["one/f32/1", "one/f32/8"] {
        let runs: Vec<_> = session.runs.iter().filter(|run| run.case == case).collect();
        let measured: Vec<_> = runs.iter().filter_map(|run| measurement(run)).collect();
        assert_eq!(measured.len(), 2);
        assert_eq!(measured[0].token_hash, measured[1].token_hash, "greedy decoding is repeatable");
        assert_eq!(measured[0].implementation, Some(Implementation::Plain.into()));
        assert_eq!(measured[0].itl.as_ref().unwrap().count, 3, "4 tokens have 3 gaps");
        let names: Vec<_> = measured[0].metrics.keys().map(|name| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "decode_throughput",
                "e2e_latency",
                "itl_p50",
                "itl_p99",
                "peak_memory",
                "prefill_throughput",
                "speed",
                "tpot",
                "ttft"
            ]
        );
    }
}
