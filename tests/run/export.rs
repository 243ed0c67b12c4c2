//! Results that are there, as the files of the programs that measured Qwen's published numbers.

use serde_json::{Value, json};

use super::*;

fn files(bench: &Bench, folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in
        ["transformers", "vllm"].iter().flat_map(|program| fs::read_dir(bench.path(folder).join(program)).unwrap())
    {
        let path = path.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Without the time.
        let name = name.rsplit_once('_').unwrap().0.to_owned();
        found.push((name, fs::read_to_string(path).unwrap()));
    }
    found.sort();
    found
}

#[test]
fn results_that_are_there_are_exported_as_those_that_are_measured() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["--csv", "measured"]).code, Some(0));
    let exported = bench.bench_diff(&["export", "results.json", "later"]);
    assert_eq!((exported.code, exported.err.as_str()), (Some(0), ""));
    assert_eq!(files(&bench, "later"), files(&bench, "measured"));
    let written: Vec<&str> = exported.out.lines().collect();
    assert_eq!(written.len(), 10, "{written:?}");
    assert!(written.iter().all(|path| path.starts_with("later/") && bench.path(path).is_file()), "{written:?}");
}

#[test]
fn what_cant_be_exported_is_said() {
    let bench = Bench::behaving("f32 crash\n");
    assert_eq!(bench.run(&[]).code, Some(3));
    let empty = bench.bench_diff(&["export", "results.json", "out"]);
    assert_eq!(empty.code, Some(2));
    assert_eq!(empty.err, "error: nothing to export: no case of results.json has numbers in its last session\n");
    let absent = bench.bench_diff(&["export", "none.json", "out"]);
    assert!(absent.code == Some(2) && absent.err.starts_with("error: can't read none.json: "), "{}", absent.err);
    bench.write("taken", "");
    let taken = bench.bench_diff(&["export", "results.json", "taken"]);
    assert!(
        taken.code == Some(2) && taken.err.starts_with("error: taken is a file, not a directory\n"),
        "{}",
        taken.err
    );
}

/// A results file of that case, run by other engines, in a bench of its own.
fn of_engines(engines: &[Value]) -> Bench {
    let bench = Bench::new();
    assert_eq!(bench.run(&["--runs", "2", "--model", "./one", "--context-lengths", "8"]).code, Some(0));
    let mut results: Value = serde_json::from_str(&bench.read("results.json")).unwrap();
    let (case, runs) = (results["cases"][0].take(), results["sessions"][0]["runs"].take());
    let merged = |into: &Value, own: &Value| {
        let mut all = into.as_object().unwrap().clone();
        all.extend(own.as_object().unwrap().clone());
        Value::Object(all)
    };
    let id = |engine: &Value| json!({ "id": format!("one/f32/8/{}", engine["case"]["engine"].as_str().unwrap()) });
    results["cases"] = engines.iter().map(|engine| merged(&merged(&case, &engine["case"]), &id(engine))).collect();
    let runs_of = |engine: &Value| {
        let named = json!({ "case": id(engine)["id"] });
        let all = runs.as_array().unwrap().iter();
        all.map(|run| merged(&merged(run, &engine["run"]), &named)).collect::<Vec<_>>()
    };
    results["sessions"][0]["runs"] = engines.iter().flat_map(runs_of).collect();
    bench.write("results.json", &results.to_string());
    bench
}

fn of_command() -> Value {
    let speeds = json!({ "speed": 47.5, "e2e_latency": 43_116.0, "ttft": 43_116.0, "allocated_memory": 1259.52 });
    json!({
        "case": { "engine": "command", "implementation": "default", "model": "Qwen/Qwen2.5-0.5B-Instruct", "device": "cuda",
                  "gpus": 1, "context_length": 6144, "generated_length": 2048 },
        "run": { "implementation": "flash_attention_2", "metrics": speeds },
    })
}

fn of_server() -> Value {
    let mut server = of_command();
    server["case"]["engine"] = json!("server");
    server["case"]["gpus"] = json!(2);
    server["run"] = json!({ "metrics": { "speed": 300.0, "e2e_latency": 6826.667, "peak_memory": 70_000.0 } });
    server["run"]["implementation"] = Value::Null;
    server
}

fn exported(bench: &Bench) -> String {
    assert_eq!(bench.bench_diff(&["export", "results.json", "out"]).code, Some(0));
    let mut shown = String::new();
    for (name, text) in files(bench, "out") {
        shown += &format!("== {name}\n{text}");
    }
    let reports = fs::read_dir(bench.path("out/evalscope/Qwen2.5-0.5B-Instruct")).unwrap();
    reports.for_each(|time| shown += &fs::read_to_string(time.unwrap().path().join("speed_benchmark.json")).unwrap());
    shown
}

/// A program and a server write what Qwen's scripts write; memory that nobody knows is empty.
#[test]
fn results_of_programs_and_servers_are_exported_too() {
    insta::assert_snapshot!("exported_command", exported(&of_engines(&[of_command()])));
    insta::assert_snapshot!("exported_server", exported(&of_engines(&[of_server()])));
}

/// The files have no column for the engine, so the comment says whose a row is.
#[test]
fn engines_that_share_a_file_stay_distinguishable() {
    let shown = exported(&of_engines(&[of_command(), of_server()]));
    let ours = ["1,6144,2048,True,one/f32/8/command,47.5,1.23\r\n", "1,6144,2048,False,one/f32/8/server,300.0,\r\n"];
    assert!(ours.iter().all(|row| shown.contains(row)), "{shown}");
}

/// The script's column for a batch; the others have none, and no row of one.
#[test]
fn a_batch_is_in_the_only_file_that_has_a_column_for_it() {
    let mut batch = of_command();
    batch["case"]["batch_size"] = json!(4);
    batch["run"]["metrics"]["batch_throughput"] = json!(190.0);
    let bench = of_engines(&[batch]);
    let exported = bench.bench_diff(&["export", "results.json", "out"]);
    let written: Vec<&str> = exported.out.lines().collect();
    assert!(matches!(&written[..], [one] if one.starts_with("out/transformers/")), "{written:?}");
    let text = bench.read(written[0]);
    assert!(text.ends_with("Qwen/Qwen2.5-0.5B-Instruct,4,6144,2048,True,default,190.0,1.23\r\n"), "{text}");
}

#[test]
fn the_seeds_files_are_written() {
    let bench = Bench::new();
    let finished = bench.run(&["--model", "./one", "--csv", "seed", "--trace", "trace.jsonl", "--runs", "1"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let mut shown = String::new();
    for path in below(&bench.path("seed")) {
        let name = path.strip_prefix(bench.directory.path()).unwrap().display().to_string();
        shown += &format!("== {}\n{}", without_times(&name), fs::read_to_string(&path).unwrap());
    }
    insta::assert_snapshot!("seed_files", shown);
    let trace = bench.read("trace.jsonl");
    assert_eq!(trace.lines().count(), 2);
    assert!(trace.contains(r#""case":"one/f32/1","round":1,"itl_ms":[1.5,2.5]"#), "{trace}");
}

/// All files below `directory`, sorted.
fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Times in names are digits in a row.
fn without_times(name: &str) -> String {
    let parts = name.split_inclusive(['_', '.', '/']).map(|part| {
        let digits = part.trim_end_matches(['_', '.', '/']);
        if digits.len() >= 6 && digits.chars().all(|c| c.is_ascii_digit()) {
            part.replace(digits, "TIME")
        } else {
            part.to_owned()
        }
    });
    parts.collect()
}
