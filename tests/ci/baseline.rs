//! Committed baselines: how they grow, what they refuse, and how they are shown.

use std::process::Command;

use serde_json::{Value, json};

use crate::{Place, Said, read};

/// Results of one session on an H100, as `run` writes them.
pub fn results(session: &str, day: u32) -> Value {
    let case = json!({
        "id": "Qwen2.5-0.5B/bf16/1", "model": "Qwen/Qwen2.5-0.5B", "weights": "generated", "quantization": "none",
        "dtype": "bf16", "engine": "candle", "implementation": "graph", "device": "cuda", "gpus": 1, "batch_size": 1,
        "context_length": 1, "generated_length": 512,
    });
    let run = |round: u32| {
        json!({
            "case": "Qwen2.5-0.5B/bf16/1", "round": round, "started": format!("2026-11-{day:02}T10:00:00Z"),
            "status": "ok",
            "metrics": {"decode_throughput": 1500.5, "ttft": 2.25 + 0.001 * f64::from(day), "peak_memory": 1800},
        })
    };
    json!({
        "schema": 1, "suite": "h100-small", "cases": [case],
        "settings": {"runs": 3, "warmup": 1, "prompt": "transformers"},
        "sessions": [{
            "id": session, "started": format!("2026-11-{day:02}T10:00:00Z"),
            "finished": format!("2026-11-{day:02}T10:01:00Z"),
            "program": {"name": "bench-diff", "version": "1.0.0", "commit": "0123456789", "candle_version": "0.11.1"},
            "environment": {"gpus": [{"name": "NVIDIA H100 80GB HBM3", "memory_mib": 81_559}], "cpu": "Xeon",
                "cpu_cores": 16, "os": "Linux", "kernel": "6.8"},
            "runs": [run(1), run(2), run(3)],
        }],
    })
}

impl Place {
    /// Writes results, and updates the baseline with them.
    fn update(&self, results: &Value, flags: &[&str]) -> Said {
        std::fs::write(self.path("results.json"), results.to_string()).unwrap();
        self.run(&[&["baseline", "update", "results.json"], flags].concat())
    }
}

/// Where `ci` looks: beside the configuration file. Paths that are given start from the working directory.
#[test]
fn baselines_lie_beside_the_configuration() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("below/here")).unwrap();
    std::fs::create_dir(place.path("other")).unwrap();
    std::fs::write(place.path("below/results.json"), results("s1", 9).to_string()).unwrap();
    let below = |args: &[&str], config: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
        command.args(args).current_dir(place.path("below/here")).env_remove("BENCH_DIFF_CONFIG");
        let output = command.envs(config.map(|file| ("BENCH_DIFF_CONFIG", file))).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let file = "h100-small/nvidia-h100-80gb-hbm3.json";
    below(&["baseline", "update", "../results.json"], None);
    assert!(place.path("baselines").join(file).is_file());
    assert!(below(&["baseline", "list"], None).contains("h100-small"));
    below(&["baseline", "update", "../results.json", "--baseline", "mine"], None);
    assert!(place.path("below/here/mine").join(file).is_file());
    std::fs::copy(place.path("bench-diff.toml"), place.path("other/bench-diff.toml")).unwrap();
    below(&["baseline", "update", "../results.json"], Some("../../other/bench-diff.toml"));
    assert!(place.path("other/baselines").join(file).is_file());
    below(&["baseline", "verify", "--config", "../../other/bench-diff.toml"], None);
}

#[test]
fn a_baseline_grows_by_sessions_and_twice_is_once() {
    let place = Place::new();
    let said: Vec<_> = [(1, 9), (2, 10), (2, 10), (3, 8)]
        .iter()
        .map(|(id, day)| place.update(&results(&format!("s{id}"), *day), &[]))
        .collect();
    assert!(said.iter().all(|(exit, _, err)| (*exit, err.as_str()) == (0, "")), "{said:?}");
    insta::assert_snapshot!("baseline_update", said.iter().map(|said| said.1.as_str()).collect::<String>());
    let kept = read(&place.path("baselines/h100-small/nvidia-h100-80gb-hbm3.json"));
    let ids: Vec<_> = kept["sessions"].as_array().unwrap().iter().map(|session| &session["id"]).collect();
    assert_eq!(ids, ["s3", "s1", "s2"], "in the order of time");
    for day in 10..=20 {
        assert_eq!(place.update(&results(&format!("day{day}"), day), &["--label", "main"]).0, 0);
    }
    let kept = read(&place.path("baselines/h100-small/nvidia-h100-80gb-hbm3.json"));
    assert_eq!((kept["sessions"].as_array().unwrap().len(), &kept["label"]), (10, &json!("main")));
    insta::assert_snapshot!("baseline_list", place.run(&["baseline", "list"]).1);
    insta::assert_snapshot!("baseline_show", place.run(&["baseline", "show"]).1);
    insta::assert_snapshot!("baseline_verify", place.run(&["baseline", "verify"]).1);
}

