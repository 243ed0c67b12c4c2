//! ModelScope: its list, its downloads, its cache.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::server::{Request, Response, Server};
use crate::{AWAY, MODEL, Machine, TOKEN, below, files, sha256};

const SNAPSHOT: &str = "cache/models/Qwen--Qwen2.5-0.5B-Instruct/snapshots/master";

/// How the real hub lists the files.
fn list() -> Value {
    let entry = |(path, bytes): (&str, Vec<u8>)| json!({ "Path": path, "Name": path, "Type": "blob", "Size": bytes.len(), "Sha256": sha256(&bytes) });
    let mut entries: Vec<Value> = files().into_iter().map(entry).collect();
    entries.push(json!({ "Path": "figures", "Name": "figures", "Type": "tree", "Size": 0, "Sha256": "" }));
    listed(entries)
}

fn listed(files: Vec<Value>) -> Value {
    json!({ "Code": 200, "Success": true, "Message": "success", "Data": { "Files": files } })
}

/// As the hub answers when nothing is wrong.
fn usual(request: &Request) -> Response {
    let Some(rest) = request.path.strip_prefix(&format!("/api/v1/models/{MODEL}/repo")) else {
        let said = json!({ "Code": 10010205001u64, "Success": false, "Message": "record not found" });
        return Response::new("404 Not Found", said.to_string());
    };
    if rest.starts_with("/files?Revision=master&Recursive=true") {
        return Response::ok(list().to_string());
    }
    let file = rest.strip_prefix("?Revision=master&FilePath=").unwrap();
    match files().get(file) {
        Some(bytes) => Response::part(bytes, request.from()),
        None => Response::new("404 Not Found", ""),
    }
}

/// With something else for the weights.
fn weights(answer: impl Fn(&Request, usize) -> Response + Send + Sync + 'static) -> Server {
    Server::start(move |request, before| match request.path.ends_with("model.safetensors") {
        true => answer(request, before),
        false => usual(request),
    })
}

fn machine(server: &Server) -> Machine {
    let machine = Machine::new(&[("MODELSCOPE_ENDPOINT", &server.endpoint)]);
    let cache = machine.path("cache").display().to_string();
    machine.with("MODELSCOPE_CACHE", &cache)
}

fn pull(machine: &Machine) -> crate::Ended {
    machine.pull(&["--hub", "modelscope"])
}

#[test]
fn a_model_is_pulled_once_and_loaded_without_a_network() {
    let server = Server::start(|request, _| usual(request));
    let machine = machine(&server).with("MODELSCOPE_API_TOKEN", TOKEN);
    assert_eq!(pull(&machine).fine(), format!("{MODEL} is in HOME/{SNAPSHOT}\n"));
    let asked = server.requests();
    assert!(asked.iter().all(|request| request.is_authorized(TOKEN)));
    assert!(asked.iter().all(|request| request.header("cookie") == Some(&format!("m_session_id={TOKEN}"))));
    let sizes = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), files()[name].len() as u64)).collect();
    assert_eq!(below(&machine.path(SNAPSHOT)), sizes(&["config.json", "model.safetensors", "tokenizer.json"]));

    // Again: only the list.
    pull(&machine).fine();
    assert!(server.requests().iter().all(|request| request.path.contains("/repo/files?")));
    // Loading asks whether something is newer, and needs nobody.
    let online = machine.generate(&["--hub", "modelscope"]).fine();
    assert_eq!(server.requests().len(), 1);
    let offline = machine.with("HF_HUB_OFFLINE", "1").with("MODELSCOPE_ENDPOINT", AWAY);
    assert_eq!(offline.generate(&["--hub", "modelscope"]).fine(), online);
    // The other hub's name finds it as well.
    assert_eq!(offline.generate(&[]).fine(), online);
    assert_eq!(server.requests(), []);
}

