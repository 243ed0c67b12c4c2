//! `doctor`, where a suite's models run on servers: what these need, and nothing that they don't.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::Place;

fn suite_on(device: &str, server: &str) -> Place {
    Place::with_config(&format!(
        "[suites.served]\ndevice = \"{device}\"\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\ncontext-lengths = [1]\n\
         engine = \"server\"\nserver = {{ {server} }}\n"
    ))
}

/// Nobody listens there.
const AWAY: &str = "url = \"http://127.0.0.1:9/v1\"";

/// Refuses whoever comes without a key; its address, and what it was sent.
fn server() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    let sent = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&sent);
    std::thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            let mut bytes = [0; 4096];
            let read = connection.read(&mut bytes).unwrap_or(0);
            heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            let _ =
                connection.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (address, sent)
}

#[test]
fn a_server_that_does_not_answer_is_missing() {
    let found = suite_on("cpu", AWAY).findings(&[], &[]);
    found.has("missing", "server: the server 127.0.0.1:9 can't be asked: ");
}

#[test]
fn a_server_that_answers_is_not_shown_the_key() {
    let (address, sent) = server();
    let place = suite_on("cpu", &format!("url = \"{address}\", api-key-env = \"ENGINE_KEY\""));
    let found = place.findings(&[], &[("ENGINE_KEY", "hush-hush")]);
    found.has("ok", &format!("server: somebody answers at {address}"));
    assert!(!found.of("missing").iter().any(|said| said.starts_with("server: ")), "{:#}", found.0);
    let sent = sent.lock().unwrap();
    assert!(sent.starts_with("GET /v1/models ") && !sent.contains("hush-hush"), "{sent}");
    let found = place.findings(&[], &[]);
    found.has("missing", "server: the variable ENGINE_KEY, which holds the server's key, isn't set");
}

#[test]
fn a_program_that_starts_the_server_is_looked_for() {
    let place = suite_on("cpu", &format!("{AWAY}, start = [\"sh\", \"-c\", \"true\"]"));
    let found = place.findings(&[], &[]);
    found.has("ok", "server: the program sh is there, which each run starts");
    let place = suite_on("cpu", &format!("{AWAY}, start = [\"no-such-server\"]"));
    let found = place.findings(&[], &[]);
    found.has("missing", "plan: Qwen2.5-0.5B");
    assert!(!found.0.to_string().contains("can't be asked"), "{:#}", found.0);
}

/// The server's devices are its own, and so are its model files. No build of bench-diff makes another base of it.
#[test]
fn a_server_takes_no_gpu_no_weights_and_no_build() {
    let found = suite_on("cuda", AWAY).findings(&[], &[]);
    found.has("ok", "machine: the suite's models run on servers");
    found.has("ok", "plan: every case is tried, as its engine can't tell what it needs, nor how long that takes");
    found.has("missing", "measured: the server at http://127.0.0.1:9/v1: nothing of this repository is in it");
    let said = found.0.to_string();
    assert!(!said.contains("model: ") && !said.contains("GPU, and none is visible"), "{:#}", found.0);
    let of_base = found.0["checks"].as_array().unwrap().iter().filter(|check| check["about"] == "compared with");
    for hint in of_base.map(|check| check["hint"].as_str().unwrap()) {
        assert!(hint.contains("commit a baseline") && !hint.contains("candle"), "{hint}");
    }
}
