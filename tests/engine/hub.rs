//! Weights from the hub, served by a small server that speaks its protocol.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::fixture;

const MODEL: &str = "tests/tiny";
const PRIVATE: &str = "tests/private";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "hf_a_secret_that_nobody_may_see";

/// Serves tests/fixtures/qwen2/untied as the model [`MODEL`], and as [`PRIVATE`] to those with [`TOKEN`].
struct Hub {
    endpoint: String,
    /// `METHOD /path` of each request.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        // Lives as long as the tests: each connection is answered once and closed.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || answer(stream, &seen));
            }
        });
        Self { endpoint, requests }
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

fn answer(mut stream: TcpStream, seen: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    seen.lock().unwrap().push(format!("{method} {path}"));
    let authorized = headers.iter().any(|header| {
        header.split_once(": ").is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("authorization") && value == format!("Bearer {TOKEN}")
        })
    });
    let (status, headers, body) = respond(path, authorized);
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // A client may hang up early.
    let _ = stream.write_all(head.as_bytes());
    if method == "GET" {
        let _ = stream.write_all(&body);
    }
}

/// Status, extra headers and body for `/OWNER/NAME/resolve/REVISION/FILE`.
fn respond(path: &str, authorized: bool) -> (&'static str, String, Vec<u8>) {
    let refuse = |status, code: &str| (status, format!("X-Error-Code: {code}\r\n"), Vec::new());
    let Some((model, rest)) = path[1..].split_once("/resolve/") else { return refuse("404 Not Found", "RepoNotFound") };
    let Some((revision, file)) = rest.split_once('/') else { return refuse("404 Not Found", "EntryNotFound") };
    match model {
        MODEL => {}
        PRIVATE if authorized => {}
        // As the hub does it: what may not be seen looks like what isn't there.
        _ => return refuse("401 Unauthorized", "RepoNotFound"),
    }
    if revision != "main" && revision != COMMIT {
        return refuse("404 Not Found", "RevisionNotFound");
    }
    match std::fs::read(fixture("untied").join(file)) {
        Ok(body) => {
            let etag = format!("{file}-{}", body.len());
            ("200 OK", format!("ETag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\n"), body)
        }
        Err(_) => ("404 Not Found", format!("X-Error-Code: EntryNotFound\r\nX-Repo-Commit: {COMMIT}\r\n"), Vec::new()),
    }
}

/// `bench-diff generate MODEL` with its own environment: exit code, standard output, standard error.
fn generate(hub: &Hub, home: &Path, model: &str, args: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-diff"))
        .args(["generate", model, "--prompt-ids", "7", "--tokens", "2", "--dtype", "f32", "--device", "cpu"])
        .args(["--format", "json"])
        .args(args)
        .env_clear()
        .envs(std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)))
        .env("HOME", home)
        .env("HF_HOME", home)
        .env("HF_ENDPOINT", &hub.endpoint)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!out.contains(TOKEN) && !err.contains(TOKEN), "the token is shown");
    (output.status.code().unwrap(), out, err)
}

fn error(result: (i32, String, String)) -> String {
    assert_eq!((result.0, result.1.as_str()), (2, ""), "{}", result.2);
    result.2
}

#[test]
fn a_model_is_downloaded_once_pinned_and_usable_offline() {
    let (hub, home) = (Hub::start(), tempfile::tempdir().unwrap());
    let (exit, online, err) = generate(&hub, home.path(), MODEL, &[], &[]);
    assert_eq!((exit, err.as_str()), (0, ""));
    let json: serde_json::Value = serde_json::from_str(&online).unwrap();
    assert_eq!((&json["revision"], &json["weights"]), (&COMMIT.into(), &"hub".into()));
    // The branch is asked for once; everything else comes from its commit.
    let asked = hub.requests();
    assert_eq!(asked[0], format!("HEAD /{MODEL}/resolve/main/config.json"));
    assert!(asked.contains(&format!("GET /{MODEL}/resolve/{COMMIT}/model.safetensors")), "{asked:?}");
    assert!(!asked[1..].iter().any(|request| request.contains("/main/")), "{asked:?}");
    // The layout of Python's cache.
    let cache = home.path().join("hub/models--tests--tiny");
    assert_eq!(std::fs::read_to_string(cache.join("refs/main")).unwrap(), COMMIT);
    assert!(cache.join("snapshots").join(COMMIT).join("model.safetensors").is_file());

    // Again: nothing is downloaded.
    let (exit, again, _) = generate(&hub, home.path(), MODEL, &[], &[]);
    assert_eq!((exit, &again), (0, &online));
    assert!(!hub.requests().iter().any(|request| request.starts_with("GET")));

    // Offline: the hub isn't asked at all.
    let offline = generate(&hub, home.path(), MODEL, &[], &[("HF_HUB_OFFLINE", "1")]);
    assert_eq!((offline.0, &offline.1), (0, &online));
    assert_eq!(hub.requests(), Vec::<String>::new());
}

#[test]
fn what_is_wholly_in_the_cache_needs_no_hub() {
    let (hub, home) = (Hub::start(), tempfile::tempdir().unwrap());
    let (exit, online, _) = generate(&hub, home.path(), MODEL, &[], &[]);
    assert_eq!(exit, 0);
    // Nobody listens there.
    let away = Hub { endpoint: "http://127.0.0.1:1".to_owned(), requests: Arc::default() };
    let (exit, cached, err) = generate(&away, home.path(), MODEL, &[], &[]);
    assert_eq!((exit, cached), (0, online), "{err}");
    let elsewhere = tempfile::tempdir().unwrap();
    let said = error(generate(&away, elsewhere.path(), MODEL, &[], &[]));
    assert!(said.contains("can't be reached") && said.contains("HF_HUB_OFFLINE=1"), "{said}");
}

#[test]
fn a_token_opens_a_private_model() {
    let (hub, home) = (Hub::start(), tempfile::tempdir().unwrap());
    let refused = error(generate(&hub, home.path(), PRIVATE, &[], &[]));
    let (exit, _, _) = generate(&hub, home.path(), PRIVATE, &[], &[("HF_TOKEN", TOKEN)]);
    assert_eq!(exit, 0);
    let wrong = error(generate(&hub, tempfile::tempdir().unwrap().path(), PRIVATE, &[], &[("HF_TOKEN", "hf_wrong")]));
    insta::assert_snapshot!(format!("{refused}{wrong}"));
}

#[test]
fn what_the_hub_has_not_is_said() {
    let (hub, home) = (Hub::start(), tempfile::tempdir().unwrap());
    let get = |model, args: &[&str], environment: &[(&str, &str)]| {
        error(generate(&hub, home.path(), model, args, environment))
    };
    let said = [
        get(MODEL, &["--revision", "no-such-branch"], &[]),
        get("tests/absent", &[], &[]),
        get(MODEL, &[], &[("HF_HUB_OFFLINE", "TRUE")]),
        get("tests/../tiny", &[], &[]),
    ];
    insta::assert_snapshot!(said.concat());
}
