//! The formats that leave the program: each that was ever released is read for good, and none changes by accident.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bench_diff::case::{Clock, Quantization};
use bench_diff::compare::{Finding, Row, Untestable, Verdict};
use bench_diff::error::Advice;
use bench_diff::report;
use bench_diff::results::{self, Outcome, Results};
use bench_diff::word::Word;
use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fixture(name: &str) -> PathBuf {
    root().join("tests/fixtures/schemas").join(name)
}

fn read(name: &str) -> Results {
    results::read(&fixture(name)).unwrap()
}

/// The exit code and what went to standard output and standard error.
fn bench_diff(args: &[&str]) -> (ExitCode, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = ["bench-diff"].iter().chain(args).map(Into::into);
    let exit = bench_diff::run(args, &mut out, &mut err);
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// A released format may only gain optional parts: whoever changes one sees it here, and in the diff.
#[test]
fn the_committed_schemas_are_what_the_program_prints() {
    for (format, file) in [
        ("config", "config.json"),
        ("results", "results.v2.json"),
        ("report", "report.v3.json"),
        ("comparison", "comparison.v2.json"),
        ("findings", "findings.v1.json"),
        ("published", "published.v1.json"),
        ("beside", "beside.v1.json"),
        ("sides", "sides.v1.json"),
        ("engine-protocol", "engine-protocol.v1.json"),
        ("trace", "trace.v1.json"),
    ] {
        let (_, printed, _) = bench_diff(&["schema", format]);
        let committed = fs::read_to_string(root().join("schemas").join(file)).unwrap_or_default();
        assert!(printed == committed, "schemas/{file} is another: bench-diff schema {format} > schemas/{file}");
    }
}

#[test]
fn results_of_every_schema_are_read_and_written_anew() {
    let mut names: Vec<_> = fs::read_dir(fixture("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let names = names.iter().filter_map(|name| name.to_str()).filter(|name| name.starts_with("results."));
    let mut schemas = Vec::new();
    for name in names {
        schemas.extend(name.split('.').nth(1).map(str::to_owned));
        let read = read(name);
        let mut written = Vec::new();
        read.write(&mut written).unwrap();
        assert!(written.starts_with(b"{\n  \"schema\": 2,"), "{name}");
        assert_eq!(results::parse(name, written).unwrap(), read, "{name}: nothing is lost");
    }
    schemas.dedup();
    assert_eq!(schemas, ["v1", "v2"], "each schema has a fixture");
}

#[test]
fn what_schema_1_says_keeps_its_meaning() {
    let results = read("results.v1.json");
    let session = &results.sessions[0];
    assert_eq!(results.cases.len(), 3);
    assert_eq!(session.program.components["candle"].version.as_deref(), Some("none"));
    assert_eq!((session.environment.cpu_cores, session.environment.gpus.len()), (Some(2), 0));
    assert_eq!(session.discarded.len(), 1);
    let failed = |run: &&results::Run| matches!(run.outcome, Outcome::Failed(_));
    assert_eq!(session.runs.iter().filter(failed).count(), 2);
    let Outcome::Ok(measured) = &read("results.v1.gaps.json").sessions[0].runs[0].outcome else { panic!("it is well") };
    assert_eq!(measured.clock, None, "it didn't say");
    assert_eq!(measured.itl.as_ref().unwrap().count, 3);
}

/// Five sessions that an early version measured on an H100.
#[test]
fn a_baseline_of_schema_1_is_read() {
    let results = results::read(&root().join("tests/fixtures/formats/h100-small.v1.json")).unwrap();
    assert_eq!(results.sessions.len(), 5);
    for session in &results.sessions {
        assert_eq!(session.program.components["candle"].version.as_deref(), Some("0.11.1"));
        assert_eq!(session.environment.gpus[0].memory_mib, Some(81_559));
        assert_eq!(session.environment.fingerprint(), "nvidia-h100-80gb-hbm3");
    }
}

#[test]
fn the_committed_baselines_are_read() {
    let mut read = 0;
    for suite in fs::read_dir(root().join("baselines")).unwrap() {
        for file in fs::read_dir(suite.unwrap().path()).unwrap().map(|entry| entry.unwrap().path()) {
            if file.extension().is_some_and(|extension| extension == "json") {
                assert!(!results::read(&file).unwrap().sessions.is_empty(), "{}", file.display());
                read += 1;
            }
        }
    }
    assert!(read >= 3, "{read}");
}

/// Unknown is absent, where schema 1 had to write 0 or nothing.
#[test]
fn what_schema_1_didnt_know_is_absent() {
    let text = fs::read_to_string(fixture("results.v1.json")).unwrap();
    let text = text.replace("\"cpu_cores\": 2", "\"cpu_cores\": 0").replace("Intel(R) Xeon(R) Processor", "");
    let results = results::parse("text", text.into_bytes()).unwrap();
    let environment = &results.sessions[0].environment;
    assert_eq!((environment.cpu_cores, &environment.cpu), (None, &None));
}

/// results.v2.json stands for a newer version: an engine, a quantization and more that this build doesn't have.
#[test]
fn words_of_a_newer_version_are_kept() {
    let results = read("results.v2.json");
    let case = &results.cases[0];
    assert_eq!((case.engine.as_str(), case.implementation.as_str()), ("server", "paged"));
    assert_eq!(case.quantization, Word::<Quantization>::Other("fp8".into()));
    let Outcome::Ok(measured) = &results.sessions[0].runs[0].outcome else { panic!("it is well") };
    assert_eq!(measured.clock, Some(Clock::Client.into()));
    assert_eq!(measured.implementation.as_ref().unwrap().as_str(), "paged-2");
    assert_eq!(results.sessions[0].program.components["vllm"].version.as_deref(), Some("0.32.0"));
}

/// What a newer program tells of a shape is kept, and what an older one doesn't tell is absent.
#[test]
fn what_a_model_is_beside_its_name_is_kept() {
    let identity = read("results.v2.identity.json").cases[0].identity.clone().unwrap();
    let shape = ["from_the_future", "num_hidden_layers"].map(|name| identity.shape[name].as_str());
    assert_eq!((shape, identity.weights_sha256.unwrap().len()), (["7", "28"], 32));
    assert_eq!(read("results.v2.json").cases[0].identity, None);
}

#[test]
fn several_cards_are_told_apart() {
    let results = read("results.v2.cards.json");
    let session = &results.sessions[0];
    let Outcome::Ok(measured) = &session.runs[0].outcome else { panic!("it is well") };
    let uuids: Vec<_> = session.environment.gpus.iter().filter_map(|gpu| gpu.uuid.as_deref()).collect();
    assert_eq!(uuids, measured.by_card.iter().map(|card| card.uuid.as_str()).collect::<Vec<_>>());
    assert_eq!(measured.by_card[1].peak_memory_mib, Some(8001.0));
    assert_eq!(measured.by_card[1].state.throttle_reasons, ["sw_power_cap"]);
}

#[test]
fn words_of_a_newer_version_are_compared_as_text_and_shown_escaped() {
    let file = fixture("results.v2.json");
    let directory = tempfile::tempdir().unwrap();
    let other = directory.path().join("other.json");
    fs::write(&other, fs::read_to_string(&file).unwrap().replace("\"fp8\"", "\"fp4\\u001b[31m|\"")).unwrap();
    let (file, other) = (file.to_str().unwrap(), other.to_str().unwrap());
    let (exit, same, err) = bench_diff(&["compare", file, file]);
    assert_eq!(exit, ExitCode::SUCCESS, "{err}");
    assert!(!same.contains("not comparable"), "{same}");
    for format in ["table", "markdown"] {
        let (_, out, _) = bench_diff(&["compare", file, other, "--format", format]);
        let words: Vec<_> = out.split_whitespace().collect();
        assert!(words.join(" ").contains("quantization fp8 ") && out.contains("fp4"), "{out}");
        assert!(!out.contains('\u{1b}'), "{out}");
    }
}

#[test]
fn a_word_that_isnt_known_is_refused_where_it_has_to_run() {
    let mut spec = bench_diff::engine::ModelSpec::generated("Qwen/Qwen2.5-0.5B", bench_diff::case::DeviceKind::Cpu);
    spec.max_length = 8;
    let refused = |spec| bench_diff::engine::load(&spec, &mut |_, _| {}).err().unwrap().to_string();
    let abacus = bench_diff::engine::ModelSpec { engine: "abacus".into(), ..spec.clone() };
    assert_eq!(refused(abacus), "unknown engine `abacus`: this build has candle, command, server");
    let paged = bench_diff::engine::ModelSpec { implementation: "paged".into(), ..spec };
    let said = "unknown implementation `paged` of the engine `candle`: it has graph, plain, stock";
    assert_eq!(refused(paged), said);
}

#[test]
fn a_newer_schema_is_refused_by_number() {
    let text = fs::read_to_string(fixture("results.v2.json")).unwrap().replace("\"schema\": 2", "\"schema\": 3");
    let error = results::parse("new.json", text.into_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "new.json has schema 3, but this bench-diff reads only schemas up to 2");
    assert_eq!(error.advice(), Some("update bench-diff"));
}

#[test]
fn reports_of_every_schema_are_read_and_written_anew() {
    for (name, schema) in [("report.v1.json", 1), ("report.v2.json", 2), ("report.v3.json", 3)] {
        let read = report::read(&fixture(name)).unwrap();
        assert_eq!(value(&fixture(name))["schema"], schema);
        assert_eq!(read.head.sessions[0].program.components["candle"].version.as_deref(), Some("0.11.1"));
        assert!(read.comparison().is_some(), "{name}");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        report::write(&read, &path).unwrap();
        assert_eq!(value(&path)["schema"], report::SCHEMA);
        assert_eq!(report::read(&path).unwrap(), read, "{name}");
    }
}

fn value(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Whoever wrote the file: parts that can't be together are read by a rule, and what is written doesn't contradict itself.
#[test]
fn reports_that_contradict_themselves_are_read_by_a_rule() {
    const PARTS: [&str; 7] = ["base", "comparison", "release", "self_check", "calibration", "levels", "failure"];
    let file = value(&fixture("report.v2.json"));
    let (base, comparison) = (&file["base"], &file["comparison"]);
    let release = json!({ "label": "v1", "comparison": comparison });
    for (claimed, kept) in [
        (json!({ "failure": "a", "release": release, "self_check": comparison }), &["levels", "failure"][..]),
        (json!({ "self_check": comparison }), &["base", "comparison"]),
        (json!({ "base": null }), &["base", "comparison"]),
        (json!({ "comparison": null }), &["levels"]),
        (json!({ "comparison": null, "self_check": comparison }), &["self_check", "calibration", "levels"]),
        (json!({ "base": null, "comparison": null, "release": release }), &["release", "levels"]),
    ] {
        let mut contradicting = file.clone();
        contradicting.as_object_mut().unwrap().extend(claimed.as_object().unwrap().clone());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        fs::write(&path, contradicting.to_string()).unwrap();
        let written = serde_json::to_value(report::read(&path).unwrap()).unwrap();
        let parts: Vec<_> = PARTS.into_iter().filter(|part| written.get(part).is_some()).collect();
        assert_eq!(parts, kept);
        let is_known = kept.contains(&"base") && claimed.get("base").is_none();
        assert_eq!(written["base"]["sessions"] == base["sessions"], is_known, "nothing is made up of a base");
    }
}

/// The rows of older schemas keep verdict, numbers and words. They gain the reason's code, and two fields have other names
/// since schema 3.
#[test]
fn rows_of_every_schema_keep_what_they_say() {
    for name in ["report.v1.json", "report.v2.json", "report.v3.json"] {
        let written: Value = serde_json::from_slice(&fs::read(fixture(name)).unwrap()).unwrap();
        let read = serde_json::to_value(report::read(&fixture(name)).unwrap().comparison()).unwrap();
        let mut rows = read["rows"].as_array().unwrap().clone();
        for row in &mut rows {
            let code = row.as_object_mut().unwrap().remove("reason_code").unwrap();
            let memory = row["metric"] == "peak_memory";
            assert_eq!(code, if memory { "runs-within-threshold" } else { "beyond-threshold" });
            // What follows from the results is derived again.
            let cause = row.as_object_mut().unwrap().remove("cause");
            assert_eq!(cause.is_some(), !memory, "of what changed: {row}");
        }
        let written: Vec<_> = written["comparison"]["rows"].as_array().unwrap().iter().map(named_as_now).collect();
        assert_eq!(rows, written, "{name}");
    }
}

fn named_as_now(row: &Value) -> Value {
    let mut fields = row.as_object().unwrap().clone();
    fields.remove("reason_code");
    for (old, new) in [("margin", "noise_threshold"), ("detectable", "minimum_detectable_effect")] {
        if let Some(value) = fields.remove(old) {
            fields.insert(new.into(), value);
        }
    }
    Value::Object(fields)
}

/// A tested, inconclusive row as a file may hold it.
fn open_row() -> Value {
    json!({
        "case": "a", "metric": "ttft", "unit": "ms", "better": "lower", "verdict": "inconclusive",
        "reason": "3% slower, but that may be noise", "reason_code": "maybe-noise", "change": 0.03,
        "interval": [-0.01, 0.07], "confidence": 0.9, "p": 0.2, "p_adjusted": 0.4, "df": 4.0, "p_pooled": 0.2,
        "df_pooled": 4.0, "noise_threshold": 0.02, "minimum_detectable_effect": 0.05, "runs_needed": 8,
    })
}

fn changed(change: Value) -> Value {
    let mut row = open_row();
    for (key, value) in change.as_object().unwrap() {
        row[key] = value.clone();
    }
    row
}

#[test]
fn reasons_of_other_versions_are_kept_as_they_are() {
    for row in [
        open_row(),
        changed(json!({ "reason_code": "planets-misaligned", "reason": "another day" })),
        changed(json!({ "unconfirmed": true, "runs_needed": null })),
    ] {
        let read: Row = serde_json::from_value(row.clone()).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        let lost = row.as_object().unwrap().iter().find(|(key, value)| !value.is_null() && written[*key] != **value);
        assert_eq!(lost, None);
    }
}

/// Whoever wrote the file: a row that can't be is read as one of which nothing is known, in the file's words.
#[test]
fn rows_that_contradict_themselves_are_inconclusive() {
    for contradiction in [
        json!({ "p": null }),
        json!({ "p_adjusted": null }),
        json!({ "confidence": null }),
        json!({ "df_pooled": null }),
        json!({ "verdict": "regressed", "p_adjusted": null }),
        json!({ "verdict": "regressed", "unconfirmed": true }),
        json!({ "verdict": "unchanged", "unconfirmed": true }),
    ] {
        let row: Row = serde_json::from_value(changed(contradiction.clone())).unwrap();
        assert!(matches!(&row.finding, Finding::Untestable { why: Untestable::Told(_), .. }), "{contradiction}");
        assert_eq!((row.verdict(), row.is_unconfirmed()), (Verdict::Inconclusive, false), "{contradiction}");
        let written = serde_json::to_value(&row).unwrap();
        assert_eq!(written["reason"], "3% slower, but that may be noise", "{contradiction}");
    }
    let incomparable: Row = serde_json::from_value(changed(json!({ "verdict": "not_comparable" }))).unwrap();
    assert_eq!((incomparable.verdict(), incomparable.change()), (Verdict::NotComparable, None));
}

#[test]
fn a_comparison_names_its_schema() {
    let file = fixture("results.v2.json");
    let file = file.to_str().unwrap();
    let (_, out, _) = bench_diff(&["compare", file, file, "--format", "json"]);
    let comparison: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&comparison["schema"], comparison["rows"].is_array()), (&2.into(), true));
}
