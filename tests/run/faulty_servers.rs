//! What servers do wrong: each is a row with one sentence, and the rest goes on.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// In a server that may be silent for a second only.
fn why_after_a_second(answer: Answer) -> String {
    let server = Server::answering(answer);
    let bench = Bench::new();
    let table = format!("{{ url = {:?}, read-seconds = 1, connect-seconds = 1 }}", server.url);
    bench.write("bench-diff.toml", &format!("engine = \"server\"\nserver = {table}\n{CONFIG}"));
    let (finished, results) = run_in(&bench, &["--warmup", "0"]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    let [(_, reason)] = &failures(&results)[..] else { panic!("one failed run") };
    reason.clone()
}

#[test]
fn a_stall_is_one_however_the_connection_is_kept_open() {
    let long = Duration::from_secs(8);
    let stalls: [(Answer, &str); 3] = [
        (|_, _| vec![text("a"), text("b"), Piece::Pause(Duration::from_secs(8))], "broke off after 2 events"),
        // Only comments, for some seconds.
        (
            |_, _| vec![text("a")].into_iter().chain((0..4000).map(|_| Piece::Bytes(b": ping\n\n".to_vec()))).collect(),
            "broke off after 1 event",
        ),
        (|_, _| vec![Piece::Pause(Duration::from_secs(8))], "can't be asked"),
    ];
    for (answer, reason) in stalls {
        let begun = Instant::now();
        let said = why_after_a_second(answer);
        assert!(said.contains(reason) && said.contains("it said nothing for 1 s (`read-seconds`)"), "{said}");
        assert!(begun.elapsed() < long, "it isn't asked again and again");
    }
}

#[test]
fn answers_that_are_no_stream_are_said_to_be() {
    let answers: [Answer; 3] = [
        |_, _| vec![Piece::Whole(r#"{"choices": [{"text": "aaaaaa"}], "usage": {"completion_tokens": 6}}"#)],
        |_, _| vec![Piece::Whole("<html>welcome</html>")],
        |_, _| vec![done()],
    ];
    for answer in answers {
        let said = why(answer);
        assert!(said.contains("streamed no text: streaming may be off"), "{said}");
    }
}

#[test]
fn counts_that_cannot_be_are_refused() {
    fn counted(tokens: &Value) -> Piece {
        event(&json!({ "choices": [], "usage": { "completion_tokens": tokens } }))
    }
    let counts: [(Answer, &str); 4] = [
        (|_, tokens| texts(tokens).chain([counted(&json!("six")), done()]).collect(), "doesn't say how many tokens"),
        (|_, tokens| texts(tokens).chain([counted(&json!(null)), done()]).collect(), "doesn't say how many tokens"),
        (|_, tokens| texts(tokens).chain([counted(&json!(tokens + 1)), done()]).collect(), "instead of"),
        (
            |_, tokens| texts(tokens).chain([counted(&json!(1)), done()]).collect(),
            "usage counts 1 token, but it streamed 4 pieces of text: that can't be",
        ),
    ];
    for (answer, reason) in counts {
        let said = why(answer);
        assert!(said.contains(reason), "{said}");
    }
}

/// Some tokens have no text of their own, such as the first bytes of a character.
#[test]
fn a_server_that_counts_nothing_is_believed_that_it_reached_the_length() {
    fn ends(reason: &'static str) -> Piece {
        event(&json!({ "choices": [{ "text": "", "finish_reason": reason }] }))
    }
    let server = Server::answering(|_, tokens| texts(tokens - 2).chain([ends("length"), done()]).collect());
    let (finished, results) = measured(&server, &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    assert!(run.warnings.iter().any(|warning| warning.contains("the server counts no tokens")), "{:?}", run.warnings);
    let said = why(|_, tokens| texts(tokens - 2).chain([ends("stop"), done()]).collect());
    assert!(said.contains("generated 2 tokens instead of 4 and ended with `stop`"), "{said}");
}

/// It may say so at any time; only before measuring it is waited for.
#[test]
fn a_server_that_is_busy_while_it_is_measured_fails_the_run() {
    fn busy(body: &Value, tokens: usize) -> Vec<Piece> {
        match tokens {
            6 => vec![Piece::Status(429, "retry-after: 1\r\n", "too many requests")],
            _ => well(body, tokens),
        }
    }
    let said = why(busy);
    assert!(said.contains("answered 429 (too many requests)"), "{said}");
}

/// Every form is tried for a server that refuses one, and only one request is sent to one that refuses us.
#[test]
fn what_cannot_be_helped_is_not_tried_again() {
    let refuses: Answer = |_, _| vec![Piece::Status(401, "", "no")];
    let server = Server::answering(refuses);
    measured(&server, &[]);
    assert_eq!(server.bodies().len(), 1);
    let unknown: Answer = |_, _| vec![Piece::Status(404, "", r#"{"error":{"message":"no model `one`"}}"#)];
    let server = Server::answering(unknown);
    let (_, results) = measured(&server, &[]);
    assert_eq!(server.bodies().len(), 15);
    assert!(failures(&results)[0].1.contains("no model `one`"));
}

/// As `transformers serve`: text only, no field that it doesn't know, and its own way to an exact length.
#[test]
fn a_generation_config_is_sent_where_it_is_the_only_way() {
    fn serves(body: &Value, tokens: usize) -> Vec<Piece> {
        if !body["prompt"].is_string() || body.get("ignore_eos").is_some() {
            return vec![Piece::Status(422, "", "unexpected field")];
        }
        let config: Option<Value> = body["generation_config"].as_str().map(|text| serde_json::from_str(text).unwrap());
        let least = config.map_or(0, |config| config["min_new_tokens"].as_u64().unwrap() as usize);
        assert!(least == 0 || least == tokens);
        // No [DONE].
        texts(least.max(1)).chain([usage(length_of(body), least.max(1))]).collect()
    }
    let (finished, results) = measured(&Server::answering(serves), &[]);
    assert_eq!((finished.code, failures(&results)), (Some(0), vec![]), "{}", finished.err);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    assert!(!run.warnings.iter().any(|warning| warning.contains("ignore_eos")), "{:?}", run.warnings);
}

/// As a vLLM that forbids fields it doesn't know: those of others are left out, and its own are not.
#[test]
fn fields_of_other_servers_are_left_out_where_they_disturb() {
    fn forbids(body: &Value, tokens: usize) -> Vec<Piece> {
        match ["cache_prompt", "repeat_penalty", "generation_config"].iter().any(|field| body.get(field).is_some()) {
            true => vec![Piece::Status(400, "", "extra fields not permitted")],
            false => well(body, tokens),
        }
    }
    let server = Server::answering(forbids);
    let (finished, _) = measured(&server, &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert_eq!(server.bodies().last().unwrap()["ignore_eos"], json!(true));
}

/// Servers close connections that nobody used for a while: that is no fault of the next request.
#[test]
fn a_connection_that_was_closed_in_between_is_not_used_again() {
    fn closes(body: &Value, tokens: usize) -> Vec<Piece> {
        well(body, tokens).into_iter().chain([Piece::Close]).collect()
    }
    let args = ["--iterations", "20", "--concurrency", "1,3"];
    let (finished, results) = measured(&Server::answering(closes), &args);
    assert_eq!((finished.code, failures(&results)), (Some(0), vec![]), "{}", finished.err);
    // Those of three at once are all closed when one asks: none of the others will do.
    let closes_late = |body: &Value, tokens: usize| well(body, tokens).into_iter().chain([Piece::LoseNext]).collect();
    let args = ["--iterations", "6", "--concurrency", "3,1"];
    let (finished, results) = measured(&Server::answering(closes_late), &args);
    assert_eq!((finished.code, failures(&results)), (Some(0), vec![]), "{}", finished.err);
    let said = why(|_, _| vec![Piece::Cut]);
    assert!(said.contains("can't be asked") && said.contains("closed before"), "{said}");
}

/// A failed case doesn't keep others from being measured.
#[test]
fn the_rest_goes_on() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    fn breaks(body: &Value, tokens: usize) -> Vec<Piece> {
        match length_of(body) {
            8 => {
                ASKED.fetch_add(1, Ordering::Relaxed);
                vec![text("a"), Piece::Cut]
            }
            _ => well(body, tokens),
        }
    }
    let (finished, results) = measured(&Server::answering(breaks), &["--context-lengths", "8,9", "--runs", "2"]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    assert_eq!(runs(&results), ["one/f32/8 1 Error", "one/f32/9 1", "one/f32/8 2 Error", "one/f32/9 2"]);
    assert_eq!(ASKED.load(Ordering::Relaxed), 2);
}