#[test]
fn loading_downloads_what_the_engine_reads() {
    let server = Server::start(|request, _| usual(request));
    let machine = machine(&server);
    machine.generate(&["--hub", "modelscope"]).fine();
    let found: Vec<String> = below(&machine.path(SNAPSHOT)).into_keys().collect();
    assert_eq!(found, ["config.json", "model.safetensors"]);
}

/// The directory of a program before 1.38.
#[test]
fn an_older_cache_is_found_and_gone_on_with() {
    let server = Server::start(|request, _| usual(request));
    let machine = machine(&server);
    let older = "cache/models/Qwen/Qwen2___5-0___5B-Instruct";
    std::fs::create_dir_all(machine.path(older)).unwrap();
    std::fs::write(machine.path(older).join("config.json"), &files()["config.json"]).unwrap();
    assert_eq!(pull(&machine).fine(), format!("{MODEL} is in HOME/{older}\n"));
    assert_eq!(server.asked_for("FilePath=config.json"), []);
    assert!(!machine.path(SNAPSHOT).exists());
}

#[test]
fn a_cut_connection_goes_on_where_it_was_cut() {
    let server = weights(|request, before| {
        let response = usual(request);
        if before < 3 { response.cut(60_000) } else { response }
    });
    let machine = machine(&server);
    let ended = pull(&machine);
    assert_eq!(ended.err.matches("trying again in").count(), 3, "{}", ended.err);
    ended.fine();
    let starts: Vec<usize> = server.asked_for("model.safetensors").iter().map(Request::from).collect();
    assert_eq!(starts, [0, 60_000, 120_000, 180_000]);
    assert_eq!(std::fs::read(machine.path(SNAPSHOT).join("model.safetensors")).unwrap(), files()["model.safetensors"]);
}

#[test]
fn what_another_process_left_is_gone_on_with() {
    let server = Server::start(|request, _| usual(request));
    let machine = machine(&server);
    std::fs::create_dir_all(machine.path(SNAPSHOT)).unwrap();
    let partial = machine.path(SNAPSHOT).join("model.safetensors.incomplete");
    std::fs::write(&partial, &files()["model.safetensors"][..1000]).unwrap();
    pull(&machine).fine();
    assert_eq!(server.asked_for("model.safetensors")[0].from(), 1000);
    assert!(!partial.exists());

    // What it left is of another file: it is downloaded anew.
    std::fs::remove_file(machine.path(SNAPSHOT).join("model.safetensors")).unwrap();
    std::fs::write(&partial, [0; 1000]).unwrap();
    let ended = pull(&machine);
    assert!(ended.err.contains("SHA-256"), "{}", ended.err);
    ended.fine();
    let starts: Vec<usize> = server.asked_for("model.safetensors").iter().map(Request::from).collect();
    assert_eq!(starts, [1000, 0]);
}

/// A server that knows no ranges answers with everything.
#[test]
fn a_server_without_ranges_begins_anew() {
    let server = weights(|_, before| {
        let response = Response::ok(files()["model.safetensors"].clone());
        if before == 0 { response.cut(1000) } else { response }
    });
    pull(&machine(&server)).fine();
    assert_eq!(server.asked_for("model.safetensors")[1].from(), 1000);
}

#[test]
fn wrong_bytes_are_downloaded_once_more_and_then_an_error() {
    let damaged = || {
        let mut bytes = files()["model.safetensors"].clone();
        bytes[1000] ^= 1;
        Response::ok(bytes)
    };
    let server = weights(move |request, before| if before == 0 { damaged() } else { usual(request) });
    pull(&machine(&server)).fine();
    let always = weights(move |_, _| damaged());
    let longer = weights(|_, _| Response::ok([&files()["model.safetensors"][..], b"more"].concat()));
    let shorter = weights(|_, _| Response::ok("too little"));
    let said = [always, longer, shorter].map(|server| {
        let machine = machine(&server);
        let said = pull(&machine).error();
        assert_eq!(server.asked_for("model.safetensors").len(), 2);
        let left: Vec<String> = below(&machine.path(SNAPSHOT)).into_keys().collect();
        assert_eq!(left, ["config.json"]);
        said
    });
    insta::assert_snapshot!(said.concat());
}

