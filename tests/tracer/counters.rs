//! Counters: what an engine does on the GPU, measured by `run` and compared by `compare`, without a word from the engine.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Ran, fakes};

const CARD: &str = "libnvidia-ml.so.1";

/// A suite whose engine launches so many kernels for a prompt and for a token.
pub struct Bench(tempfile::TempDir);

impl Bench {
    pub fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(bench.path("model")).unwrap();
        std::fs::copy("tests/models/qwen2.5-tiny/config.json", bench.path("model/config.json")).unwrap();
        bench
    }

    /// On a machine with a card, `devices/nvml.c`.
    pub fn with_card() -> Self {
        let bench = Self::new();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(bench.path(CARD)).arg("tests/devices/nvml.c");
        assert!(cc.status().unwrap().success());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The engine's arguments, and more of the suite.
    pub fn configure(&self, engine: &[&str], settings: &str) {
        let command = [&[fakes().engine.to_str().unwrap()], engine].concat();
        let device = if self.path(CARD).exists() { "cuda" } else { "cpu" };
        let config = format!(
            "[suites.tiny]\ndevice = \"{device}\"\nweights = \"generated\"\nengine = \"command\"\ncommand = {command:?}\n\
             models = [\"./model\"]\ncontext-lengths = [3, 5]\ngenerated-length = 9\nruns = 2\n{settings}"
        );
        std::fs::write(self.path("bench-diff.toml"), config).unwrap();
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_beside(&fakes().cupti, args)
    }

    pub fn run_beside(&self, cupti: &Path, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
        command.args(args).current_dir(&self.0).env("TMPDIR", self.0.path()).env("BENCH_DIFF_CUPTI", cupti);
        if self.path(CARD).exists() {
            command.env("LD_LIBRARY_PATH", self.0.path()).env("BENCH_DIFF_WORKER_CARDS", "Fake H100:80");
        }
        let output = command.env("COLUMNS", "110").output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// `run` with this engine, into this file.
    fn measure(&self, engine: &[&str], settings: &str, file: &str) -> Value {
        self.configure(engine, settings);
        let ran = self.run(&["run", "--output", file]);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        serde_json::from_str(&std::fs::read_to_string(self.path(file)).unwrap()).unwrap()
    }

    fn compare(&self, more: &[&str]) -> Ran {
        self.run(&[&["compare", "base.json", "head.json"], more].concat())
    }

    fn compared(&self, more: &[&str]) -> Value {
        serde_json::from_str(&self.compare(&[&["--format", "json"], more].concat()).out).unwrap()
    }
}

const ON: &str = "counters = true\n";

fn verdicts(compared: &Value) -> Vec<String> {
    let rows = compared["counters"]["rows"].as_array().unwrap();
    let word = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter().map(|row| format!("{} {} {}", word(row, "phase"), word(row, "counter"), word(row, "verdict"))).collect()
}

#[test]
fn an_engine_is_counted_beside_its_timed_runs() {
    let bench = Bench::new();
    let results = bench.measure(&["20", "10"], ON, "base.json");
    let session = &results["sessions"][0];
    assert_eq!(session["runs"].as_array().unwrap().len(), 4, "a traced run is no run");
    let counters = session["counters"].as_array().unwrap();
    assert_eq!(counters.len(), 2);
    for case in counters {
        assert_eq!(case["tokens"], 9);
        let pairs = case["pairs"].as_array().unwrap();
        assert_eq!(pairs.len(), 2);
        for pair in pairs {
            let count = |phase: &str, counter: &str| pair[phase][counter].as_u64().unwrap();
            assert_eq!(count("one_token", "kernel_launches"), 20);
            assert_eq!(count("all_tokens", "kernel_launches"), 20 + 8 * 10);
            assert_eq!((count("all_tokens", "copies_to_host"), count("all_tokens", "bytes_to_host")), (9, 36));
            assert_eq!(count("all_tokens", "distinct_kernels"), 1);
            assert!((0.3..0.7).contains(&pair["busy_share"].as_f64().unwrap()), "{pair}");
        }
    }
}

#[test]
fn one_more_launch_a_token_is_found_in_one_run() {
    let bench = Bench::new();
    bench.measure(&["20", "10"], ON, "base.json");
    bench.measure(&["20", "11"], ON, "head.json");
    let compared = bench.compared(&[]);
    assert_eq!(verdicts(&compared).iter().filter(|row| *row == "decode kernel_launches more").count(), 2);
    assert_eq!(
        verdicts(&compared).iter().filter(|row| row.ends_with(" unchanged")).count(),
        verdicts(&compared).len() - 2
    );
    insta::assert_snapshot!("counters_changed", section(&bench.compare(&[]).out));
    insta::assert_snapshot!("counters_changed_markdown", section(&bench.compare(&["--format", "markdown"]).out));
    let floor = bench.compared(&["--counters-floor", "20"]);
    assert!(verdicts(&floor).iter().all(|row| row.ends_with(" unchanged")), "{floor}");
    for (fail_on, code) in [("regression", 0), ("never", 0), ("counters", 1)] {
        let ran = bench.compare(&["--fail-on", fail_on]);
        assert_eq!((ran.code, ran.err.contains("fails by --fail-on counters")), (code, code == 1), "{fail_on}");
    }
}

/// What isn't counted any more can't rise. Nor can what a file says twice, or less of more tokens.
#[test]
fn a_gate_is_not_passed_by_not_counting() {
    let bench = Bench::new();
    bench.measure(&["20", "10"], ON, "base.json");
    let counted = bench.measure(&["20", "10"], ON, "head.json");
    let counters = |results: &Value| results["sessions"][0]["counters"].as_array().unwrap().clone();
    let with = |change: &dyn Fn(&mut Vec<Value>)| {
        let (mut head, mut cases) = (counted.clone(), counters(&counted));
        change(&mut cases);
        head["sessions"][0]["counters"] = cases.into();
        std::fs::write(bench.path("head.json"), head.to_string()).unwrap();
        (bench.compare(&["--fail-on", "counters"]), bench.compared(&[]))
    };
    let (ran, _) = with(&|_| {});
    assert_eq!(ran.code, 0, "{}", ran.err);
    let (ran, compared) = with(&Vec::clear);
    assert_eq!((ran.code, &compared["counters"]["not_compared"][0]["lost"]), (1, &true.into()), "{compared}");
    let (ran, compared) = with(&|cases| cases.push(cases[0].clone()));
    let said = compared["counters"]["not_compared"][0]["reason"].as_str().unwrap_or_default();
    assert_eq!((ran.code, said), (1, "one session has the counters of this case twice"));
    let without_launches =
        |pair: &mut Value| drop(pair["one_token"].as_object_mut().unwrap().remove("kernel_launches"));
    let lose_all = |case: &mut Value| case["pairs"] = Vec::<Value>::new().into();
    let lose_one = |case: &mut Value| case["pairs"].as_array_mut().unwrap().iter_mut().for_each(without_launches);
    for ((ran, compared), why) in [
        (with(&|cases| lose_all(&mut cases[0])), "the file says that it was counted, and not what"),
        (with(&|cases| lose_one(&mut cases[0])), "the head doesn't count kernel launches"),
    ] {
        let not_compared = &compared["counters"]["not_compared"][0];
        assert_eq!((ran.code, not_compared["reason"].as_str(), &not_compared["lost"]), (1, Some(why), &true.into()));
    }
    let (_, compared) = with(&|cases| {
        let pairs = cases[0]["pairs"].as_array_mut().unwrap();
        pairs.iter_mut().for_each(|pair| pair["all_tokens"]["kernel_launches"] = 1.into());
    });
    assert!(verdicts(&compared).contains(&"decode kernel_launches varies".to_owned()), "{compared}");
}

/// From where the counters begin to the end of their fold: what is around them is about times.
fn section(page: &str) -> String {
    let begin = page.find("Counters").map_or(0, |at| page[..at].rfind('\n').map_or(0, |line| line + 1));
    let end =
        page.find("as before").map_or(page.len(), |at| page[at..].find('\n').map_or(page.len(), |line| at + line));
    page[begin..end].to_owned()
}

#[test]
fn what_varies_says_so() {
    let bench = Bench::new();
    bench.measure(&["20", "10", "varies"], ON, "base.json");
    bench.measure(&["20", "10", "varies"], ON, "head.json");
    let compared = bench.compared(&[]);
    assert!(verdicts(&compared).contains(&"decode kernel_launches varies".to_owned()), "{compared}");
    assert!(!verdicts(&compared).iter().any(|row| row.ends_with("more") || row.ends_with("fewer")), "{compared}");
    let shown = bench.compare(&[]).out;
    assert!(shown.contains("varies") && shown.contains("–"), "{shown}");
    assert_eq!(bench.compare(&["--fail-on", "counters"]).code, 0);
}

/// What was dropped isn't counted, so what was counted isn't exact.
#[test]
fn a_trace_that_lacks_records_counts_nothing() {
    let bench = Bench::new();
    let results = bench.measure(&["20", "10", "drops"], ON, "base.json");
    let counters = &results["sessions"][0]["counters"];
    let why = counters[0]["why"].as_str().unwrap_or_else(|| panic!("{counters}"));
    assert!(why.contains("which CUPTI dropped"), "{counters}");
}

#[test]
fn as_before_is_half_a_line() {
    let bench = Bench::new();
    bench.measure(&["20", "10"], ON, "base.json");
    bench.measure(&["20", "10"], ON, "head.json");
    let shown = bench.compare(&[]).out;
    // Where lines break depends on the numbers before.
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("counters as before") && !words.contains("Counters"), "{shown}");
}

