//! The engine `server` against servers of ours, which answer well or badly.

#[path = "fake_server.rs"]
mod fake_server;
#[path = "faulty_servers.rs"]
mod faulty_servers;
#[path = "started_servers.rs"]
mod started_servers;
#[path = "traffic.rs"]
mod traffic;
#[path = "waiting.rs"]
mod waiting;

use std::time::Duration;

use bench_diff::case::Clock;
use fake_server::{Answer, Piece, Server, done, event, length_of, text, texts, usage, well};
use serde_json::{Value, json};

use super::*;

fn measured(server: &Server, args: &[&str]) -> (Finished, Results) {
    let bench = Bench::new();
    bench.write("bench-diff.toml", &format!("engine = \"server\"\nserver = {{ url = {:?} }}\n{CONFIG}", server.url));
    run_in(&bench, args)
}

fn run_in(bench: &Bench, args: &[&str]) -> (Finished, Results) {
    let usual = [["--context-lengths", "8"], ["--generated-length", "6"], ["--runs", "1"]];
    let usual = usual.into_iter().filter(|[flag, _]| !args.contains(flag)).flatten();
    let args: Vec<&str> = ["--model", "./one"].into_iter().chain(usual).chain(args.iter().copied()).collect();
    let finished = Finished::of(bench.plain(&args).env("A_SERVERS_KEY", "sk-very-secret").output().unwrap());
    let results = bench.results();
    (finished, results)
}

