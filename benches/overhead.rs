//! What is lost of a fast stream on its way to our clock: `cargo bench --bench overhead [-- TOKENS_PER_SECOND]`.
//!
//! A server and a program that do nothing but write a token whenever it is due, and take down when they did. The engines
//! `server` and `command` measure them as they measure any other. Loss is how much slower they look than they were. The
//! lag of a token is how much later it was seen than it was written, the smallest of all being 0. The clocks' drift is the
//! slope of a line through the smallest lags of each tenth.
//!
//! At last both write as fast as they can, which is the fastest that can be measured at all.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a program for us")]

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bench_diff::case::DeviceKind;
use bench_diff::engine::{self, Engine, Generation, ModelSpec, ServerSpec};

const TOKENS: usize = 10_000;
const TIMES: usize = 5;
/// Of the tokens, for the drift.
const PARTS: usize = 10;
/// The argument that makes this program the one that is measured.
const PACED: &str = "paced-program";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match &args[..] {
        [paced, rate, place] if paced == PACED => paced_program(rate.parse().expect("a rate"), Path::new(place)),
        args => measure(args.first().map_or(5000.0, |rate| rate.parse().expect("a rate"))),
    }
}

fn measure(rate: f64) {
    for rate in [rate, f64::INFINITY] {
        let written = Written::default();
        let mut server = server(rate, &written);
        report("server", rate, server.as_mut(), || written.lock().unwrap().clone());
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let place = directory.path().join("written.json");
        let mut program = program(rate, &place);
        report("command", rate, program.as_mut(), || serde_json::from_slice(&std::fs::read(&place).unwrap()).unwrap());
    }
}

/// Seconds from the first token to each, as they were written.
type Written = Arc<Mutex<Vec<f64>>>;

fn server(rate: f64, written: &Written) -> Box<dyn Engine> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let written = Arc::clone(written);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = serve(&stream.unwrap(), rate, &written);
        }
    });
    let server = Some(ServerSpec { url, ..ServerSpec::default() });
    load(ModelSpec { engine: "server".into(), server, ..spec() })
}

fn program(rate: f64, place: &Path) -> Box<dyn Engine> {
    let this: PathBuf = std::env::current_exe().unwrap();
    let words = [this.to_str().unwrap(), PACED, &rate.to_string(), place.to_str().unwrap()];
    load(ModelSpec { engine: "command".into(), command: words.map(str::to_owned).to_vec(), ..spec() })
}

fn spec() -> ModelSpec {
    ModelSpec {
        max_length: TOKENS + 16,
        implementation: "default".into(),
        ..ModelSpec::generated("paced", DeviceKind::Cpu)
    }
}

fn load(spec: ModelSpec) -> Box<dyn Engine> {
    engine::load(&spec, &mut |_, _| {}).expect("it answers")
}

fn report(name: &str, rate: f64, engine: &mut dyn Engine, written: impl Fn() -> Vec<f64>) {
    let pace = if rate.is_finite() { format!("{rate} a second") } else { "as fast as it can".to_owned() };
    println!("{name}, {TOKENS} tokens, {pace}:");
    let prompt = vec![35946; 16];
    for _ in 0..TIMES {
        let generation = engine.generate(&prompt, TOKENS).expect("generates");
        let (seen, written) = (seen(&generation), written());
        let (own, measured) = (rate_of(&written), rate_of(&seen));
        match rate.is_finite() && seen.len() == written.len() {
            true => println!("  written {own:.1} tok/s, measured {measured:.1}, {}", Lags::of(&seen, &written)),
            false => println!("  written {own:.0} tok/s, measured {measured:.0} in {} arrivals", seen.len()),
        }
    }
}

/// Seconds from the first arrival to each.
fn seen(generation: &Generation) -> Vec<f64> {
    let first = generation.chunks[0].at;
    generation.chunks.iter().map(|chunk| (chunk.at - first).as_secs_f64()).collect()
}

fn rate_of(times: &[f64]) -> f64 {
    (TOKENS - 1) as f64 / times.last().unwrap()
}

/// How much later tokens were seen than written.
struct Lags {
    /// How much slower the stream looks than it was.
    loss: f64,
    /// The slope of the smallest lags.
    drift: f64,
    /// In order.
    sorted: Vec<f64>,
}