#[test]
fn without_cupti_nothing_fails_and_it_is_said_once() {
    let bench = Bench::new();
    for file in ["base.json", "head.json"] {
        bench.configure(&["20", "10"], ON);
        let ran = bench.run_beside(Path::new("/nowhere/libcupti.so"), &["run", "--output", file]);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    }
    let shown = bench.compare(&[]);
    assert_eq!(shown.out.matches("counters need an NVIDIA GPU and CUPTI").count(), 1, "{}", shown.out);
    insta::assert_snapshot!(
        "counters_without_cupti",
        section(&shown.out).lines().take(2).collect::<Vec<_>>().join("\n")
    );
}

/// The tracer is in no process, as on a machine without a GPU.
#[test]
fn a_program_without_cuda_isnt_counted() {
    let bench = Bench::new();
    let config = "[suites.tiny]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"./model\"]\ncontext-lengths = [1, 3]\n\
                  generated-length = 4\nruns = 1\n";
    std::fs::write(bench.path("bench-diff.toml"), config).unwrap();
    let ran = bench.run(&["run", "--counters", "--output", "base.json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let text = std::fs::read_to_string(bench.path("base.json")).unwrap();
    assert_eq!(text.matches("nothing in it uses CUDA").count(), 2, "{text}");
    assert_eq!(
        ran.err.matches("counting").count(),
        1,
        "what kept the tracer out of one case isn't tried again: {}",
        ran.err
    );
    bench.run(&["run", "--output", "plain.json"]);
    let text = std::fs::read_to_string(bench.path("plain.json")).unwrap();
    assert!(!text.contains("counters"), "not on a CPU, unless somebody asks");
}

/// As a workflow would: against a committed baseline, and told in the comment.
#[test]
fn ci_counts_the_head_and_tells_what_changed() {
    let bench = Bench::new();
    bench.measure(&["20", "10"], ON, "base.json");
    assert_eq!(bench.run(&["baseline", "update", "base.json"]).code, 0);
    bench.configure(&["20", "10", "--and", "12"], &format!("{ON}counters-floor = \"5%\"\n"));
    let same = bench.run(&["ci", "--no-publish", "--quiet", "--output", "same"]);
    assert_eq!(same.code, 0, "{}{}", same.out, same.err);
    let counters = |folder: &str| -> Value {
        let text = std::fs::read_to_string(bench.path(folder).join("report.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["comparison"].clone()
    };
    assert!(verdicts(&counters("same")).iter().all(|row| row.ends_with(" unchanged")), "{}", counters("same"));
    bench.configure(&["20", "12"], ON);
    let more = bench.run(&["ci", "--no-publish", "--quiet", "--output", "more"]);
    assert_eq!(more.code, 0, "{}{}", more.out, more.err);
    assert!(verdicts(&counters("more")).contains(&"decode kernel_launches more".to_owned()), "{}", counters("more"));
    let publish = |fail_on: &str| bench.run(&["publish", "--results", "more", "--fail-on", fail_on]);
    let told = publish("regression");
    assert!(
        told.code == 0 && told.out.contains("kernel launches 10 → 12 a token (+20.0%)"),
        "{}{}",
        told.out,
        told.err
    );
    assert_eq!(publish("counters").code, 1);
}
