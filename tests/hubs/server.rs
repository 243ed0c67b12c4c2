//! A small server that answers as a test says.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The first byte that is wanted.
    pub fn from(&self) -> usize {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        range.map_or(0, |start| start.parse().unwrap())
    }

    pub fn is_authorized(&self, token: &str) -> bool {
        self.header("authorization") == Some(&format!("Bearer {token}"))
    }

    pub fn shows(&self, secret: &str) -> bool {
        self.path.contains(secret) || self.headers.iter().any(|(_, value)| value.contains(secret))
    }
}

/// What is answered.
#[derive(Clone)]
pub struct Response {
    pub status: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    pub cut: Option<usize>,
    /// And before it ends, nothing happens.
    pub stalls: bool,
}

impl Response {
    pub fn new(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut: None, stalls: false }
    }

    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new("200 OK", body)
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn cut(self, after: usize) -> Self {
        Self { cut: Some(after), ..self }
    }

    /// The rest of `whole`, as a server answers that knows ranges.
    pub fn part(whole: &[u8], from: usize) -> Self {
        match from {
            0 => Self::ok(whole),
            from if from >= whole.len() => Self::new("416 Range Not Satisfiable", ""),
            from => {
                let range = format!("bytes {from}-{}/{}", whole.len() - 1, whole.len());
                Self::new("206 Partial Content", &whole[from..]).with("Content-Range", range)
            }
        }
    }

    fn write(&self, method: &str, stream: &mut TcpStream) -> std::io::Result<()> {
        let lengthy = self.headers.iter().any(|(name, _)| name == "Content-Length");
        let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", self.status);
        if !lengthy {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        self.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        stream.write_all((head + "\r\n").as_bytes())?;
        if method == "HEAD" {
            return Ok(());
        }
        stream.write_all(&self.body[..self.cut.unwrap_or(self.body.len()).min(self.body.len())])?;
        if self.stalls {
            // Until the client has gone.
            let _ = std::io::Read::read(stream, &mut [0]);
        }
        Ok(())
    }
}

/// A running server, and what it was asked.
pub struct Server {
    pub endpoint: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` gets the request, and how often the same was asked before. The server lives as long as the tests.
    pub fn start(answer: impl Fn(&Request, usize) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || respond(stream, &log, &*answer));
            }
        });
        Self { endpoint, seen }
    }

    /// Everything that was asked since the last time.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// Those of the paths that contain `part`.
    pub fn asked_for(&self, part: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.path.contains(part)).collect()
    }
}

fn respond(mut stream: TcpStream, seen: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request, usize) -> Response) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(line) = lines.next() else { return };
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let headers = lines.take_while(|line| !line.is_empty());
    let headers =
        headers.filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())));
    let request = Request { method, path, headers: headers.collect() };
    let before = {
        let mut seen = seen.lock().unwrap();
        let same = |other: &&Request| (&other.method, &other.path) == (&request.method, &request.path);
        let before = seen.iter().filter(same).count();
        seen.push(request.clone());
        before
    };
    // A client may hang up early.
    let _ = answer(&request, before).write(&request.method, &mut stream);
}
