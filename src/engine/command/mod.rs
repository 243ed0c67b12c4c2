//! The engine `command`: a program of its own, by anybody, that speaks the engine protocol (`protocol.rs`).

mod answers;
mod asking;
mod flushing;
mod no_answer;
mod optional;
mod plausible;
mod promises;
mod running;

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use answers::Answered;
use flushing::Flushing;
pub use promises::{Check, Found, check};
pub use running::Limits;
use running::{MESSAGE, NAME_LENGTH, RunningProgram};

use super::protocol::{Answer, Request};
use super::{
    Engine, EngineError, EngineKind, Generation, Loaded, ModelSpec, Needs, Progress, Refusal, foreign_program,
};
use crate::case::{Case, DeviceKind, Dtype, ImplementationName, SeedProtocol};
use crate::child::clean;
use crate::device::Capacity;
use crate::hub::model_file;
use crate::models::{self, Model};

/// Its name.
pub const NAME: &str = "command";

/// How long a program has to say hello, where it is only asked whether it is an engine.
const HELLO: Duration = Duration::from_secs(5);
/// Warnings of a program that are kept.
const WARNINGS: usize = 20;

/// The engine, before it has started anything.
pub struct CommandKind;

impl EngineKind for CommandKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn implementations(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn is_of_others(&self) -> bool {
        true
    }

    fn usual(&self, device: DeviceKind) -> (&'static str, Dtype) {
        match device {
            DeviceKind::Cuda => (ImplementationName::UNNAMED, Dtype::Bf16),
            DeviceKind::Cpu => (ImplementationName::UNNAMED, Dtype::F32),
        }
    }

    fn shape(&self, model: &str, directory: Option<&Path>) -> Result<Option<Model>, EngineError> {
        Ok(directory.is_none().then(|| models::find(model).cloned()).flatten())
    }

    /// Its program alone knows what it can do.
    fn refuses_batch(&self, _: &ModelSpec) -> Option<String> {
        None
    }

    fn refuses_seed_protocol(&self, _: &ModelSpec, _: SeedProtocol) -> Option<String> {
        None
    }

    fn refusals(&self, spec: &ModelSpec) -> Vec<Refusal> {
        let reason = wrong(&spec.command);
        reason.map(|reason| Refusal { setting: "command", reason }).into_iter().collect()
    }

    fn needs(&self, spec: &ModelSpec, _: &Case, _: &Capacity) -> Result<Needs, EngineError> {
        let lacking = foreign_program::lacking(&spec.command, spec.start_directory.as_deref());
        Ok(Needs { vocab_size: vocab_size(spec), lacking, ..Needs::default() })
    }

    fn load(&self, spec: &ModelSpec, progress: Progress) -> Result<Box<dyn Engine>, EngineError> {
        Ok(Box::new(Command::load(spec, progress)?))
    }
}

/// What is wrong with how a program is to be started, before it is looked for.
fn wrong(command: &[String]) -> Option<String> {
    match command.first().map(|program| program.trim()) {
        None => Some("the engine `command` needs `command`, the program to start and its arguments".to_owned()),
        Some("") => Some("`command` is empty: it needs the program to start and its arguments".to_owned()),
        Some(first) if first.starts_with('[') => Some(format!(
            "`command` begins like a list, but isn't one in JSON, such as `[\"python3\", \"my-engine.py\"]`: {}",
            clean(&command.join(" "), NAME_LENGTH)
        )),
        Some(_) => None,
    }
}

/// Does a program speak the engine protocol, as far as its hello shows?
pub fn says_hello(program: &Path) -> bool {
    let command = vec![program.display().to_string()];
    let spec = ModelSpec { command, ..ModelSpec::generated("", DeviceKind::Cpu) };
    RunningProgram::start_within(&spec, Limits { hello: HELLO, answer: HELLO }).is_ok()
}

/// The size of the model's vocabulary, as far as anybody but the program can tell.
fn vocab_size(spec: &ModelSpec) -> Option<usize> {
    #[derive(Deserialize)]
    struct Config {
        vocab_size: usize,
    }
    let Some(directory) = &spec.directory else { return models::find(&spec.model).map(|model| model.vocab_size) };
    let config = model_file::read(&directory.join("config.json")).ok()?;
    serde_json::from_slice(&config).ok().map(|Config { vocab_size }| vocab_size)
}

/// A program that has loaded its model.
struct Command {
    program: RunningProgram,
    loaded: Loaded,
    device: DeviceKind,
    flushing: Flushing,
}

impl Command {
    fn load(spec: &ModelSpec, progress: Progress) -> Result<Self, EngineError> {
        let (mut program, itself) = RunningProgram::start(spec)?;
        program.ask(&program.loading(spec))?;
        loop {
            match program.answer()?.answer {
                Answer::Loading { done, total } => progress(done, total),
                Answer::Loaded { implementation, revision, warnings, batch_size, seed_protocol } => {
                    program.check_promised(spec, batch_size, seed_protocol.as_ref())?;
                    let implementation = implementation.map(|word| clean(word.as_str(), NAME_LENGTH).into());
                    let implementation = implementation.or_else(|| Some(spec.implementation.clone()));
                    let revision = revision.map(|revision| clean(&revision, NAME_LENGTH));
                    let warnings = warnings.iter().take(WARNINGS).map(|said| clean(said, MESSAGE)).collect();
                    let told = Loaded { revision, implementation, warnings, ..Loaded::default() };
                    let loaded = Loaded { program: Some(itself), ..told };
                    return Ok(Self { program, loaded, device: spec.device, flushing: Flushing::default() });
                }
                other => return Err(program.out_of_turn(&other, "`load`")),
            }
        }
    }

    /// The most memory that was in use since the last time, if the program tells.
    fn memory(&mut self) -> Result<Option<u64>, EngineError> {
        self.program.ask(&Request::Memory)?;
        match self.program.answer()?.answer {
            Answer::Memory { peak_bytes } => {
                let peak = peak_bytes.filter(|&bytes| bytes > 0);
                peak.map_or(Ok(()), |bytes| plausible::check_memory(bytes, self.device))?;
                Ok(peak)
            }
            other => Err(self.program.out_of_turn(&other, "`memory`")),
        }
    }
}

impl Engine for Command {
    fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    fn generate(&mut self, prompt: &[u32], generated_length: usize) -> Result<Generation, EngineError> {
        let Answered { generation, held_back } = self.program.generate(prompt, generated_length)?;
        let warning = self.flushing.check(held_back, generation.chunks.len())?;
        self.loaded.warnings.extend(warning);
        Ok(generation)
    }

    /// Only the whole of it is timed.
    fn generate_sampled(&mut self, prompt: &[u32], generated_length: usize) -> Result<Generation, EngineError> {
        Ok(self.program.generate(prompt, generated_length)?.generation)
    }

    fn allocated_peak(&mut self) -> Result<Option<u64>, EngineError> {
        self.memory()
    }

    fn reset_peak(&mut self) -> Result<(), EngineError> {
        self.memory().map(drop)
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        self.program.quit();
    }
}