#[test]
fn what_does_not_belong_to_a_baseline_is_refused_with_the_reason() {
    let place = Place::new();
    assert_eq!(place.update(&results("s1", 9), &[]).0, 0);
    let mut errors = String::new();
    let mut refused = |change: &dyn Fn(&mut Value), flags: &[&str]| {
        let mut other = results("s2", 10);
        change(&mut other);
        let (exit, out, err) = place.update(&other, flags);
        assert_eq!((exit, out.as_str()), (2, ""), "{err}");
        errors.push_str(&err);
    };
    refused(&|r| r["settings"]["warmup"] = json!(2), &[]);
    refused(&|r| r["cases"][0]["dtype"] = json!("f16"), &[]);
    refused(
        &|r| {
            r["cases"].as_array_mut().unwrap().push(json!({"id": "b", "model": "b", "weights": "hub", "quantization": "none", "dtype": "bf16", "engine": "candle", "implementation": "graph", "device": "cuda", "gpus": 1, "batch_size": 1, "context_length": 1, "generated_length": 2}));
        },
        &[],
    );
    refused(&|r| r["sessions"][0]["finished"] = Value::Null, &[]);
    refused(&|r| r["sessions"][0]["runs"] = json!([]), &[]);
    refused(&|r| r["sessions"] = json!([]), &[]);
    refused(&|r| r["suite"] = json!("../../etc"), &[]);
    refused(&|_| {}, &["--release", "../v1"]);
    refused(
        &|r| {
            r["sessions"][0]["id"] = json!("s1");
            r["sessions"][0]["runs"][0]["metrics"]["ttft"] = json!(1.0);
        },
        &[],
    );
    insta::assert_snapshot!(errors);
    let mut other = results("s2", 10);
    other["settings"]["warmup"] = json!(2);
    assert_eq!(place.update(&other, &["--replace"]).0, 0);
}

#[test]
fn the_baseline_of_a_release_is_never_changed() {
    let place = Place::new();
    let release = |session: &str| place.update(&results(session, 9), &["--release", "v1.0.0"]);
    let said = [release("s1"), release("s1"), release("s2")];
    assert_eq!(said.each_ref().map(|said| said.0), [0, 0, 2]);
    insta::assert_snapshot!(format!("{}{}{}", said[0].1, said[1].1, said[2].2));
    let kept = read(&place.path("baselines/h100-small/releases/v1.0.0/nvidia-h100-80gb-hbm3.json"));
    assert_eq!((&kept["label"], &kept["sessions"][0]["id"]), (&json!("v1.0.0"), &json!("s1")));
}

#[test]
fn several_files_replace_a_baseline_together() {
    let place = Place::new();
    assert_eq!(place.update(&results("old", 9), &[]).0, 0);
    for day in 10..=12 {
        std::fs::write(place.path(&format!("{day}.json")), results(&format!("s{day}"), day).to_string()).unwrap();
    }
    let (exit, out, err) = place.run(&["baseline", "update", "10.json", "11.json", "12.json", "--replace"]);
    assert_eq!((exit, err.as_str()), (0, ""));
    assert!(out.starts_with("baselines/h100-small/nvidia-h100-80gb-hbm3.json now holds 3 sessions (3 new)\n"), "{out}");
    let kept = read(&place.path("baselines/h100-small/nvidia-h100-80gb-hbm3.json"));
    let ids: Vec<_> = kept["sessions"].as_array().unwrap().iter().map(|session| session["id"].clone()).collect();
    assert_eq!(ids, [json!("s10"), json!("s11"), json!("s12")]);
}

/// A session that began at this time, with numbers of its own.
fn at(id: u32, started: &str) -> Value {
    let mut results = results(&format!("s{id}"), id);
    (results["sessions"][0]["started"], results["sessions"][0]["finished"]) = (json!(started), json!(started));
    results
}

