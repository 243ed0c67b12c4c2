//! Samples as measuring leaves them: levels that a test chooses, and noise that is the same on every machine. What they
//! show is bench-diff's to say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bench_diff::case::{Case, DeviceKind};
use bench_diff::compare::Side;
use bench_diff::engine::ModelSpec;
use bench_diff::metric::MetricName;
use bench_diff::results::{
    DeviceState, Environment, Failure, FailureKind, Gpu, Measurement, Outcome, Program, Results, Run, Session, Settings,
};

pub const SMALL: &str = "Qwen2.5-0.5B-Instruct/bf16/1";
pub const LONG: &str = "Qwen2.5-0.5B-Instruct/bf16/6144";
pub const LARGE: &str = "Qwen2.5-7B-Instruct/bf16/6144";

/// What a program does with some cases, on an H100.
#[derive(Clone)]
pub struct Samples {
    cases: Vec<String>,
    commit: String,
    /// Which noise.
    seed: String,
    runs: u32,
    /// Of the GPU, in watts.
    power_limit: f64,
    driver: &'static str,
    /// Relative standard deviation from run to run.
    noise: f64,
    noise_of: HashMap<(String, &'static str), f64>,
    factors: HashMap<(String, &'static str), f64>,
    failures: HashMap<String, Failure>,
    tokens: BTreeSet<String>,
}

impl Samples {
    pub fn of<S: ToString>(commit: &str, cases: &[S]) -> Self {
        Self {
            cases: cases.iter().map(S::to_string).collect(),
            commit: commit.into(),
            seed: commit.into(),
            runs: 3,
            power_limit: 700.0,
            driver: "580.65.06",
            noise: 0.004,
            noise_of: HashMap::new(),
            factors: HashMap::new(),
            failures: HashMap::new(),
            tokens: BTreeSet::new(),
        }
    }

    /// The same, by a program that was built from another commit.
    pub fn at(&self, commit: &str) -> Self {
        Self { commit: commit.into(), seed: commit.into(), ..self.clone() }
    }

    /// With other noise.
    pub fn seed(self, seed: &str) -> Self {
        Self { seed: seed.into(), ..self }
    }

    pub fn runs(&self, runs: u32) -> Self {
        Self { runs, ..self.clone() }
    }

    pub fn power_limit(self, power_limit: f64) -> Self {
        Self { power_limit, ..self }
    }

    pub fn driver(self, driver: &'static str) -> Self {
        Self { driver, ..self }
    }

    pub fn noise(self, noise: f64) -> Self {
        Self { noise, ..self }
    }

    pub fn noise_of(mut self, case: &str, metric: &'static str, noise: f64) -> Self {
        self.noise_of.insert((case.into(), metric), noise);
        self
    }

    /// Moves the level of a metric by this share.
    pub fn changed(mut self, case: &str, metric: &'static str, change: f64) -> Self {
        self.factors.insert((case.into(), metric), 1.0 + change);
        self
    }

    pub fn with_case(mut self, case: &str) -> Self {
        self.cases.push(case.into());
        self
    }

    /// Every run of the case fails.
    pub fn failing(mut self, case: &str, kind: FailureKind, reason: &str) -> Self {
        self.failures.insert(case.into(), Failure { kind, reason: reason.into() });
        self
    }

    pub fn with_other_tokens(mut self, case: &str) -> Self {
        self.tokens.insert(case.into());
        self
    }

    /// One session that started then; sessions of one id were measured interleaved.
    pub fn session(&self, id: &str, started: &str) -> Results {
        self.sessions(&[(id, started)])
    }

    /// A session each day, the last of them then.
    pub fn history(&self, days: std::ops::RangeInclusive<u32>) -> Results {
        let sessions: Vec<(String, String)> =
            days.map(|day| (format!("nightly-{day}"), format!("2025-11-{day:02}T08:00:00Z"))).collect();
        self.sessions(&sessions.iter().map(|(id, started)| (id.as_str(), started.as_str())).collect::<Vec<_>>())
    }

    fn sessions(&self, sessions: &[(&str, &str)]) -> Results {
        Results {
            suite: "smoke".into(),
            label: None,
            cases: self.cases.iter().map(|id| case(id)).collect(),
            settings: Settings { runs: self.runs, ..Settings::default() },
            sessions: sessions.iter().map(|(id, started)| self.one_session(id, started)).collect(),
        }
    }

    fn one_session(&self, id: &str, started: &str) -> Session {
        let rounds = (1..=self.runs).flat_map(|round| self.cases.iter().map(move |case| (round, case)));
        let run = |(round, case): (u32, &String)| Run {
            case: case.clone(),
            round,
            started: started.into(),
            outcome: match self.failures.get(case) {
                Some(failure) => Outcome::Failed(failure.clone()),
                None => Outcome::Ok(self.measurement(id, case, round)),
            },
        };
        Session {
            id: id.into(),
            started: started.into(),
            finished: Some(started.into()),
            program: self.program(),
            program_sha256: None,
            environment: self.environment(),
            ceilings: None,
            runs: rounds.map(run).collect(),
            discarded: Vec::new(),
            counters: Vec::new(),
            step_parts: Vec::new(),
        }
    }

    fn program(&self) -> Program {
        let (name, version) = ("bench-diff".into(), "0.1.0".into());
        Program { name, version, commit: Some(self.commit.clone()), ..Program::default() }
    }

    fn environment(&self) -> Environment {
        let gpu = Gpu {
            name: "NVIDIA H100 80GB HBM3".into(),
            memory_mib: Some(81559),
            power_limit_w: Some(self.power_limit),
            ..Gpu::default()
        };
        Environment {
            gpus: vec![gpu],
            driver_version: Some(self.driver.into()),
            cpu: Some("Intel Xeon".into()),
            cpu_cores: Some(16),
            os: Some("Linux".into()),
            kernel: Some("6.8".into()),
            ..Environment::default()
        }
    }

    fn measurement(&self, session: &str, case: &str, round: u32) -> Measurement {
        let value = |(metric, level): (&'static str, f64)| {
            let key = (case.to_owned(), metric);
            let factor = self.factors.get(&key).copied().unwrap_or(1.0);
            let noise = match metric {
                "peak_memory" => 0.0,
                _ => {
                    let noise = self.noise_of.get(&key).copied().unwrap_or(self.noise);
                    DRIFT * of_pattern(session, 0)
                        + noise * of_pattern(&[session, &self.seed, case, metric].join(" "), round)
                }
            };
            (MetricName::from(metric), level * factor * (1.0 + noise))
        };
        let device =
            DeviceState { sm_clock_mhz: Some(1980.0), memory_clock_mhz: Some(2619.0), ..DeviceState::default() };
        Measurement {
            metrics: levels(case).map(value).into_iter().collect::<BTreeMap<_, _>>(),
            token_hash: Some(if self.tokens.contains(case) { "00aa".into() } else { "00ff".into() }),
            device: Some(device),
            ..Measurement::default()
        }
    }
}

pub fn side(name: &str, results: &Results) -> Side {
    Side::from_results(name, results)
}

/// A case as a suite would plan it. A program of others may call one anything.
fn case(id: &str) -> Case {
    let (model, context) = match id.split('/').collect::<Vec<_>>()[..] {
        [model, "bf16", context] => (model, context.parse().unwrap_or(1)),
        _ => ("Qwen2.5-0.5B-Instruct", 1),
    };
    Case { id: id.into(), ..ModelSpec::generated(format!("Qwen/{model}"), DeviceKind::Cuda).case(context, 2048) }
}

/// About what an H100 does.
fn levels(case: &str) -> [(&'static str, f64); 4] {
    let [decode, ttft, itl_p99, memory] = match case {
        SMALL => [1600.0, 0.62, 0.66, 3400.0],
        LONG => [1450.0, 13.5, 0.74, 3400.0],
        LARGE => [188.0, 125.0, 5.5, 17_500.0],
        _ => [100.0, 20.0, 11.0, 512.0],
    };
    [("decode_throughput", decode), ("ttft", ttft), ("itl_p99", itl_p99), ("peak_memory", memory)]
}

/// Relative standard deviation of what a session does to all of its runs.
const DRIFT: f64 = 0.002;

/// The standard normal distribution in 16 values, shuffled.
const PATTERN: [f64; 16] =
    [0.40, -1.01, 0.08, 1.32, -0.24, -0.58, 1.86, -0.40, 0.58, -1.32, 0.24, 1.01, -0.08, -1.86, 0.78, -0.78];

/// Where the pattern begins, and with which steps it goes on, depends on the name.
fn of_pattern(name: &str, round: u32) -> f64 {
    // FNV-1a: the same on every machine.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let (start, step) = ((hash >> 20) % 16, (hash >> 40) % 8 * 2 + 1);
    PATTERN[((start + step * u64::from(round)) % 16) as usize]
}
