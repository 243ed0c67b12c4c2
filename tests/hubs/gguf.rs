//! GGUF repositories, which hold a model in several quantizations: the one that is named after the id.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::server::{Request, Response, Server};
use crate::{Ended, Machine, below, sha256};

const MODEL: &str = "tests/tiny-GGUF";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const CACHE: &str = ".cache/huggingface/hub/models--tests--tiny-GGUF";

/// A whole file, and a split one.
fn files() -> BTreeMap<String, Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantized/gguf");
    let read = |name: &str| std::fs::read(fixtures.join(name)).unwrap();
    let parts = (1..=3).map(|part| format!("-0000{part}-of-00003.gguf"));
    let mut files: BTreeMap<_, _> =
        parts.map(|part| (format!("tiny-q8_0{part}"), read(&format!("parts-q8_0{part}")))).collect();
    files.insert("tiny-Q4_0.gguf".to_owned(), read("small-q4_0.gguf"));
    files.insert("README.md".to_owned(), b"nobody needs this".to_vec());
    files
}

fn answer(request: &Request) -> Response {
    if request.path.starts_with("/api/models/") {
        let entry = |(path, bytes): (String, Vec<u8>)| {
            let (size, sha256) = (bytes.len(), sha256(&bytes));
            json!({ "rfilename": path, "size": size, "blobId": "1", "lfs": { "sha256": sha256, "size": size } })
        };
        let siblings: Vec<_> = files().into_iter().map(entry).collect();
        return Response::ok(json!({ "id": MODEL, "sha": COMMIT, "siblings": siblings }).to_string());
    }
    let name = request.path.rsplit('/').next().unwrap();
    match files().remove(name) {
        Some(bytes) => Response::part(&bytes, request.from()).with("X-Repo-Commit", COMMIT),
        None => Response::new("404 Not Found", "").with("X-Error-Code", "EntryNotFound"),
    }
}

fn generate(machine: &Machine, model: &str) -> Ended {
    machine.run(&[
        "generate",
        model,
        "--prompt-ids",
        "7",
        "--tokens",
        "2",
        "--dtype",
        "f32",
        "--device",
        "cpu",
        "--format",
        "json",
    ])
}

#[test]
fn one_quantization_is_downloaded_with_all_its_parts() {
    let server = Server::start(|request, _| answer(request));
    let machine = Machine::new(&[("HF_ENDPOINT", &server.endpoint)]);
    let online = generate(&machine, "tests/tiny-GGUF:Q8_0").fine();
    let snapshot = machine.path(CACHE).join("snapshots").join(COMMIT);
    let names = || below(&snapshot).into_keys().collect::<Vec<_>>();
    let parts = (1..=3).map(|part| format!("tiny-q8_0-0000{part}-of-00003.gguf"));
    assert_eq!(names(), parts.collect::<Vec<_>>());

    // Now it needs no hub, and another quantization does.
    let away = Machine { variables: vec![("HF_HUB_OFFLINE", "1".to_owned())], ..machine };
    assert_eq!(generate(&away, "tests/tiny-GGUF:Q8_0").fine(), online);
    let said = [generate(&away, "tests/tiny-GGUF:q4_0").error(), {
        std::fs::remove_file(snapshot.join("tiny-q8_0-00002-of-00003.gguf")).unwrap();
        generate(&away, "tests/tiny-GGUF:q8_0").error()
    }];
    insta::assert_snapshot!(said.concat());
}

#[test]
fn pull_brings_the_named_quantization() {
    let server = Server::start(|request, _| answer(request));
    let machine = Machine::new(&[("HF_ENDPOINT", &server.endpoint)]);
    let pull = |model: &str| machine.run(&["models", "pull", model]);
    pull("tests/tiny-GGUF:q4_0").fine();
    let snapshot = machine.path(CACHE).join("snapshots").join(COMMIT);
    assert_eq!(below(&snapshot).into_keys().collect::<Vec<_>>(), ["tiny-Q4_0.gguf"]);
    insta::assert_snapshot!([pull("tests/tiny-GGUF:q6_k").error(), pull("tests/tiny-GGUF").error()].concat());
}

/// Of a published model it is known without asking that it has several.
#[test]
fn a_published_model_without_a_quantization_is_refused_before_the_hub_is_asked() {
    let server = Server::start(|request, _| answer(request));
    let machine = Machine::new(&[("HF_ENDPOINT", &server.endpoint)]);
    let error = machine.run(&["models", "pull", "Qwen2.5-0.5B-Instruct-GGUF"]).error();
    assert!(error.contains("name it, as in Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_k_m"), "{error}");
    assert!(server.requests().is_empty());
}

/// What goes by a published model's name has its shape.
#[test]
fn another_model_under_a_published_name_is_refused() {
    let server = Server::start(|request, _| answer(request));
    let machine = Machine::new(&[("HF_ENDPOINT", &server.endpoint)]);
    insta::assert_snapshot!(generate(&machine, "Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_0").error());
}

/// Other programs may read it: it is brought all the same.
#[test]
fn pull_warns_of_what_the_engine_cant_run() {
    let answer = |request: &Request| {
        if request.path.starts_with("/api/models/") {
            let names = ["config.json", "model.safetensors", "tiny-IQ4_XS.gguf"];
            let siblings = names.map(|name| json!({ "rfilename": name, "size": 31, "blobId": "1" }));
            return Response::ok(json!({ "id": MODEL, "sha": COMMIT, "siblings": siblings }).to_string());
        }
        Response::part(b"{\"model_type\": \"llama\"        }", request.from()).with("X-Repo-Commit", COMMIT)
    };
    let server = Server::start(move |request, _| answer(request));
    let pull = |model: &str| {
        let ended = Machine::new(&[("HF_ENDPOINT", &server.endpoint)]).run(&["models", "pull", model]);
        assert_eq!(ended.exit, 0, "{}", ended.err);
        ended.err.lines().filter(|line| line.starts_with("warning: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let iq = "`tests/tiny-GGUF:iq4_xs`: iq4_xs isn't read: name another quantization, such as q4_k_m or q8_0";
    assert_eq!(pull("tests/tiny-GGUF:IQ4_XS"), [format!("warning: bench-diff can't run it: {iq}")]);
    let llama = pull(MODEL);
    assert!(llama.len() == 1 && llama[0].contains("model_type is `llama`; only `qwen2`"), "{llama:?}");
}