/// Sessions of one loop agree with each other, whatever the machine does on another day: every command says so.
#[test]
fn sessions_of_one_loop_are_one_occasion() {
    let place = Place::new();
    let mut last = String::new();
    for id in 1..=5 {
        last = place.update(&at(id, &format!("2026-01-01T10:0{id}:00Z")), &[]).1;
    }
    let mut copy = at(1, "2026-01-09T10:00:00Z");
    copy["sessions"][0]["id"] = json!("copy");
    let copied = place.update(&copy, &[]).1;
    let said =
        [&["baseline", "list"][..], &["baseline", "show"], &["baseline", "verify"]].map(|args| place.run(args).1);
    insta::assert_snapshot!(format!("{last}{copied}{}", said.concat()));
    let listed: Value = serde_json::from_str(&place.run(&["baseline", "list", "--format", "json"]).1).unwrap();
    assert_eq!((&listed[0]["sessions"], &listed[0]["occasions"]), (&json!(6), &json!(1)));
}

/// Many sessions of one night must not push out the nights before.
#[test]
fn a_full_baseline_keeps_its_occasions() {
    let place = Place::new();
    for id in 1..=9 {
        assert_eq!(place.update(&at(id, &format!("2026-01-0{id}T02:00:00Z")), &[]).0, 0);
    }
    for id in 10..=18 {
        assert_eq!(place.update(&at(id, &format!("2026-01-10T02:{id}:00Z")), &[]).0, 0);
    }
    let kept = read(&place.path("baselines/h100-small/nvidia-h100-80gb-hbm3.json"));
    let ids: Vec<_> =
        kept["sessions"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s18"]);
}

/// This repository's own.
#[test]
fn the_committed_baselines_are_in_order() {
    let store = concat!(env!("CARGO_MANIFEST_DIR"), "/baselines");
    let (exit, out, err) = Place::new().run(&["baseline", "verify", "--baseline", store]);
    assert_eq!(exit, 0, "{err}");
    for suite in ["h100-small", "h100-quantized", "h100-2"] {
        assert!(out.contains(suite), "{out}");
    }
}

/// Of an early version, within two minutes.
#[test]
fn five_sessions_of_an_afternoon_are_one_occasion() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("baselines/h100-small")).unwrap();
    let measured = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/formats/h100-small.v1.json");
    std::fs::copy(measured, place.path("baselines/h100-small/nvidia-h100-80gb-hbm3.json")).unwrap();
    let (exit, out, _) = place.run(&["baseline", "verify"]);
    assert_eq!(exit, 0);
    assert!(out.contains("5 sessions on 1 occasion: a screen"), "{out}");
}

/// Results of another commit, on another day, whose decode is so many times as fast.
fn of_another_commit(id: &str, day: u32, speed: f64) -> Value {
    let mut results = results(id, day);
    results["sessions"][0]["program"]["commit"] = json!(format!("{day:010}"));
    for (index, run) in results["sessions"][0]["runs"].as_array_mut().unwrap().iter_mut().enumerate() {
        run["metrics"]["decode_throughput"] = json!(1500.5 * speed * (1.0 + 0.001 * index as f64));
    }
    results
}

/// Two levels in one baseline would pass for drift, and hide every change as large.
#[test]
fn a_session_at_another_level_needs_a_word() {
    let place = Place::new();
    assert_eq!(place.update(&of_another_commit("s1", 9, 1.0), &[]).0, 0);
    assert_eq!(place.update(&of_another_commit("s2", 10, 1.005), &[]).0, 0, "another commit at the same level");
    let slower = of_another_commit("s3", 11, 0.85);
    let (exit, out, err) = place.update(&slower, &[]);
    assert_eq!((exit, out.as_str()), (2, ""), "{err}");
    insta::assert_snapshot!("another_level", err);
    let kept = |place: &Place| {
        let kept = read(&place.path("baselines/h100-small/nvidia-h100-80gb-hbm3.json"));
        (kept["sessions"].as_array().unwrap().len(), kept["label"].clone())
    };
    assert_eq!(kept(&place), (2, Value::Null), "as it was");
    // Somebody knows better, and says so.
    assert_eq!(place.update(&slower, &["--label", "both"]).0, 0);
    assert_eq!(kept(&place), (3, json!("both")));
    let faster = of_another_commit("s4", 12, 1.4);
    assert_eq!(place.update(&faster, &["--label", "both"]).0, 2, "that was said of the others");
    assert_eq!(place.update(&faster, &["--replace"]).0, 0);
    assert_eq!(kept(&place), (1, Value::Null));
}

/// However different: that is the machine, and a history is there to show it.
#[test]
fn sessions_of_one_commit_belong_together() {
    let place = Place::new();
    let mut slow = of_another_commit("s2", 10, 0.7);
    slow["sessions"][0]["program"]["commit"] = json!("0000000009");
    assert_eq!([of_another_commit("s1", 9, 1.0), slow].map(|results| place.update(&results, &[]).0), [0, 0]);
}