fn why(answer: Answer) -> String {
    let (finished, results) = measured(&Server::answering(answer), &[]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    let [(_, reason)] = &failures(&results)[..] else { panic!("one failed run") };
    reason.clone()
}

#[test]
fn a_server_is_measured_by_the_clients_clock() {
    let server = Server::answering(well);
    let (finished, results) = measured(&server, &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    assert_eq!((&run.clock, run.itl.as_ref().map(|itl| itl.count)), (&Some(Clock::Client.into()), Some(5)));
    assert_eq!(run.program.as_ref().unwrap().name, "fake-server/1.2");
    assert!(run.warnings[0].contains("the server ran before"), "{:?}", run.warnings);
    assert!(run.roofline.is_none() && !run.metrics.keys().any(|name| name.as_str() == "peak_memory"));
    let bodies = server.bodies();
    let last = bodies.last().unwrap();
    assert_eq!((&last["max_tokens"], &last["ignore_eos"], &last["min_tokens"]), (&json!(6), &json!(true), &json!(6)));
    assert_eq!(last["prompt"].as_array().unwrap().len(), 8);
    assert_eq!((&last["cache_prompt"], &last["repetition_penalty"]), (&json!(false), &json!(1.0)));
    assert_ne!(last["prompt"][0], bodies[bodies.len() - 2]["prompt"][0], "no prompt is in a cache of prefixes");
    assert!(run.shared_process && run.warnings[0].contains("count as one session"), "{:?}", run.warnings);
}

/// What carries the answers isn't what gives them: no name is better than a wrong one.
#[test]
fn a_web_server_is_not_the_name_of_what_runs_the_model() {
    for name in ["uvicorn", "nginx/1.25.3"] {
        let (_, results) = measured(&Server::called(name, well), &[]);
        assert_eq!(measurement(&results.sessions[0].runs[0]).unwrap().program, None, "{name}");
    }
}

/// Two requests with one prompt, as text; how to sample is left to the server, and the whole is timed.
#[test]
fn a_server_is_asked_as_evalscope_asks_it() {
    let server = Server::answering(well);
    let (finished, results) = measured(&server, &["--seed-protocol", "evalscope"]);
    assert_eq!((finished.code, failures(&results)), (Some(0), vec![]), "{}", finished.err);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    let told: Vec<&str> = run.metrics.keys().map(|name| name.as_str()).collect();
    assert_eq!(told, ["e2e_latency", "speed"]);
    assert!(run.warnings.iter().any(|warning| warning.contains("all requests have one prompt")), "{:?}", run.warnings);
    let bodies = server.bodies();
    let [.., first, second] = &bodies[..] else { panic!("two requests") };
    assert_eq!((first, &first["prompt"]), (second, &json!("\u{71b5}".repeat(8))));
    assert_eq!((&first["max_tokens"], &first["min_tokens"], &first["seed"]), (&json!(6), &json!(6), &json!(42)));
    for field in ["temperature", "repetition_penalty", "repeat_penalty", "cache_prompt"] {
        assert_eq!(first.get(field), None, "{field}");
    }
}

#[test]
fn several_tokens_in_one_event_are_one_arrival() {
    fn merged(_: &Value, tokens: usize) -> Vec<Piece> {
        vec![text("a"), text(&"b".repeat(tokens - 1)), usage(8, tokens), done()]
    }
    let (_, results) = measured(&Server::answering(merged), &[]);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    assert_eq!(run.itl.as_ref().map(|itl| itl.count), Some(1));
    assert!(run.warnings.iter().any(|warning| warning.contains("several at a time")), "{:?}", run.warnings);
}

/// Of three runs with two notes each, both are told once.
#[test]
fn notes_are_told_once_a_case() {
    fn cached(body: &Value, tokens: usize) -> Vec<Piece> {
        let told = json!({ "prompt_tokens": length_of(body) + 1, "completion_tokens": tokens });
        texts(tokens).chain([event(&json!({ "choices": [], "usage": told })), done()]).collect()
    }
    let (finished, _) = measured(&Server::answering(cached), &["--runs", "3"]);
    for note in ["the server ran before", "tokens in a prompt of 8"] {
        assert_eq!(finished.out.matches(note).count(), 1, "{}", finished.out);
    }
}

/// A token each 2 ms, by a server that leaves its sockets as they are. A connection's first acknowledgements are never late:
/// the warm-up takes these.
#[test]
fn a_server_with_nagles_algorithm_is_not_held_up_by_us() {
    fn small_writes(_: &Value, tokens: usize) -> Vec<Piece> {
        [Piece::Nagle].into_iter().chain(texts(tokens)).chain([usage(8, tokens), done()]).collect()
    }
    let (_, results) = measured(&Server::answering(small_writes), &["--generated-length", "10", "--warmup", "3"]);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    assert!(!run.warnings.iter().any(|warning| warning.contains("something between buffers")), "{:?}", run.warnings);
}

/// What a proxy holds back comes at once, and isn't the server's speed.
#[test]
fn tokens_that_all_come_at_the_end_are_said() {
    fn held_back(_: &Value, tokens: usize) -> Vec<Piece> {
        let Piece::Bytes(token) = text("a") else { unreachable!("an event") };
        let all = Piece::Bytes(token.repeat(tokens));
        vec![Piece::Pause(Duration::from_millis(60)), all, usage(8, tokens), done()]
    }
    let (finished, results) = measured(&Server::answering(held_back), &["--generated-length", "16"]);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    let said: Vec<_> = run.warnings.iter().filter(|warning| warning.contains("something between buffers")).collect();
    assert!(said.len() == 1 && said[0].starts_with("all 16 tokens arrived within "), "{:?}", run.warnings);
    assert!(finished.code == Some(0), "{}", finished.err);
}

/// CR LF, comments, cuts inside a character, no last empty line, no [DONE].
#[test]
fn streams_of_all_makes_are_read() {
    fn odd(_: &Value, tokens: usize) -> Vec<Piece> {
        let mut bytes = b": ping\r\n\r\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\r\n\r\n".to_vec();
        for _ in 0..tokens {
            bytes.extend(format!("data: {}\r\n\r\n", json!({ "choices": [{ "text": "\u{6211}" }] })).into_bytes());
        }
        bytes.extend(format!("data: {}\r\n", json!({ "usage": { "completion_tokens": tokens } })).into_bytes());
        bytes.chunks(7).map(|piece| Piece::Bytes(piece.to_vec())).collect()
    }
    let (finished, results) = measured(&Server::answering(odd), &[]);
    assert_eq!((finished.code, failures(&results)), (Some(0), vec![]), "{}", finished.err);
}

/// What a server doesn't take is left out, and said to be.
#[test]
fn a_strict_server_is_asked_in_its_own_way() {
    fn strict(body: &Value, tokens: usize) -> Vec<Piece> {
        match body["prompt"].is_array()
            || ["ignore_eos", "generation_config"].iter().any(|field| body.get(field).is_some())
        {
            true => vec![Piece::Status(422, "", r#"{"detail": "extra fields"}"#)],
            false => well(body, tokens),
        }
    }
    fn chat(body: &Value, tokens: usize) -> Vec<Piece> {
        if body.get("messages").is_none() {
            return vec![Piece::Status(404, "", "no such route")];
        }
        let said = event(&json!({ "choices": [{ "delta": { "content": "a" } }] }));
        let Piece::Bytes(bytes) = said else { unreachable!("an event") };
        (0..tokens).map(|_| Piece::Bytes(bytes.clone())).chain([usage(30, tokens), done()]).collect()
    }
    let (_, results) = measured(&Server::answering(strict), &[]);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    assert!(run.warnings.iter().any(|warning| warning.contains("sent as text")), "{:?}", run.warnings);
    assert!(run.warnings.iter().any(|warning| warning.contains("takes no `ignore_eos`")), "{:?}", run.warnings);
    let (_, results) = measured(&Server::answering(chat), &[]);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    assert!(run.warnings.iter().any(|warning| warning.contains("only /chat/completions")), "{:?}", run.warnings);
    assert!(run.warnings.iter().any(|warning| warning.contains("30 tokens in a prompt of 8")), "{:?}", run.warnings);
}

#[test]
fn a_prompt_from_a_cache_is_said() {
    fn cached(body: &Value, tokens: usize) -> Vec<Piece> {
        let usage = json!({ "prompt_tokens": length_of(body), "completion_tokens": tokens,
            "prompt_tokens_details": { "cached_tokens": 7 } });
        texts(tokens).chain([event(&json!({ "choices": [], "usage": usage })), done()]).collect()
    }
    let (_, results) = measured(&Server::answering(cached), &[]);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    assert!(run.warnings.iter().any(|warning| warning.contains("took tokens of a prompt from a cache")));
}

/// Each is a row with one sentence.
#[test]
fn what_a_server_does_wrong_is_its_cases_reason() {
    let cases: [(Answer, &str); 14] = [
        (
            |_, _| vec![Piece::Status(404, "", r#"{"error":{"message":"the model `one` does not exist"}}"#)],
            "does not exist",
        ),
        (|_, _| vec![Piece::Status(401, "", r#"{"error":"no key"}"#)], "`api-key-env`"),
        (|_, _| vec![Piece::Status(500, "", "<html>oops</html>")], "answered 500 (a page of HTML)"),
        (
            |_, _| vec![Piece::Status(307, "location: http://a:b@localhost:7/v2/completions?key=c\r\n", "")],
            " answered 307, which isn't followed: it sends to http://localhost:7/v2/completions: put http://localhost:7/v2 \
             into `url`",
        ),
        (
            |_, _| vec![Piece::Status(400, "content-encoding: gzip\r\n", "\x1f\u{8b}")],
            "answered 400 (with Content-Encoding gzip, which wasn't asked for)",
        ),
        (
            |_, _| vec![Piece::Status(200, "content-encoding: gzip\r\n", "\x1f\u{8b}")],
            " answered with Content-Encoding gzip, which wasn't asked for",
        ),
        (
            |body, tokens| {
                let failed = Piece::Bytes(b"event: error\ndata: {\"message\":\"engine died\"}\n\n".to_vec());
                [text("a"), failed].into_iter().chain(well(body, tokens)).collect()
            },
            " streamed an error: engine died",
        ),
        (
            |body, tokens| texts(tokens - 1).chain([usage(length_of(body), tokens - 1), done()]).collect(),
            "tokens instead of 4: speeds of other lengths can't be compared",
        ),
        (|body, tokens| texts(tokens - 1).chain([usage(length_of(body), tokens - 1), done()]).collect(), "instead of"),
        (|body, tokens| texts(tokens + 2).chain([usage(length_of(body), tokens), done()]).collect(), "pieces of text"),
        (|_, tokens| texts(tokens - 2).chain([done()]).collect(), "tokens instead of"),
        (
            |_, _| vec![text("a"), event(&json!({ "error": { "message": "CUDA error" } }))],
            " streamed an error: CUDA error",
        ),
        (|_, _| vec![text("a"), Piece::Bytes(b"data: {\"choi\n\n".to_vec())], "something else than JSON"),
        (|_, _| vec![text("a"), Piece::Cut], "broke off after 1 event"),
    ];
    for (answer, reason) in cases {
        let said = why(answer);
        assert!(said.contains(reason) && !said.contains('\n'), "{reason}: {said}");
    }
}

#[test]
fn a_server_that_is_down_is_a_failed_case() {
    let (finished, results) = measured(&Server::down(), &[]);
    let [(_, reason)] = &failures(&results)[..] else { panic!("one failed run: {}", finished.err) };
    assert!(reason.ends_with("can't be asked: nothing listens there (connection refused)"), "{reason}");
}

/// Before measuring it is waited for.
#[test]
fn a_server_that_is_busy_is_asked_later() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static ASKED: AtomicU32 = AtomicU32::new(0);
    fn busy(body: &Value, tokens: usize) -> Vec<Piece> {
        match ASKED.fetch_add(1, Ordering::Relaxed) {
            0 => vec![Piece::Status(503, "retry-after: 1\r\n", "loading")],
            _ => well(body, tokens),
        }
    }
    let (finished, _) = measured(&Server::answering(busy), &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert!(ASKED.load(Ordering::Relaxed) > 2);
}

#[test]
fn the_key_is_sent_and_never_shown() {
    fn echoes(_: &Value, _: usize) -> Vec<Piece> {
        vec![Piece::Status(400, "", "your key sk-very-secret is of no use")]
    }
    // Where the message is cut, half of the key would be left.
    fn echoes_late(_: &Value, _: usize) -> Vec<Piece> {
        vec![text("a"), event(&json!({ "error": format!("{}sk-very-secret", "-".repeat(274)) }))]
    }
    for (answer, code) in [(well as Answer, 0), (echoes, 3), (echoes_late, 3)] {
        let server = Server::answering(answer);
        let bench = Bench::new();
        let table = format!("{{ url = {:?}, api-key-env = \"A_SERVERS_KEY\", model = \"served\" }}", server.url);
        bench.write("bench-diff.toml", &format!("engine = \"server\"\nserver = {table}\n{CONFIG}"));
        let (finished, _) = run_in(&bench, &["-v"]);
        assert_eq!(finished.code, Some(code), "{}", finished.err);
        assert!(server.headers().iter().all(|head| head.contains("Bearer sk-very-secret")));
        assert_eq!(server.bodies()[0]["model"], "served");
        let shown = [finished.out, finished.err, bench.read("results.json")].concat();
        assert!(!shown.contains("sk-very"), "{shown}");
    }
}

/// Who names a variable already isn't told to.
#[test]
fn a_key_that_is_refused_is_said_to_be() {
    let server = Server::answering(|_, _| vec![Piece::Status(401, "", "bad key")]);
    let bench = Bench::new();
    let table = format!("{{ url = {:?}, api-key-env = \"A_SERVERS_KEY\" }}", server.url);
    bench.write("bench-diff.toml", &format!("engine = \"server\"\nserver = {table}\n{CONFIG}"));
    let (_, results) = run_in(&bench, &[]);
    assert!(
        failures(&results)[0].1.ends_with(" refuses the key in A_SERVERS_KEY (bad key)"),
        "{:?}",
        failures(&results)
    );
}

/// What speaks something else than the address says.
#[test]
fn an_address_of_another_scheme_is_told() {
    let server = Server::answering(well);
    let bench = Bench::new();
    let url = server.url.replace("http:", "https:");
    bench.write("bench-diff.toml", &format!("engine = \"server\"\nserver = {{ url = {url:?} }}\n{CONFIG}"));
    let (_, results) = run_in(&bench, &[]);
    assert!(failures(&results)[0].1.ends_with("may begin with http://"), "{:?}", failures(&results));
}

#[test]
fn what_an_address_holds_is_not_shown() {
    for url in ["http://user:pa55@h/v1", "http://user:pa55@h:x/v1", "http://h/v1?key=pa55", "ftp://user:pa55@h/v1"] {
        let bench = Bench::new();
        let flag = Finished::of(bench.plain(&["--server", url]).output().unwrap());
        bench.write("bench-diff.toml", &format!("engine = \"server\"\nserver = {{ url = {url:?} }}\n{CONFIG}"));
        let file = Finished::of(bench.plain(&[]).output().unwrap());
        for finished in [flag, file] {
            assert_eq!(finished.code, Some(2), "{}", finished.err);
            assert!(!finished.err.contains("pa55"), "{}", finished.err);
        }
    }
}

#[test]
fn keys_of_others_and_odd_addresses_are_refused() {
    for (table, why) in [
        (r#"{ url = "http://127.0.0.1:1/v1", api-key-env = "GITHUB_TOKEN" }"#, "isn't a server's key"),
        (r#"{ url = "ftp://127.0.0.1/v1" }"#, "must begin with http"),
        (r#"{ url = "http://me:pw@127.0.0.1/v1" }"#, "holds no password"),
        (
            r#"{ url = "http://127.0.0.1/v1?key=pw" }"#,
            "holds no query: name the variable that holds the key in `api-key-env`",
        ),
        (r#"{ url = "nonsense" }"#, "is no address"),
    ] {
        let bench = Bench::new();
        bench.write("bench-diff.toml", &format!("engine = \"server\"\nserver = {table}\n{CONFIG}"));
        let finished = Finished::of(bench.plain(&[]).output().unwrap());
        assert_eq!(finished.code, Some(2));
        assert!(finished.err.contains(why), "{}", finished.err);
    }
}
