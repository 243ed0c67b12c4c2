//! Servers that are started for each run: this test program again, as a server.

use std::net::TcpListener;

use super::fake_server::{Seen, accept};
use super::*;

/// What `start` starts. The port is in its environment; whoever tests names no port.
#[test]
#[ignore = "a server for the other tests"]
fn serves() {
    let Ok(port) = std::env::var("SERVE_AT") else { return };
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    accept(&listener, well, &Seen::default());
}

/// A port that nobody listens at.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn measured(port: u16, start: &[&str], more: &str) -> (Finished, Results) {
    let bench = Bench::new();
    let table = format!("{{ url = \"http://127.0.0.1:{port}/v1\", start = {start:?}{more} }}");
    bench.write("bench-diff.toml", &format!("engine = \"server\"\nserver = {table}\n{CONFIG}"));
    run_in(&bench, &["--runs", "2", "--force"])
}

#[test]
fn a_server_is_started_for_each_run_and_ended_with_it() {
    let port = free_port();
    let this = std::env::current_exe().unwrap();
    let (at, this) = (format!("SERVE_AT={port}"), this.to_str().unwrap());
    let start = ["env", &at, this, "--exact", "servers::started_servers::serves", "--ignored", "--nocapture"];
    for ready in ["", ", ready = \"/health\""] {
        let (finished, results) = measured(port, &start, ready);
        assert_eq!(finished.code, Some(0), "{}", finished.err);
        assert_eq!(results.sessions[0].runs.len(), 2);
        for run in &results.sessions[0].runs {
            let run = measurement(run).unwrap();
            assert!(!run.shared_process && !run.warnings.iter().any(|warning| warning.contains("ran before")));
            assert!(run.metrics.keys().any(|metric| metric.as_str() == "peak_memory"), "its memory is seen");
        }
        assert!(TcpListener::bind(format!("127.0.0.1:{port}")).is_ok(), "it is gone");
    }
}

#[test]
fn a_server_that_does_not_come_up_is_a_failed_run_with_its_last_words() {
    let start = ["sh", "-c", "echo loading; echo 'no such model' >&2; exit 3"];
    let (finished, results) = measured(free_port(), &start, "");
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    let reason = &failures(&results)[0].1;
    assert_eq!(reason, "the server sh is gone: it ended with exit code 3; it said: no such model");
}

#[test]
fn another_server_at_its_address_is_not_measured_in_its_place() {
    let other = Server::answering(well);
    let port = other.url.trim_start_matches("http://127.0.0.1:").trim_end_matches("/v1").parse().unwrap();
    let (finished, results) = measured(port, &["sleep", "60"], "");
    assert_eq!(finished.code, Some(3));
    assert!(failures(&results)[0].1.contains("another server answers at this address already"));
}

#[test]
fn a_probe_is_a_path_of_a_server_that_is_started() {
    for (start, more, why) in [
        (&["sleep", "1"][..], ", ready = \"health\"", "it is a path on the server"),
        (&[], ", ready = \"/health\"", "`ready` is for a server that `start` starts"),
    ] {
        let bench = Bench::new();
        let table = format!("{{ url = \"http://127.0.0.1:1/v1\", start = {start:?}{more} }}");
        bench.write("bench-diff.toml", &format!("engine = \"server\"\nserver = {table}\n{CONFIG}"));
        let finished = Finished::of(bench.plain(&[]).output().unwrap());
        assert_eq!(finished.code, Some(2));
        assert!(finished.err.contains(why), "{}", finished.err);
    }
}
