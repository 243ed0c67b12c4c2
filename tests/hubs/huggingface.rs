//! The Hugging Face Hub: its list, its downloads by commit, its cache.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::server::{Request, Response, Server};
use crate::{MODEL, Machine, TOKEN, below, files, sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const CACHE: &str = ".cache/huggingface/hub/models--Qwen--Qwen2.5-0.5B-Instruct";

/// As the hub answers when nothing is wrong; large files lie in a store of others.
fn usual(request: &Request, store: Option<&str>) -> Response {
    if request.path.starts_with(&format!("/api/models/{MODEL}/revision/main")) {
        return Response::ok(list().to_string());
    }
    let Some(rest) = request.path.strip_prefix(&format!("/{MODEL}/resolve/")) else {
        return Response::new("404 Not Found", "").with("X-Error-Code", "RepoNotFound");
    };
    let (revision, file) = rest.split_once('/').unwrap();
    let Some(bytes) = files().remove(file).filter(|_| ["main", COMMIT].contains(&revision)) else {
        return Response::new("404 Not Found", "").with("X-Error-Code", "EntryNotFound");
    };
    let size = bytes.len().to_string();
    let response = match store.filter(|_| file.ends_with("safetensors")) {
        Some(store) => Response::new("302 Found", "").with("Location", format!("{store}/{file}?signature=1")),
        None => Response::part(&bytes, request.from()),
    };
    let tag = if file.ends_with("safetensors") { sha256(&bytes) } else { format!("{file}-1") };
    response.with("X-Repo-Commit", COMMIT).with("X-Linked-Size", size).with("X-Linked-Etag", format!("\"{tag}\""))
}

fn list() -> Value {
    let entry = |(path, bytes): (&str, Vec<u8>)| {
        let (size, sha256) = (bytes.len(), sha256(&bytes));
        match path.ends_with("safetensors") {
            true => {
                json!({ "rfilename": path, "size": size, "blobId": "1", "lfs": { "sha256": sha256, "size": size } })
            }
            false => json!({ "rfilename": path, "size": size, "blobId": format!("{path}-1") }),
        }
    };
    json!({ "id": MODEL, "sha": COMMIT, "siblings": files().into_iter().map(entry).collect::<Vec<_>>() })
}

fn machine(server: &Server) -> Machine {
    Machine::new(&[("HF_ENDPOINT", &server.endpoint)])
}

fn snapshot(machine: &Machine) -> PathBuf {
    machine.path(CACHE).join("snapshots").join(COMMIT)
}

/// Is this where the weights are asked for?
fn is_of_weights(request: &Request) -> bool {
    request.method == "GET" && request.path.ends_with("model.safetensors")
}

#[test]
fn a_model_is_pulled_once_by_its_commit() {
    let store = Arc::new(Server::start(|request, _| Response::part(&files()["model.safetensors"], request.from())));
    let place = store.endpoint.clone();
    let server = Server::start(move |request, _| usual(request, Some(&place)));
    let machine = machine(&server).with("HF_TOKEN", TOKEN);
    assert_eq!(machine.pull(&[]).fine(), format!("{MODEL} is in HOME/{CACHE}/snapshots/{COMMIT}\n"));
    let asked = server.requests();
    assert!(asked.iter().all(|request| request.is_authorized(TOKEN)));
    assert!(asked.iter().skip(1).all(|request| request.path.contains(COMMIT)), "{asked:?}");
    assert!(store.requests().iter().all(|request| !request.shows(TOKEN)));

    let sizes = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), files()[name].len() as u64)).collect();
    assert_eq!(below(&snapshot(&machine)), sizes(&["config.json", "model.safetensors", "tokenizer.json"]));
    // The layout of Python's cache: links to blobs, named by their tags.
    let link = std::fs::read_link(snapshot(&machine).join("model.safetensors")).unwrap();
    assert_eq!(link.to_str().unwrap(), format!("../../blobs/{}", sha256(&files()["model.safetensors"])));
    assert_eq!(std::fs::read_to_string(machine.path(CACHE).join("refs/main")).unwrap(), COMMIT);

    machine.pull(&[]).fine();
    assert!(server.requests().iter().all(|request| request.path.starts_with("/api/")));
    assert_eq!(store.requests(), []);
    let online = machine.generate(&[]).fine();
    let offline = machine.with("HF_HUB_OFFLINE", "1");
    assert_eq!(offline.generate(&[]).fine(), online);
    // The other hub's name finds it as well, with a commit that only this hub has.
    assert_eq!(offline.generate(&["--hub", "modelscope"]).fine(), online);
}