/// Also among files that are given together: a release is one build.
#[test]
fn files_of_two_levels_are_not_one_baseline() {
    let place = Place::new();
    for (name, day, speed) in [("a.json", 9, 1.0), ("b.json", 10, 0.8)] {
        std::fs::write(place.path(name), of_another_commit(name, day, speed).to_string()).unwrap();
    }
    for flags in [&["--replace"][..], &["--release", "v1.0.0"], &[]] {
        let (exit, _, err) = place.run(&[&["baseline", "update", "a.json", "b.json"], flags].concat());
        assert_eq!(exit, 2, "{err}");
        assert!(err.contains("decode_throughput: 20% slower") && err.contains("give only those of one build"), "{err}");
    }
    assert!(!place.path("baselines").exists());
}

/// As the release workflow does it: all sessions make one baseline.
#[test]
fn a_release_is_made_of_several_sessions() {
    let place = Place::new();
    let release = |sessions: std::ops::RangeInclusive<u32>| {
        let files: Vec<String> = sessions.clone().map(|day| format!("{day}.json")).collect();
        for day in sessions {
            std::fs::write(place.path(&format!("{day}.json")), results(&format!("s{day}"), day).to_string()).unwrap();
        }
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        place.run(&[&["baseline", "update"], &files[..], &["--release", "v1.0.0"]].concat())
    };
    assert_eq!(release(1..=5).0, 0);
    let kept = read(&place.path("baselines/h100-small/releases/v1.0.0/nvidia-h100-80gb-hbm3.json"));
    assert_eq!(kept["sessions"].as_array().unwrap().len(), 5);
    assert_eq!([release(1..=5).0, release(1..=4).0, release(1..=6).0], [0, 2, 2], "never changed again");
}

#[test]
fn verify_finds_every_file_that_is_not_what_it_seems() {
    let place = Place::new();
    assert_eq!(place.update(&results("s1", 9), &[]).0, 0);
    let good = std::fs::read(place.path("baselines/h100-small/nvidia-h100-80gb-hbm3.json")).unwrap();
    let write = |name: &str, text: &[u8]| {
        let path = place.path("baselines").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("h100-small/nvidia-a100.json", &good);
    write("other/nvidia-h100-80gb-hbm3.json", &good);
    write("h100-small/releases/v1/broken.json", b"{\"schema\": 1");
    write("h100-small/huge.json", &vec![b' '; 300_000]);
    write("h100-small/a\u{1b}[31mb.json", &good);
    let (exit, out, err) = place.run(&["baseline", "verify"]);
    assert_eq!((exit, out.as_str()), (2, ""));
    insta::assert_snapshot!(err);
}

#[test]
fn without_baselines_the_commands_say_how_to_make_one() {
    let place = Place::new();
    let (list, show) = (place.run(&["baseline", "list"]), place.run(&["baseline", "show"]));
    assert_eq!((list.0, show.0), (0, 2));
    insta::assert_snapshot!(format!("{}{}", list.2, show.2));
}

/// A file from anybody must end in an error, not in a crash or a full disk.
#[test]
fn hostile_results_end_in_an_error() {
    let place = Place::new();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for text in ["", "null", "[]", "{}", "{\"schema\":2}", &deep, "\u{0}\u{1}"] {
        std::fs::write(place.path("results.json"), text).unwrap();
        let (exit, _, err) = place.run(&["baseline", "update", "results.json"]);
        assert_eq!(exit, 2, "{err}");
        assert!(err.starts_with("error: ") && err.len() < 500, "{err}");
    }
}

/// Of an older program nobody knows what it measured; once it is known, another shape doesn't belong there.
#[test]
fn a_baseline_is_of_one_shape() {
    let place = Place::new();
    let of_layers = |session: &str, day, layers: Option<&str>| {
        let mut results = results(session, day);
        if let Some(layers) = layers {
            results["cases"][0]["identity"] = json!({ "shape": { "num_hidden_layers": layers } });
        }
        place.update(&results, &[])
    };
    assert_eq!(of_layers("s1", 9, None).0, 0);
    assert_eq!(of_layers("s2", 10, Some("24")).0, 0);
    assert_eq!(of_layers("s3", 11, None).0, 0, "what is known stays known");
    let (exit, _, err) = of_layers("s4", 12, Some("28"));
    assert_eq!(exit, 2);
    assert!(err.contains("num_hidden_layers of the model 24 → 28 of Qwen2.5-0.5B/bf16/1"), "{err}");
}
