//! What unit tests share.

use std::time::Duration;

use super::generated::Generated;
use super::metrics_of_run::Sampled;
use super::protocol::Job;
use super::seen::Seen;
use crate::case::{Case, Clock, DeviceKind};
use crate::engine::{Costs, Generation, Loaded, ModelSpec};
use crate::results::{Ceilings, DeviceState, Environment, Gpu, Outcome, Program, Results, Run, Session, Settings};

fn model() -> ModelSpec {
    ModelSpec::generated("Qwen/Qwen2.5-0.5B-Instruct", DeviceKind::Cpu)
}

pub fn case(context_length: u32, generated_length: u32) -> Case {
    model().case(context_length, generated_length)
}

/// One case of 5 prompt and 10 generated tokens, after two warm-ups of 4.
pub fn job() -> Job {
    let settings = Settings { warmup: 2, warmup_length: Some(4), ..Settings::default() };
    let model = ModelSpec { max_length: 15, ..model() };
    Job { model, cases: vec![case(5, 10)], settings, ceilings: None, prompt_ids: None, trace: false, traced: None }
}

/// As a GPU gives them, with every field that a run can have.
pub fn results(cases: u32, rounds: u32, sessions: u32) -> Results {
    let cases: Vec<Case> = (0..cases).map(|i| case(6144 + i, 512)).collect();
    let session = |number: u32| Session {
        id: format!("20261124T041200Z-{number:08x}"),
        started: "2026-11-24T04:12:00Z".into(),
        finished: Some("2026-11-24T04:22:00Z".into()),
        program: Program { name: "bench-diff".into(), version: "0.1.0".into(), ..Program::default() },
        program_sha256: None,
        environment: Environment {
            gpus: vec![Gpu { name: "NVIDIA H100 80GB HBM3".into(), memory_mib: Some(81_559), ..Gpu::default() }],
            ..Environment::default()
        },
        ceilings: Some(CEILINGS),
        runs: (1..=rounds).flat_map(|round| cases.iter().map(move |case| run(case, round, number))).collect(),
        discarded: Vec::new(),
        counters: Vec::new(),
        step_parts: Vec::new(),
    };
    Results {
        suite: "full".into(),
        label: None,
        settings: job().settings,
        sessions: (1..=sessions).map(session).collect(),
        cases: cases.clone(),
    }
}

const CEILINGS: Ceilings = Ceilings { bandwidth_gb_s: 3080.0, matmul_tflop_s: 780.0 };

fn run(case: &Case, round: u32, session: u32) -> Run {
    let token =
        |i: u64| Duration::from_nanos(18_123_457 + i * 712_345 + (i * i * 7919 + u64::from(round * session)) % 40_000);
    let times = (0..u64::from(case.generated_length)).map(token).collect();
    let end = token(u64::from(case.generated_length));
    let generation = Generation::by_token((0..case.generated_length).collect(), times, Clock::Device, end);
    let seen = Seen {
        peak_bytes: Some(2_345_678_901),
        energy_j: Some(159.7),
        device: Some(DeviceState {
            sm_clock_mhz: Some(1980.0),
            memory_clock_mhz: Some(2619.0),
            temperature_c: Some(45.0),
            power_w: Some(450.1),
            throttle_reasons: Vec::new(),
        }),
        by_card: Vec::new(),
    };
    let costs = Costs {
        decode_weight_bytes: 988_065_792,
        kv_bytes_per_token: 12_288,
        flops_per_token: 987_000_000,
        attention_flops_per_token_squared: 43_008,
        decode_cards: 1,
        prefill_cards: 1,
    };
    let loaded = Loaded { costs: Some(costs), ..Loaded::default() };
    let sampled = Sampled {
        case,
        generated: &Generated::Alone(vec![generation]),
        shared_process: false,
        seen,
        allocated_bytes: Some(1_234_567_890),
        loaded: &loaded,
        ceilings: Some(&CEILINGS),
        is_sampled: false,
    };
    let (measurement, _) = sampled.measurement();
    Run { case: case.id.clone(), round, started: "2026-11-24T04:12:00Z".into(), outcome: Outcome::Ok(measurement) }
}
