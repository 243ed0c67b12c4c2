//! Loading that takes too long: what it waited for is the reason.

use super::*;

/// With three seconds for loading.
fn why_too_long(table: &str) -> String {
    let bench = Bench::new();
    let config = CONFIG.replace("load-seconds = 60", "load-seconds = 3");
    bench.write("bench-diff.toml", &format!("engine = \"server\"\nserver = {table}\n{config}"));
    let (finished, results) = run_in(&bench, &["--force"]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    let [(_, reason)] = &failures(&results)[..] else { panic!("one failed run: {}", finished.err) };
    assert!(reason.starts_with("loading the model took longer than the limit of 3 s: the server "), "{reason}");
    reason.clone()
}

#[test]
fn a_server_that_is_never_ready_says_what_it_answered() {
    let answers: [(Answer, &str); 4] = [
        (
            |_, _| vec![Piece::Status(503, "", r#"{"error":{"message":"loading model"}}"#)],
            " answered 503 (loading model)",
        ),
        (
            |_, _| vec![Piece::Status(429, "retry-after: banana\r\n", "slow down")],
            " answered 429 (slow down; its Retry-After `banana` is neither seconds nor a date)",
        ),
        (|_, _| vec![Piece::Pause(Duration::from_secs(9))], " hasn't answered a request for 4 tokens in full"),
        (
            |_, tokens| match tokens {
                4 => vec![text("a"), Piece::Pause(Duration::from_secs(9))],
                _ => vec![],
            },
            " hasn't answered a request for 4 tokens in full",
        ),
    ];
    for (answer, said) in answers {
        let server = Server::answering(answer);
        let reason = why_too_long(&format!("{{ url = {:?} }}", server.url));
        assert!(reason.ends_with(said), "{reason}");
    }
}

#[test]
fn a_program_that_listens_elsewhere_is_not_heard() {
    let down = Server::down();
    let reason = why_too_long(&format!("{{ url = {:?}, start = [\"sleep\", \"60\"] }}", down.url));
    assert!(reason.ends_with("can't be asked: nothing listens there (connection refused)"), "{reason}");
}

/// One that never ends a stream is told as soon as it has said far more than it was asked for.
#[test]
fn a_stream_without_an_end_is_refused() {
    let said = why(|_, _| texts(1000).collect());
    assert!(said.contains(" streamed 273 events, and goes on"), "{said}");
}