impl Lags {
    fn of(seen: &[f64], written: &[f64]) -> Self {
        let lags: Vec<f64> = seen.iter().zip(written).map(|(seen, written)| seen - written).collect();
        let least = lags.iter().copied().fold(f64::MAX, f64::min);
        // What a busy machine adds, it adds to some tokens: the smallest of many lags shows the clocks.
        let part = TOKENS / PARTS;
        let smallest = |lags: &[f64]| lags.iter().copied().fold(f64::MAX, f64::min);
        let times: Vec<f64> = written.chunks(part).map(|times| times[0]).collect();
        let drift = slope(&times, &lags.chunks(part).map(smallest).collect::<Vec<_>>());
        let mut sorted: Vec<f64> = lags.iter().map(|lag| lag - least).collect();
        sorted.sort_by(f64::total_cmp);
        Self { loss: 1.0 - rate_of(seen) / rate_of(written), drift, sorted }
    }
}

impl fmt::Display for Lags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |share: f64| self.sorted[((self.sorted.len() - 1) as f64 * share) as usize] * 1e6;
        let (loss, drift) = (self.loss * 100.0, self.drift * 1e6);
        write!(
            f,
            "loss {loss:+.3}%, drift {drift:+.0} us a second, lag 50% {:.0} us, 90% {:.0}, 99% {:.0}",
            at(0.5),
            at(0.9),
            at(0.99)
        )
    }
}

/// Of the least-squares line.
fn slope(x: &[f64], y: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let products: f64 = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    products / x.iter().map(|x| (x - mean_x).powi(2)).sum::<f64>()
}

/// Writes each token when it is due, however late the last one was; seconds from the first to each.
fn pace(tokens: usize, rate: f64, mut write: impl FnMut() -> std::io::Result<()>) -> std::io::Result<Vec<f64>> {
    let begun = Instant::now();
    let mut times = Vec::with_capacity(tokens);
    for token in 0..tokens {
        let due = begun + Duration::from_secs_f64(token as f64 / rate);
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        times.push(begun.elapsed().as_secs_f64());
        write()?;
    }
    let first = times[0];
    Ok(times.into_iter().map(|time| time - first).collect())
}

fn serve(stream: &TcpStream, rate: f64, written: &Mutex<Vec<f64>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut out) = (BufReader::new(stream), stream);
    while let Some((head, body)) = request(&mut reader)? {
        if head.starts_with("GET") {
            out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")?;
            continue;
        }
        let body: serde_json::Value = serde_json::from_slice(&body)?;
        let tokens = body["max_tokens"].as_u64().unwrap() as usize;
        out.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let token = chunk(
            r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"paced","choices":[{"index":0,"text":" the","logprobs":null,"finish_reason":null}]}"#,
        );
        let times = pace(tokens, rate, || out.write_all(token.as_bytes()))?;
        *written.lock().unwrap() = times;
        let usage = format!(r#"{{"choices":[],"usage":{{"prompt_tokens":16,"completion_tokens":{tokens}}}}}"#);
        out.write_all((chunk(&usage) + &chunk("[DONE]") + "0\r\n\r\n").as_bytes())?;
    }
    Ok(())
}

/// A request's head and body; `None` once the connection is closed.
fn request(reader: &mut impl BufRead) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
        if let Some(value) = head[start..].to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((head, body)))
}

fn chunk(data: &str) -> String {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

/// Speaks docs/engine-protocol.md.
fn paced_program(rate: f64, place: &Path) {
    let mut out = std::io::stdout().lock();
    writeln!(out, r#"{{"answer":"hello","protocol":1,"name":"paced","version":"1"}}"#).unwrap();
    for line in std::io::stdin().lines() {
        let request: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match request["request"].as_str() {
            Some("load") => r#"{"answer":"loaded"}"#,
            Some("generate") => {
                let tokens = request["tokens"].as_u64().unwrap() as usize;
                let write = || writeln!(out, r#"{{"answer":"chunk","tokens":1}}"#);
                let times = pace(tokens, rate, write).unwrap();
                std::fs::write(place, serde_json::to_vec(&times).unwrap()).unwrap();
                r#"{"answer":"generated"}"#
            }
            Some("memory") => r#"{"answer":"memory"}"#,
            _ => return,
        };
        writeln!(out, "{answer}").unwrap();
    }
}
