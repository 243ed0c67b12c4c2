//! GitHub as far as bench-diff talks to it: comments, pull requests and check runs in memory, and faults on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Refused with this status, these headers and this message; nothing is done.
    Status(u16, &'static [(&'static str, &'static str)], &'static str),
    /// The connection closes and nothing is done.
    DropBefore,
    /// It is done, and then the connection closes without an answer.
    DropAfter,
    /// It is done, and answered with 502.
    FailAfter,
    /// The answer's body stops in the middle for this long.
    Slow(Duration),
    /// Links to the next page lead to this address.
    LinkTo(String),
    /// It is done, and answered with this in place of every text, or of the whole answer.
    Echo(Echo, String),
}

#[derive(Debug, Clone, Copy)]
pub enum Echo {
    EveryText,
    Whole,
    InAList,
    InAnObject,
    /// Refused, with the text in the message and in the details.
    Refusal(u16),
}

impl Echo {
    fn answer(self, status: u16, body: Value, text: &str) -> (u16, Value) {
        match self {
            Self::EveryText => (status, every_text(body, text)),
            Self::Whole => (status, json!(text)),
            Self::InAList => (status, json!([text, { text: [text] }])),
            Self::InAnObject => (status, json!({ "data": { text: text }, "html_url": { "x": text } })),
            Self::Refusal(status) => (status, json!({ "message": text, "errors": [text, { "message": text }] })),
        }
    }
}

fn every_text(value: Value, text: &str) -> Value {
    match value {
        Value::String(_) => json!(text),
        Value::Array(items) => items.into_iter().map(|item| every_text(item, text)).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, field)| (name, every_text(field, text))).collect(),
        other => other,
    }
}

#[derive(Debug)]
struct Injected {
    method: &'static str,
    path: &'static str,
    times: usize,
    fault: Fault,
}

type Interruption = Box<dyn FnOnce(&mut State) + Send>;

#[derive(Default)]
pub struct State {
    pub comments: Vec<Value>,
    pub pulls: BTreeMap<u64, Value>,
    pub check_runs: Vec<Value>,
    /// `METHOD /path`, in order of arrival.
    pub requests: Vec<String>,
    /// Token -> login; a token whose login ends with `[bot]` may not ask for it.
    pub logins: BTreeMap<String, String>,
    /// `BASE...HEAD` -> the commit where they parted.
    pub merge_bases: BTreeMap<String, String>,
    /// The longest comment, in characters.
    pub longest_comment: usize,
    /// Login -> permission, of who has one; everybody may read.
    pub permissions: BTreeMap<String, String>,
    /// May the token ask for permissions?
    pub permissions_hidden: bool,
    /// As a token of a fork's pull request: everything may be read and nothing written.
    pub read_only: bool,
    /// Called once, right before a comment is created: another job that is faster.
    pub before_create: Option<Interruption>,
    /// A comment is listed only so long after it was created.
    pub lag: Duration,
    /// GraphQL says who a token is of.
    pub graphql: bool,
    /// The workflow runs that there are.
    pub runs: BTreeSet<u64>,
    /// An app may not change what others wrote.
    pub own_only: bool,
    created: BTreeMap<u64, Instant>,
    faults: Vec<Injected>,
    next_id: u64,
}

impl State {
    pub fn add_comment(&mut self, login: &str, association: &str, body: &str) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        self.created.insert(id, Instant::now());
        self.comments.push(json!({
            "id": id, "body": body, "user": { "login": login }, "author_association": association,
            "html_url": format!("https://github.test/acme/candle/pull/7#issuecomment-{id}"),
        }));
        id
    }

    /// The bodies of all comments that carry a bench-diff marker.
    pub fn marked(&self) -> Vec<&str> {
        let bodies = self.comments.iter().map(|comment| comment["body"].as_str().unwrap());
        bodies.filter(|body| body.starts_with("<!-- bench-diff ")).collect()
    }

    /// Whatever the lag of others.
    pub fn list_at_once(&mut self, id: u64) {
        self.created.remove(&id);
    }

    fn listed(&self) -> Vec<Value> {
        let created = |comment: &Value| self.created.get(&comment["id"].as_u64().unwrap());
        let old = |comment: &&Value| created(comment).is_none_or(|created| created.elapsed() >= self.lag);
        self.comments.iter().filter(old).cloned().collect()
    }

    pub fn count(&self, start: &str) -> usize {
        self.requests.iter().filter(|request| request.starts_with(start)).count()
    }
}

/// A server on a port of its own, until the test ends.
pub struct GitHub {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl GitHub {
    /// With pull request 7, and the token `actions-token` of `github-actions[bot]`.
    pub fn start() -> Self {
        Self::start_at("")
    }