/// A mirror that serves files alone.
#[test]
fn a_hub_without_a_list_will_do() {
    let server = Server::start(|request, _| match request.path.starts_with("/api/") {
        true => Response::new("404 Not Found", ""),
        false => usual(request, None),
    });
    let machine = machine(&server);
    machine.pull(&[]).fine();
    let found: Vec<String> = below(&snapshot(&machine)).into_keys().collect();
    assert_eq!(found, ["config.json", "model.safetensors"]);
}

#[test]
fn a_cut_download_goes_on_and_a_wrong_one_begins_anew() {
    let server = Server::start(|request, before| {
        let response = usual(request, None);
        if is_of_weights(request) && before == 0 { response.cut(1000) } else { response }
    });
    let machine = machine(&server);
    machine.pull(&[]).fine();
    let starts: Vec<usize> =
        server.requests().iter().filter(|request| is_of_weights(request)).map(Request::from).collect();
    assert_eq!(starts, [0, 1000]);
    assert!(!below(&machine.path(CACHE)).keys().any(|name| name.ends_with("incomplete")));

    let damaged = Server::start(|request, _| {
        let mut response = usual(request, None);
        if is_of_weights(request) {
            response.body[1000] ^= 1;
        }
        response
    });
    let machine = self::machine(&damaged);
    let said = machine.pull(&[]).error();
    assert!(said.contains("SHA-256"), "{said}");
    assert_eq!(damaged.requests().iter().filter(|request| is_of_weights(request)).count(), 2);
    assert!(
        !below(&machine.path(CACHE)).keys().any(|name| name.contains("safetensors") || name.ends_with("incomplete"))
    );
}

#[test]
fn refusals_say_what_to_do() {
    let refuse = |status: &'static str, code: &'static str| {
        let server = Server::start(move |_, _| Response::new(status, "").with("X-Error-Code", code));
        let said = machine(&server).pull(&[]).error();
        said.replace(&server.endpoint, "https://hub.example")
    };
    let said = [
        refuse("401 Unauthorized", "RepoNotFound"),
        refuse("401 Unauthorized", "GatedRepo"),
        refuse("403 Forbidden", "GatedRepo"),
        refuse("404 Not Found", "RevisionNotFound"),
    ];
    let busy = Server::start(|_, _| Response::new("429 Too Many Requests", "").with("Retry-After", "7200"));
    insta::assert_snapshot!(said.concat() + &machine(&busy).pull(&[]).error());
}

/// Names come from the list, from the index and from headers.
#[test]
fn names_that_lead_elsewhere_are_refused() {
    let named = |path: &str| json!({ "sha": COMMIT, "siblings": [{ "rfilename": path, "size": 1, "blobId": "a" }] });
    let listed = |list: Value| {
        let server = Server::start(move |_, _| Response::ok(list.to_string()));
        machine(&server).pull(&[]).error()
    };
    let described = |header: &'static str, value: &'static str| {
        let server = Server::start(move |request, _| {
            let mut response = usual(request, None);
            response.headers.retain(|(name, _)| name != header);
            response.with(header, value)
        });
        let machine = machine(&server);
        let ended = machine.generate(&[]);
        assert!(!machine.path("x").exists() && !machine.path(".cache/x").exists());
        ended.error()
    };
    let index = Server::start(|request, _| match request.path.ends_with("index.json") {
        true => Response::ok(r#"{"weight_map": {"a": "../../../../x"}}"#)
            .with("ETag", "\"i\"")
            .with("X-Repo-Commit", COMMIT),
        false => usual(request, None),
    });
    let said = [
        listed(named("../../../x")),
        listed(named("/tmp/x")),
        described("X-Repo-Commit", "../../../../x"),
        described("X-Linked-Etag", "../../../../x"),
        machine(&index).generate(&[]).error(),
    ];
    insta::assert_snapshot!(said.concat());
}
