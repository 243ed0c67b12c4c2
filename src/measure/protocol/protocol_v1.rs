//! Protocol 1, as bench-diff spoke it before the protocol had a number: what differs from today's.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Event;
use crate::case::{Case, DeviceKind, Dtype, EngineName, ImplementationName, Quantization, WeightsSource};
use crate::engine::ModelSpec;
use crate::hub::HubName;
use crate::results::{self, Ceilings, Program, Settings, v2};

#[derive(Deserialize)]
pub struct Job {
    model: Model,
    cases: Vec<Case>,
    settings: Settings,
    #[serde(default)]
    ceilings: Option<Ceilings>,
    #[serde(default)]
    trace: bool,
}

#[derive(Deserialize)]
struct Model {
    model: String,
    #[serde(default)]
    directory: Option<PathBuf>,
    #[serde(default)]
    revision: Option<String>,
    weights: WeightsSource,
    quantization: Quantization,
    dtype: Dtype,
    engine: EngineName,
    implementation: ImplementationName,
    device: DeviceKind,
    /// One card.
    #[serde(default)]
    gpu: u32,
    max_length: usize,
}

impl From<Job> for super::Job {
    fn from(job: Job) -> Self {
        let Job { model, cases, settings, ceilings, trace } = job;
        let model = ModelSpec {
            model: model.model,
            directory: model.directory,
            revision: model.revision,
            hub: HubName::DEFAULT,
            weights: model.weights,
            quantization: model.quantization,
            dtype: model.dtype,
            engine: model.engine,
            command: Vec::new(),
            start_directory: None,
            server: None,
            implementation: model.implementation,
            device: model.device,
            gpus: (model.device == DeviceKind::Cuda).then_some(model.gpu).into_iter().collect(),
            max_length: model.max_length,
            batch_size: 1,
            seed_protocol: None,
            prefill_chunk: None,
        };
        Self { model, cases, settings, ceilings, prompt_ids: None, trace, traced: None }
    }
}

/// A hello of version 1: it has no number, and candle's version is a field of the program.
pub fn hello(line: &[u8]) -> Option<Event> {
    #[derive(Deserialize)]
    #[serde(tag = "event", rename_all = "snake_case")]
    enum Line {
        Hello { program: results::v1::Program },
    }
    let Line::Hello { program } = serde_json::from_slice(line).ok()?;
    Some(Event::Hello { protocol: 1, program: v2::Program::from(program).into() })
}

/// Today's hello, with what a session of version 1 needs to read it.
#[derive(Serialize)]
pub struct Hello {
    event: &'static str,
    protocol: u32,
    program: Both,
}

#[derive(Serialize)]
struct Both {
    #[serde(flatten)]
    program: v2::Program,
    candle_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    candle_commit: Option<String>,
}

impl Hello {
    pub fn new(protocol: u32, program: &Program) -> Self {
        let candle = program.components.get("candle").cloned().unwrap_or_default();
        let (candle_version, candle_commit) = (candle.version.unwrap_or_default(), candle.commit);
        Self { event: "hello", protocol, program: Both { program: program.into(), candle_version, candle_commit } }
    }
}
