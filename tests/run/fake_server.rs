//! A server of ours, which answers well or badly.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// How a server answers a request for so many tokens, given its body.
pub type Answer = fn(&Value, usize) -> Vec<Piece>;

/// What it writes, one after another.
pub enum Piece {
    /// A status other than 200, headers, and a body.
    Status(u16, &'static str, &'static str),
    /// Bytes of the stream, in a piece of their own.
    Bytes(Vec<u8>),
    /// Nothing more: the connection is closed without an end.
    Cut,
    /// The answer is whole, and the connection is closed although nobody said so.
    Close,
    /// The answer is whole, and the connection is closed when the next request has come.
    LoseNext,
    /// From here on the system holds small writes back until the client has acknowledged those before.
    Nagle,
    /// Nothing for so long.
    Pause(Duration),
    /// One whole answer that is no stream.
    Whole(&'static str),
}

pub struct Server {
    pub url: String,
    seen: Seen,
}

impl Server {
    pub fn answering(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let seen = Seen::default();
        let server = Self::at(&listener, seen.clone());
        thread::spawn(move || accept(&listener, answer, &seen));
        server
    }

    /// The same, by a `Server` header of that name.
    pub fn called(name: &'static str, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let seen = Seen { name: Some(name), ..Seen::default() };
        let server = Self::at(&listener, seen.clone());
        thread::spawn(move || accept(&listener, answer, &seen));
        server
    }

    /// Nobody answers there.
    pub fn down() -> Self {
        Self::at(&TcpListener::bind("127.0.0.1:0").unwrap(), Seen::default())
    }

    fn at(listener: &TcpListener, seen: Seen) -> Self {
        Self { url: format!("http://{}/v1", listener.local_addr().unwrap()), seen }
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.seen.bodies.lock().unwrap().clone()
    }

    pub fn headers(&self) -> Vec<String> {
        self.seen.headers.lock().unwrap().clone()
    }

    pub fn most_at_once(&self) -> usize {
        self.seen.most.load(Ordering::SeqCst)
    }
}

/// What came in.
#[derive(Clone, Default)]
pub struct Seen {
    bodies: Arc<Mutex<Vec<Value>>>,
    headers: Arc<Mutex<Vec<String>>>,
    now: Arc<AtomicUsize>,
    /// The most requests that were answered at once.
    most: Arc<AtomicUsize>,
    name: Option<&'static str>,
}

pub fn accept(listener: &TcpListener, answer: Answer, seen: &Seen) {
    for stream in listener.incoming() {
        let seen = seen.clone();
        // A client that goes away is no matter.
        thread::spawn(move || drop(serve(&stream.unwrap(), answer, &seen)));
    }
}

fn serve(stream: &TcpStream, answer: Answer, seen: &Seen) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut out) = (BufReader::new(stream), stream);
    let mut after = After::Next;
    while !matches!(after, After::Over) {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if head.starts_with("GET") {
            let name = seen.name.unwrap_or("fake-server/1.2");
            write!(out, "HTTP/1.1 200 OK\r\nserver: {name}\r\ncontent-length: 2\r\n\r\n{{}}")?;
            continue;
        }
        if matches!(after, After::Lost) {
            break;
        }
        let body: Value = serde_json::from_slice(&body).unwrap();
        let tokens = body["max_tokens"].as_u64().unwrap() as usize;
        seen.headers.lock().unwrap().push(head);
        seen.bodies.lock().unwrap().push(body.clone());
        seen.most.fetch_max(seen.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        after = write_pieces(out, answer(&body, tokens), InFlight(&seen.now))?;
    }
    Ok(())
}

/// What becomes of a connection after an answer.
enum After {
    Next,
    Over,
    /// The next request on it is.
    Lost,
}

/// A request that isn't answered in full.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn write_pieces(mut out: &TcpStream, pieces: Vec<Piece>, in_flight: InFlight) -> std::io::Result<After> {
    let (mut begun, mut after) = (false, After::Next);
    for piece in pieces {
        match piece {
            Piece::Status(code, headers, body) => {
                write!(out, "HTTP/1.1 {code} No\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())?;
                return Ok(After::Next);
            }
            Piece::Cut => return Ok(After::Over),
            Piece::Close => {
                out.write_all(b"0\r\n\r\n")?;
                return Ok(After::Over);
            }
            Piece::LoseNext => after = After::Lost,
            Piece::Nagle => out.set_nodelay(false)?,
            Piece::Pause(time) => thread::sleep(time),
            Piece::Whole(body) => {
                write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
                return Ok(After::Next);
            }
            Piece::Bytes(bytes) => {
                if !begun {
                    out.write_all(
                        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
                    )?;
                    begun = true;
                }
                write!(out, "{:x}\r\n", bytes.len())?;
                out.write_all(&bytes)?;
                out.write_all(b"\r\n")?;
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
    // Whoever reads the end may send the next at once.
    drop(in_flight);
    out.write_all(b"0\r\n\r\n")?;
    Ok(after)
}

pub fn event(value: &Value) -> Piece {
    Piece::Bytes(format!("data: {value}\n\n").into_bytes())
}

pub fn text(text: &str) -> Piece {
    event(&json!({ "choices": [{ "text": text }] }))
}

pub fn usage(prompt: usize, tokens: usize) -> Piece {
    event(&json!({ "choices": [], "usage": { "prompt_tokens": prompt, "completion_tokens": tokens } }))
}

pub fn done() -> Piece {
    Piece::Bytes(b"data: [DONE]\n\n".to_vec())
}

pub fn texts(count: usize) -> impl Iterator<Item = Piece> {
    (0..count).map(|_| text("a"))
}

pub fn length_of(body: &Value) -> usize {
    body["prompt"].as_array().map_or_else(|| body["prompt"].as_str().unwrap_or_default().chars().count(), Vec::len)
}

pub fn well(body: &Value, tokens: usize) -> Vec<Piece> {
    texts(tokens).chain([usage(length_of(body), tokens), done()]).collect()
}
