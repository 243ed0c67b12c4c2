//! Several requests in flight at once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn metrics(run: &Run) -> Vec<String> {
    measurement(run).unwrap().metrics.keys().map(ToString::to_string).collect()
}

#[test]
fn requests_in_flight_are_a_case_with_metrics_of_its_own() {
    let server = Server::answering(well);
    let (finished, results) = measured(&server, &["--concurrency", "1,3", "--requests", "7"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert_eq!(runs(&results), ["one/f32/8 1", "one/f32/8/c3 1"]);
    let [alone, together] = &results.sessions[0].runs[..] else { panic!("two runs") };
    let one_by_one =
        ["decode_throughput", "e2e_latency", "itl_p50", "itl_p99", "prefill_throughput", "speed", "tpot", "ttft"];
    assert_eq!(metrics(alone), one_by_one);
    let of_all = [
        "e2e_latency_p50",
        "e2e_latency_p90",
        "e2e_latency_p99",
        "itl_p50",
        "itl_p90",
        "itl_p99",
        "output_throughput",
        "request_throughput",
        "ttft_p50",
        "ttft_p90",
        "ttft_p99",
    ];
    assert_eq!(metrics(together), of_all);
    assert_eq!(measurement(together).unwrap().itl.as_ref().unwrap().count, 7 * 5, "the gaps of all requests");
    assert_eq!(server.most_at_once(), 3, "a closed loop");
    assert!(finished.err.contains("TTFT p99"), "{}", finished.err);
}

/// A cache of prefixes has nothing to answer with.
#[test]
fn no_two_requests_have_the_same_prompt() {
    let server = Server::answering(well);
    measured(&server, &["--concurrency", "4", "--requests", "30"]);
    let prompts: Vec<Value> = server.bodies().iter().map(|body| body["prompt"].clone()).collect();
    let different: BTreeSet<String> = prompts.iter().map(ToString::to_string).collect();
    assert_eq!((prompts.len(), different.len()), (1 + 4 + 30, 1 + 4 + 30), "one finds out, four warm up");
}

#[test]
fn one_request_that_fails_fails_the_run_and_the_rest_goes_on() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    fn sometimes(body: &Value, tokens: usize) -> Vec<Piece> {
        let is_long = body["prompt"].as_array().unwrap().len() == 8;
        match is_long && ASKED.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
            true => vec![Piece::Status(500, "", "out of blocks")],
            false => well(body, tokens),
        }
    }
    let server = Server::answering(sometimes);
    let args = ["--concurrency", "2", "--requests", "7", "--warmup", "0", "--context-lengths", "8,9"];
    let (finished, results) = measured(&server, &args);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    let [(_, reason)] = &failures(&results)[..] else { panic!("one failed run: {:?}", failures(&results)) };
    assert!(reason.starts_with("2 of 7 requests failed, one because the server 127.0.0.1:"), "{reason}");
    assert!(reason.ends_with("answered 500 (out of blocks)"), "{reason}");
    assert_eq!(runs(&results)[1], "one/f32/9/c2 1");
}

#[test]
fn what_cannot_be_in_flight_is_refused() {
    let bench = Bench::new();
    for (args, why) in [
        (&["--concurrency", "2"][..], "`candle` generates for one request at a time"),
        (&["--engine", "command", "--command", "true", "--concurrency", "1,2"], "are for the engine `server`"),
        (&["--engine", "server", "--server", "http://[::1]:1/v1", "--concurrency", "4,4"], "`4` is there twice"),
        (
            &["--engine", "server", "--server", "http://[::1]:1/v1", "--concurrency", "4", "--requests", "3"],
            "3 requests are fewer than the 4",
        ),
    ] {
        let finished = Finished::of(bench.plain(&[&["--model", "./one"], args].concat()).output().unwrap());
        assert_eq!(finished.code, Some(2), "{}", finished.err);
        assert!(finished.err.contains(why), "{}", finished.err);
    }
}

/// The same concurrency with other numbers of requests is another measurement.
#[test]
fn other_traffic_is_not_compared() {
    let server = Server::answering(well);
    let bench = Bench::new();
    bench.write("bench-diff.toml", &format!("engine = \"server\"\nserver = {{ url = {:?} }}\n{CONFIG}", server.url));
    for (requests, file) in [("4", "base.json"), ("5", "head.json")] {
        let args = ["--model", "./one", "--context-lengths", "8", "--concurrency", "2", "--requests", requests];
        let finished = Finished::of(bench.plain(&args).args(["--output", file]).output().unwrap());
        assert_eq!(finished.code, Some(0), "{}", finished.err);
    }
    let compared = bench.bench_diff(&["compare", "base.json", "head.json"]);
    let said = [compared.out, compared.err].concat();
    assert!(said.contains("not comparable") && said.contains("requests"), "{said}");
}
