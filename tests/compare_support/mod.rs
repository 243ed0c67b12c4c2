//! Files to compare, and results of a small machine that never was.

mod error_rates;
pub mod machine;
mod random;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use bench_diff::case::{Case, DeviceKind};
use bench_diff::compare::{CaseNote, Counts, Difference, Row, Tier, Verdict, disk};
use bench_diff::engine::ModelSpec;
use bench_diff::metric::{self, MetricName};
use bench_diff::results::{Environment, Gpu, Measurement, Outcome, Program, Results, Run, Session, Settings};
use serde::Deserialize;
use serde_json::{Value, json};

/// A base and a head file, gone when dropped.
pub struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    pub fn new(base: &Value, head: &Value) -> Self {
        Self::of_text(&base.to_string(), &head.to_string())
    }

    pub fn of_text(base: &str, head: &str) -> Self {
        Self::of_bytes(base.as_bytes(), head.as_bytes())
    }

    pub fn of_bytes(base: &[u8], head: &[u8]) -> Self {
        let files = Self { directory: tempfile::tempdir().expect("a directory") };
        std::fs::write(files.base(), base).expect("base.json");
        std::fs::write(files.head(), head).expect("head.json");
        files
    }

    pub fn base(&self) -> PathBuf {
        self.directory.path().join("base.json")
    }

    pub fn head(&self) -> PathBuf {
        self.directory.path().join("head.json")
    }
}

/// Exit code, stdout and stderr of `bench-diff compare`, without the directory's name.
pub fn run(files: &Files, flags: &[&str]) -> (ExitCode, String, String) {
    let mut args: Vec<OsString> = vec!["bench-diff".into(), "compare".into()];
    args.extend([files.base().into(), files.head().into()]);
    args.extend(flags.iter().map(OsString::from));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = bench_diff::run(args, &mut out, &mut err);
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).expect("UTF-8");
        text.replace(&format!("{}/", files.directory.path().display()), "")
    };
    (exit, text(out), text(err))
}

/// What `--format json` prints, as programs see it.
#[derive(Debug, Deserialize)]
pub struct Printed {
    pub verdict: Verdict,
    pub counts: Counts,
    pub tier: Tier,
    pub family: usize,
    pub rows: Vec<disk::Row>,
    pub notes: Vec<CaseNote>,
    pub differences: Vec<Difference>,
    pub warnings: Vec<String>,
}

pub fn compare_json(files: &Files, flags: &[&str]) -> Printed {
    let (exit, out, err) = run(files, &[flags, &["--format", "json", "--fail-on", "never"]].concat());
    assert_eq!((exit, err.as_str()), (ExitCode::SUCCESS, ""));
    let printed: Printed = serde_json::from_str(&out).expect("a comparison");
    for row in &printed.rows {
        assert!(row.reason_code.as_ref().is_some_and(|code| code.known().is_some()), "{row:?}");
        assert_eq!(disk::Row::from(&Row::from(row.clone())), *row, "read and written anew, nothing is lost");
    }
    printed
}

/// A cell of a samples file, for a metric that bench-diff knows.
pub fn cell(case: &str, metric: &str, samples: Vec<f64>) -> Value {
    let known = metric::find(metric).expect("a known metric").definition();
    json!({"case": case, "metric": metric, "unit": known.unit, "better": known.better, "samples": samples})
}

pub fn case(index: usize) -> Case {
    ModelSpec::generated(format!("Qwen/Qwen2.5-{}B", index + 1), DeviceKind::Cuda).case(6144, 32)
}

/// Six cases, three runs each, in the session `s-1`. `cost` makes a metric of a case worse.
pub fn session(cost: impl Fn(usize, &str) -> f64) -> Results {
    let mut runs = Vec::new();
    for round in 1..=3 {
        for index in 0..6 {
            let noise = [-1.0, 0.2, 0.8][round as usize - 1] * (0.003 + 0.0003 * index as f64);
            let level = (1.0 + index as f64 / 4.0) * (1.0 + noise);
            let slow = |name: &str| cost(index, name);
            let metrics = BTreeMap::from([
                (MetricName::from("decode_throughput"), 100.0 * level / slow("decode_throughput")),
                (MetricName::from("ttft"), 12.0 * level * slow("ttft")),
                (MetricName::from("itl_p99"), 9.0 * level * slow("itl_p99")),
                (MetricName::from("tpot"), 8.0 * level * slow("tpot")),
            ]);
            let measurement =
                Measurement { metrics, token_hash: Some(format!("tokens-{index}")), ..Measurement::default() };
            runs.push(Run {
                case: case(index).id,
                round,
                started: "2026-01-01T00:00:00Z".into(),
                outcome: Outcome::Ok(measurement),
            });
        }
    }
    let gpu = Gpu { name: "NVIDIA H100 80GB HBM3".into(), memory_mib: Some(81559), ..Gpu::default() };
    Results {
        suite: "small".into(),
        label: None,
        cases: (0..6).map(case).collect(),
        settings: Settings { prompt: "repeat".into(), ..Settings::default() },
        sessions: vec![Session {
            id: "s-1".into(),
            started: "2026-01-01T00:00:00Z".into(),
            finished: Some("2026-01-01T00:10:00Z".into()),
            program: Program { name: "bench-diff".into(), version: "0.1.0".into(), ..Program::default() },
            program_sha256: None,
            environment: Environment {
                gpus: vec![gpu],
                driver_version: Some("580.0".into()),
                cpu: Some("Some CPU".into()),
                cpu_cores: Some(8),
                ..Environment::default()
            },
            ceilings: None,
            runs,
            discarded: Vec::new(),
            counters: Vec::new(),
            step_parts: Vec::new(),
        }],
    }
}