    /// `prefix` is the path before the API: `/api/v3` on GitHub Enterprise Server.
    pub fn start_at(prefix: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}{prefix}", listener.local_addr().unwrap());
        let mut state = State { longest_comment: 65_536, ..State::default() };
        state.logins.insert("actions-token".into(), "github-actions[bot]".into());
        state.pulls.insert(7, pull(7, HEAD_SHA));
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || {
                    // A client that hangs up is part of the tests.
                    let _ = serve(stream, &state, prefix);
                });
            }
        });
        Self { url, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next `times` requests with this method and a path containing `path` fail.
    pub fn inject(&self, method: &'static str, path: &'static str, times: usize, fault: Fault) {
        self.state().faults.push(Injected { method, path, times, fault });
    }
}

pub const HEAD_SHA: &str = "1111111111111111111111111111111111111111";
pub const BASE_SHA: &str = "2222222222222222222222222222222222222222";

pub fn pull(number: u64, head_sha: &str) -> Value {
    json!({
        "number": number,
        "state": "open",
        "head": { "sha": head_sha, "ref": "faster", "label": "fork:faster", "repo": { "full_name": "fork/candle" } },
        "base": { "sha": BASE_SHA, "ref": "main", "repo": { "full_name": "acme/candle" } },
    })
}

/// A listener that only counts who comes.
pub struct Stranger {
    pub url: String,
    visits: Arc<Mutex<usize>>,
}

impl Stranger {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let visits = Arc::new(Mutex::new(0));
        let counted = visits.clone();
        std::thread::spawn(move || {
            for _ in listener.incoming().flatten() {
                *counted.lock().unwrap() += 1;
            }
        });
        Self { url, visits }
    }

    pub fn visits(&self) -> usize {
        *self.visits.lock().unwrap()
    }
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    token: Option<String>,
    body: Value,
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, prefix: &str) -> std::io::Result<()> {
    let Some(request) = read(&stream, prefix)? else { return Ok(()) };
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.requests.push(format!("{} {}", request.method, request.path));
    let fault = take_fault(&mut state, &request);
    let (mut status, mut headers, mut body) = match &fault {
        Some(Fault::DropBefore) => return Ok(()),
        Some(Fault::Status(status, headers, message)) => {
            let headers = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            (*status, headers, json!({ "message": message }))
        }
        _ => answer(&mut state, &request),
    };
    drop(state);
    match &fault {
        Some(Fault::DropAfter) => return Ok(()),
        Some(Fault::FailAfter) => (status, body) = (502, json!({ "message": "Bad Gateway" })),
        Some(Fault::Echo(echo, text)) => {
            (status, body) = echo.answer(status, body, text);
            headers = vec![format!("link: <{text}>; rel=\"{text}\""), format!("x-github-request-id: {text}")];
        }
        Some(Fault::LinkTo(url)) => headers = vec![format!("link: <{url}/next>; rel=\"next\"")],
        _ => {}
    }
    let body = if status == 204 { String::new() } else { body.to_string() };
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for header in headers {
        head.push_str(&format!("{header}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if let Some(Fault::Slow(pause)) = fault {
        stream.write_all(&body.as_bytes()[..1])?;
        std::thread::sleep(pause);
        return stream.write_all(&body.as_bytes()[1..]);
    }
    stream.write_all(body.as_bytes())
}

fn read(stream: &TcpStream, prefix: &str) -> std::io::Result<Option<Request>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_prefix(prefix).unwrap_or("/outside-of-the-api").to_owned();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (mut length, mut token) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Some(Request { method: method.to_owned(), path, query, token, body }))
}

fn take_fault(state: &mut State, request: &Request) -> Option<Fault> {
    let matching = |injected: &&mut Injected| {
        injected.times > 0 && injected.method == request.method && request.path.contains(injected.path)
    };
    let injected = state.faults.iter_mut().find(matching)?;
    injected.times -= 1;
    Some(injected.fault.clone())
}

type Answer = (u16, Vec<String>, Value);