#[test]
fn refusals_say_what_to_do() {
    let refuse = |status: &'static str, words: &'static str| {
        let server = Server::start(move |_, _| Response::new(status, words));
        pull(&machine(&server)).error().replace(&server.endpoint, "https://hub.example")
    };
    let missing = Server::start(|request, _| usual(request));
    let missing = machine(&missing).run(&["models", "pull", "Qwen/Qwen2.5-0.6B-Instruct", "--hub", "modelscope"]);
    // Some of its refusals come as an answer.
    let inside = r#"{"Code": 10010205001, "Success": false, "Message": "the model doesn't exist"}"#;
    let said = [
        refuse("401 Unauthorized", ""),
        refuse("403 Forbidden", r#"{"Message": "not yours"}"#),
        missing.error(),
        refuse("200 OK", inside),
        refuse("200 OK", "<html>Sign in</html>"),
        refuse("418 I'm a teapot", r#"{"Message": "no coffee"}"#),
        Machine::new(&[("MODELSCOPE_DOMAIN", "ftp://hub"), ("MODELSCOPE_ENDPOINT", "")])
            .pull(&["--hub", "modelscope"])
            .error(),
        Machine::new(&[("HF_HUB_OFFLINE", "1")]).pull(&["--hub", "modelscope"]).error(),
        Machine::new(&[]).run(&["models", "pull", "qwen2.5-0.6b"]).error(),
    ];
    insta::assert_snapshot!(said.concat());
}

#[test]
fn a_busy_hub_is_waited_for_within_bounds() {
    let limited = |after: &'static str| {
        weights(move |request, before| match before {
            0 => Response::new("429 Too Many Requests", "").with("Retry-After", after),
            _ => usual(request),
        })
    };
    let ended = pull(&machine(&limited("1")));
    assert!(ended.err.contains("model.safetensors: too many requests; trying again in 1 s"), "{}", ended.err);
    ended.fine();
    let tired = weights(|request, before| match before {
        0 | 1 => Response::new("503 Service Unavailable", "<html>"),
        _ => usual(request),
    });
    pull(&machine(&tired)).fine();
    let broken = weights(|_, _| Response::new("500 Internal Server Error", ""));
    let said = [pull(&machine(&limited("86400"))).error(), pull(&machine(&broken)).error()];
    assert_eq!(broken.asked_for("model.safetensors").len(), 5);
    insta::assert_snapshot!(said.concat());
}

#[test]
fn the_token_is_for_the_hub_alone() {
    let store = Arc::new(Server::start(|request, _| Response::part(&files()["model.safetensors"], request.from())));
    let elsewhere = format!("{}/signed?key=1", store.endpoint);
    let server = weights(move |_, _| Response::new("302 Found", "").with("Location", elsewhere.clone()));
    let machine = machine(&server).with("MODELSCOPE_API_TOKEN", TOKEN);
    pull(&machine).fine();
    assert!(server.requests().iter().all(|request| request.is_authorized(TOKEN)));
    let stored = store.requests();
    assert_eq!(stored.len(), 1);
    assert!(!stored[0].shows(TOKEN), "{stored:?}");
}

#[test]
fn names_that_lead_elsewhere_and_endless_lists_are_refused() {
    let refused = |entries: Vec<Value>| {
        let server = Server::start(move |_, _| Response::ok(listed(entries.clone()).to_string()));
        let machine = machine(&server);
        let said = pull(&machine).error();
        assert_eq!(server.requests().len(), 1);
        assert!(!machine.path("cache").exists() && !machine.path("x").exists());
        said
    };
    let named = |path: &str| vec![json!({ "Path": path, "Type": "blob", "Size": 1, "Sha256": "" })];
    let many = (0..20_000).map(|index| json!({ "Path": format!("{index}.json"), "Type": "blob", "Size": 1 })).collect();
    let said = [
        refused(named("../../x")),
        refused(named("/tmp/x")),
        refused(named("a\\..\\x")),
        refused(named("a\u{1b}[2J")),
        refused(many),
        refused(vec![json!({ "Path": "model.safetensors", "Type": "blob", "Size": -1 })]),
        refused(vec![json!({ "Path": "qwen-q4_k_m.gguf", "Size": 1 }), json!({ "Path": "qwen-q8_0.gguf", "Size": 1 })]),
    ];
    insta::assert_snapshot!(said.concat());
}

#[test]
fn room_is_looked_for_first() {
    let large = json!({ "Path": "model.safetensors", "Type": "blob", "Size": 1u64 << 49, "Sha256": "" });
    let server = Server::start(move |_, _| Response::ok(listed(vec![large.clone()]).to_string()));
    let machine = machine(&server);
    let said = pull(&machine).error();
    assert!(said.contains(&format!("{MODEL} needs 524288 GiB more, but HOME/cache has room for ")), "{said}");
    assert!(said.contains("hint: make room, or set HF_HUB_CACHE or MODELSCOPE_CACHE"), "{said}");
    assert_eq!(server.requests().len(), 1);
}

/// A file that may not grow stands for a disk that is full.
#[test]
fn what_fitted_is_kept_when_the_disk_is_full() {
    let server = Server::start(|request, _| usual(request));
    let machine = machine(&server);
    let script = format!(
        "trap '' XFSZ; ulimit -f 100; exec {} models pull {MODEL} --hub modelscope",
        env!("CARGO_BIN_EXE_bench-diff")
    );
    let full = machine.ended(machine.command("bash", &["-c", &script]).output().unwrap());
    let said = full.error();
    assert!(said.contains("model.safetensors") && said.contains("can't be written"), "{said}");
    assert!(said.contains("hint: what was downloaded is kept"), "{said}");
    server.requests();
    pull(&machine).fine();
    assert!(server.asked_for("model.safetensors")[0].from() > 0);
    // A cache that can't be written at all.
    std::fs::write(machine.path("file"), "").unwrap();
    let machine = machine.with("MODELSCOPE_CACHE", "file");
    insta::assert_snapshot!(pull(&machine).error());
}

#[test]
fn who_comes_second_waits_and_finds_it_there() {
    let server = Arc::new(weights(|request, before| {
        let response = usual(request);
        // The first is held up until the second one has come.
        if before == 0 { Response { stalls: true, ..response }.cut(1000) } else { response }
    }));
    let machine = machine(&server);
    let program = env!("CARGO_BIN_EXE_bench-diff");
    let args = ["models", "pull", MODEL, "--hub", "modelscope"];
    let start = || machine.command(program, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = start();
    let partial = machine.path(SNAPSHOT).join("model.safetensors.incomplete");
    wait(|| partial.metadata().is_ok_and(|found| found.len() == 1000));
    let mut second = start();
    let mut said = String::new();
    let mut lines = std::io::BufReader::new(second.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut lines, &mut said).unwrap();
    assert!(said.contains(&format!("is downloading {MODEL}: waiting for it")), "{said}");
    // The kernel frees the lock of a killed one; what it has is gone on with.
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(second.wait().unwrap().success());
    assert_eq!(server.asked_for("model.safetensors")[1].from(), 1000);
}

#[test]
fn ctrl_c_keeps_what_is_there() {
    let server = weights(|request, before| {
        let response = usual(request);
        if before == 0 { Response { stalls: true, ..response }.cut(1000) } else { response }
    });
    let machine = machine(&server);
    let args = ["models", "pull", MODEL, "--hub", "modelscope"];
    let mut command = machine.command(env!("CARGO_BIN_EXE_bench-diff"), &args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let partial = machine.path(SNAPSHOT).join("model.safetensors.incomplete");
    wait(|| partial.metadata().is_ok_and(|found| found.len() == 1000));
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let ended = machine.ended(child.wait_with_output().unwrap());
    assert_eq!(ended.exit, 130, "{}", ended.err);
    assert!(ended.err.contains("stopped") && ended.err.contains("the same command goes on"), "{}", ended.err);
    let again = pull(&machine);
    assert!(again.err.contains("here already"), "{}", again.err);
    again.fine();
    assert_eq!(server.asked_for("model.safetensors")[1].from(), 1000);
}

/// The setting reaches the program that measures, and so does the token of that hub. The model is too small for the prompt.
#[test]
fn a_measured_model_comes_from_the_configured_hub() {
    let server = Server::start(|request, _| usual(request));
    let machine = machine(&server).with("MODELSCOPE_API_TOKEN", TOKEN);
    let config = format!(
        "hub = \"modelscope\"\ndevice = \"cpu\"\ncontext-lengths = [1]\ngenerated-length = 2\nruns = 1\n[suites.a]\nmodels = \
         [\"{MODEL}\"]\n"
    );
    std::fs::write(machine.path("bench-diff.toml"), config).unwrap();
    let ended = machine.run(&["run", "--output", "results.json"]);
    let asked = server.requests();
    assert!(asked.iter().any(|request| request.path.ends_with("model.safetensors")), "{asked:?}\n{}", ended.err);
    assert!(asked.iter().all(|request| request.is_authorized(TOKEN)), "{asked:?}");
}

/// Bounded, without a time that would have to be kept.
fn wait(mut until: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if until() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("it never came");
}

/// What the hub has changed is seen, also where the size is the same.
#[test]
fn a_file_that_changed_is_downloaded_again() {
    let server = Server::start(|request, _| usual(request));
    let machine = machine(&server);
    pull(&machine).fine();
    let config = machine.path(SNAPSHOT).join("config.json");
    let other = vec![b' '; files()["config.json"].len()];
    std::fs::write(&config, other).unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644)).unwrap();
    pull(&machine).fine();
    assert_eq!(std::fs::read(&config).unwrap(), files()["config.json"]);
}

/// A flag wins, then what the file says of the model, then what it says above.
#[test]
fn the_hub_of_the_configuration_is_the_one_to_pull_from() {
    let server = Server::start(|request, _| usual(request));
    let machine = machine(&server);
    let write = |name: &str, text: &str| std::fs::write(machine.path(name), text).unwrap();
    let suite = |top: &str, model: &str| format!("{top}\n[suites.small]\ndevice = \"cpu\"\nmodels = [{model}]\n");
    let other = "\"Qwen/Qwen2.5-7B\"";
    let own = format!("{{ model = \"{MODEL}\", hub = \"modelscope\" }}");
    let found = format!("{MODEL} is in HOME/{SNAPSHOT}\n");
    for text in [suite("hub = \"modelscope\"", other), suite("hub = \"huggingface\"", &own), suite("", &own)] {
        write("bench-diff.toml", &text);
        assert_eq!(machine.pull(&[]).fine(), found, "{text}");
    }
    write("bench-diff.toml", &suite("hub = \"modelscope\"", other));
    // Nobody is there.
    assert!(machine.pull(&["--hub", "huggingface"]).error().contains("HF_ENDPOINT"));
    let shown = machine.run(&["models"]).fine();
    assert!(shown.contains("To download one from modelscope, as the configuration says"), "{shown}");
    // Another file, by a flag or by its variable.
    std::fs::rename(machine.path("bench-diff.toml"), machine.path("other.toml")).unwrap();
    assert_eq!(machine.pull(&["--config", "other.toml"]).fine(), found);
    assert!(!machine.run(&["models"]).fine().contains("modelscope, as"));
    let machine = machine.with("BENCH_DIFF_CONFIG", "other.toml");
    assert_eq!(machine.pull(&[]).fine(), found);
    assert!(machine.run(&["models"]).fine().contains("modelscope, as"));
}