#[expect(clippy::too_many_lines, reason = "a table: what GitHub answers to what")]
fn answer(state: &mut State, request: &Request) -> Answer {
    let Some(login) = request.token.as_ref().and_then(|token| state.logins.get(token)).cloned() else {
        return refuse(401, "Bad credentials");
    };
    if state.read_only && request.method != "GET" {
        return refuse(403, "Resource not accessible by integration");
    }
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["user"]) if login.ends_with("[bot]") => refuse(403, "Resource not accessible by integration"),
        ("GET", ["user"]) => (200, vec![], json!({ "login": login })),
        ("POST", ["graphql"]) if state.graphql => {
            (200, vec![], json!({ "data": { "viewer": { "login": login.trim_end_matches("[bot]") } } }))
        }
        ("GET", ["repos", _, _, "issues", _, "comments"]) => page(&state.listed(), request),
        ("POST", ["repos", _, _, "issues", _, "comments"]) => create_comment(state, &login, request),
        (_, ["repos", _, _, "issues", "comments", id]) => change_comment(state, &login, id.parse().unwrap(), request),
        ("GET", ["repos", _, _, "pulls", number]) => match state.pulls.get(&number.parse().unwrap()) {
            Some(pull) => (200, vec![], pull.clone()),
            None => refuse(404, "Not Found"),
        },
        ("GET", ["repos", _, _, "pulls"]) => page(&state.pulls.values().cloned().collect::<Vec<_>>(), request),
        ("GET", ["repos", _, _, "collaborators", _, "permission"]) if state.permissions_hidden => {
            refuse(403, "Resource not accessible by integration")
        }
        ("GET", ["repos", _, _, "collaborators", login, "permission"]) => {
            let permission = state.permissions.get(*login).map_or("read", String::as_str);
            (200, vec![], json!({ "permission": permission, "user": { "login": login } }))
        }
        ("GET", ["repos", _, _, "actions", "runs", id]) => match id.parse().is_ok_and(|id| state.runs.contains(&id)) {
            true => (200, vec![], json!({ "id": id.parse::<u64>().unwrap() })),
            false => refuse(404, "Not Found"),
        },
        ("GET", ["repos", _, _, "compare", range]) => match state.merge_bases.get(*range) {
            Some(sha) => (200, vec![], json!({ "merge_base_commit": { "sha": sha } })),
            None => refuse(404, "Not Found"),
        },
        ("GET", ["repos", _, _, "commits", sha, "check-runs"]) => {
            let found: Vec<_> = state.check_runs.iter().filter(|check| check["head_sha"] == *sha).collect();
            (200, vec![], json!({ "total_count": found.len(), "check_runs": found }))
        }
        ("POST", ["repos", _, _, "check-runs"]) => {
            let mut check = request.body.clone();
            check["id"] = json!(state.check_runs.len() + 1);
            state.check_runs.push(check.clone());
            (201, vec![], check)
        }
        ("PATCH", ["repos", _, _, "check-runs", id]) => {
            let id: usize = id.parse().unwrap();
            for (key, value) in request.body.as_object().unwrap() {
                state.check_runs[id - 1][key] = value.clone();
            }
            (200, vec![], state.check_runs[id - 1].clone())
        }
        _ => refuse(404, "Not Found"),
    }
}

fn refuse(status: u16, message: &str) -> Answer {
    (status, vec![], json!({ "message": message }))
}

fn page(items: &[Value], request: &Request) -> Answer {
    let number = |name: &str, default: usize| request.query.get(name).map_or(default, |value| value.parse().unwrap());
    let (size, page) = (number("per_page", 30).min(100), number("page", 1));
    let start = (size * (page - 1)).min(items.len());
    let end = (start + size).min(items.len());
    let links = if end < items.len() {
        vec![format!("link: <https://api.github.test{}?page={}>; rel=\"next\"", request.path, page + 1)]
    } else {
        vec![]
    };
    (200, links, json!(items[start..end]))
}

fn check_length(state: &State, body: &str) -> Option<Answer> {
    (body.chars().count() > state.longest_comment).then(|| {
        let errors = json!([{
            "resource": "IssueComment", "code": "unprocessable", "field": "data",
            "message": format!("Body is too long (maximum is {} characters)", state.longest_comment),
        }]);
        (422, vec![], json!({ "message": "Validation Failed", "errors": errors }))
    })
}

fn create_comment(state: &mut State, login: &str, request: &Request) -> Answer {
    if let Some(before) = state.before_create.take() {
        before(state);
    }
    let body = request.body["body"].as_str().unwrap();
    if let Some(refusal) = check_length(state, body) {
        return refusal;
    }
    let id = state.add_comment(login, "NONE", body);
    (201, vec![], state.comments.iter().find(|comment| comment["id"] == id).unwrap().clone())
}

fn change_comment(state: &mut State, login: &str, id: u64, request: &Request) -> Answer {
    let Some(index) = state.comments.iter().position(|comment| comment["id"] == id) else {
        return refuse(404, "Not Found");
    };
    if state.own_only && state.comments[index]["user"]["login"] != login {
        return refuse(403, "Resource not accessible by integration");
    }
    if request.method == "DELETE" {
        state.comments.remove(index);
        return (204, vec![], Value::Null);
    }
    // GitHub wants PATCH here; POST is not known.
    if request.method != "PATCH" {
        return refuse(404, "Not Found");
    }
    let body = request.body["body"].as_str().unwrap();
    if let Some(refusal) = check_length(state, body) {
        return refusal;
    }
    state.comments[index]["body"] = json!(body);
    (200, vec![], state.comments[index].clone())
}
