//! The seam to whatever runs a model. Measuring, planning and the configuration know nothing else about an engine.
//!
//! An engine is a folder here and a line of [`ENGINES`]. It loads one model and generates greedily from token ids.

mod adapters;
mod asked_too_much;
pub mod candle;
pub mod command;
mod engine_error;
pub mod foreign_program;
mod generation;
pub mod greedy;
mod held_back;
mod json_fields;
mod loaded;
mod needs;
pub mod profile;
pub(crate) mod protocol;
mod replay;
pub mod sampling;
mod served;
pub mod server;
mod spec;

use std::path::Path;

pub use adapters::ADAPTERS;
pub use asked_too_much::refusals;
pub use engine_error::EngineError;
pub use generation::{Chunk, Generation};
pub use loaded::{Costs, Loaded};
pub use needs::{Memory, Needs, Refusal};
pub use served::Served;
pub use spec::{ModelSpec, ServerSpec};

use crate::case::{Case, DeviceKind, Dtype, EngineName, SeedProtocol, Traffic};
use crate::device::{Capacity, Gpus, Ordinals};
use crate::models::Model;
use crate::results::{Ceilings, StepParts};

/// Every engine. The first is the default.
pub static ENGINES: &[&dyn EngineKind] =
    &[&candle::CandleKind, &command::CommandKind, &server::ServerKind, &replay::ReplayKind];

/// An engine before it has loaded anything.
pub trait EngineKind: Sync {
    /// The word for it in configurations and results.
    fn name(&self) -> &'static str;

    /// Its implementations and what each is, the words of `implementation`.
    fn implementations(&self) -> &'static [(&'static str, &'static str)];

    /// Only there for tests of this program: no help and no error names it.
    fn is_hidden(&self) -> bool {
        false
    }

    /// It runs a program of somebody else, which another build of bench-diff would run just so.
    fn is_of_others(&self) -> bool {
        false
    }

    /// It generates for several requests at once.
    fn takes_traffic(&self) -> bool {
        false
    }

    /// The default implementation and type of weights and activations.
    fn usual(&self, device: DeviceKind) -> (&'static str, Dtype);

    /// The shape of a model: of the one in `directory`, or of the hub's id. `None` where the engine knows it alone.
    fn shape(&self, model: &str, directory: Option<&Path>) -> Result<Option<Model>, EngineError>;

    /// The settings of `spec` that it can't honour on any device.
    fn refusals(&self, spec: &ModelSpec) -> Vec<Refusal>;

    /// Why it can't generate several sequences at once; `None` where it can.
    fn refuses_batch(&self, _spec: &ModelSpec) -> Option<String> {
        Some(format!("the engine `{}` generates one sequence at a time: leave out the batch size", self.name()))
    }

    /// Why it can't generate as that program does; `None` where it can.
    fn refuses_seed_protocol(&self, _spec: &ModelSpec, protocol: SeedProtocol) -> Option<String> {
        Some(cant_follow(self.name(), protocol))
    }

    /// What this build lacks to run `spec` itself. Another build may have it.
    fn lacks(&self, _spec: &ModelSpec) -> Option<EngineError> {
        None
    }

    /// What a case of `spec` needs of a device. An estimate: it only keeps hopeless cases from being tried.
    fn needs(&self, spec: &ModelSpec, case: &Case, device: &Capacity) -> Result<Needs, EngineError>;

    /// Loads the model that `spec` names.
    fn load(&self, spec: &ModelSpec, progress: Progress) -> Result<Box<dyn Engine>, EngineError>;

    /// The same; `wait` is told what it waits for, for whoever gives up waiting.
    fn load_telling(&self, spec: &ModelSpec, progress: Progress, _: Wait) -> Result<Box<dyn Engine>, EngineError> {
        self.load(spec, progress)
    }

    /// Why it can't lay a model on several GPUs; `None` where it can.
    fn refuses_gpus(&self, _spec: &ModelSpec) -> Option<String> {
        None
    }

    /// Its numbers of `gpus` in this process, where it has its own: CUDA's order need not be the driver's.
    fn ordinals(&self, _gpus: &Gpus) -> Option<Ordinals> {
        None
    }

    /// What the device of `spec` can do at most; `None` where that says nothing about this engine's speed.
    fn ceilings(&self, _spec: &ModelSpec) -> Result<Option<Ceilings>, EngineError> {
        Ok(None)
    }
}

/// Of an engine that can't generate as that program does.
fn cant_follow(engine: &str, protocol: SeedProtocol) -> String {
    format!(
        "the engine `{engine}` can't follow Qwen's `{protocol}` protocol: use `candle`, or `command` with an adapter"
    )
}

/// A loaded model.
pub trait Engine {
    /// What loading found out.
    fn loaded(&self) -> &Loaded;

    /// Generates exactly `generated_length` tokens after `prompt`, greedily, whatever they are (no end of sequence). A batch
    /// does so in each of its sequences; what is told is of the first, and a token is there when those of all are.
    fn generate(&mut self, prompt: &[u32], generated_length: usize) -> Result<Generation, EngineError>;

    /// Answers as many requests as `traffic` says, each with `generated_length` tokens after a prompt as long as `prompt`.
    fn serve(&mut self, _traffic: Traffic, _prompt: &[u32], _generated_length: usize) -> Result<Served, EngineError> {
        Err(EngineError::refused("this engine generates for one request at a time", "use `concurrency = [1]`"))
    }

    /// As the seed protocol generates that was asked for at loading. Only `vllm`'s may be shorter.
    fn generate_sampled(&mut self, _prompt: &[u32], _generated_length: usize) -> Result<Generation, EngineError> {
        Err(EngineError::refused("this engine doesn't sample", "leave out the seed protocol"))
    }

    /// Whether this process, or one that it started, holds the model: only then its memory is the model's.
    fn runs_here(&self) -> bool {
        true
    }

    /// Most bytes in use inside the allocator since the last [`reset_peak`](Engine::reset_peak), if it reports them.
    fn allocated_peak(&mut self) -> Result<Option<u64>, EngineError> {
        Ok(None)
    }

    /// Begins a new peak of the allocator; nothing where it doesn't tell one.
    fn reset_peak(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    /// The forward pass, step by step: what `bench-diff generate` shows.
    fn logits(&mut self) -> Result<&mut dyn Logits, EngineError> {
        Err(EngineError::refused("this engine doesn't show its logits", "use `candle`"))
    }

    /// What a decode step is made of, from a generation of its own; `None` where the engine can't tell.
    fn step_parts(&mut self, _prompt: &[u32], _generated_length: usize) -> Result<Option<StepParts>, EngineError> {
        Ok(None)
    }

    /// Where the time of one decode step and one prefill goes, with `context` tokens: `bench-diff profile`.
    fn profile(&mut self, _context: usize) -> Result<profile::Profile, EngineError> {
        Err(EngineError::refused("this engine can't be profiled", "use `candle`"))
    }
}

/// A forward pass that shows what tokens are chosen by.
pub trait Logits {
    /// Token ids are below this.
    fn vocab_size(&self) -> usize;

    /// Begins a sequence. The logits after its last token.
    fn start(&mut self, prompt: &[u32]) -> Result<Vec<f32>, EngineError>;

    /// Appends a token. The logits after it.
    fn append(&mut self, token: u32) -> Result<Vec<f32>, EngineError>;
}

/// Called with the progress of loading: bytes done and in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Is told what loading waits for, in a sentence each time that it is another.
pub type Wait<'a> = &'a mut dyn FnMut(&str);

/// The engine of that name, or a sentence that lists the engines.
pub fn find(name: &EngineName) -> Result<&'static dyn EngineKind, EngineError> {
    let shown = || ENGINES.iter().filter(|kind| !kind.is_hidden()).map(|kind| kind.name());
    let unknown = || format!("unknown engine `{name}`: this build has {}", shown().collect::<Vec<_>>().join(", "));
    let found = ENGINES.iter().find(|kind| kind.name() == name.as_str());
    found.copied().ok_or_else(|| EngineError::Failed(unknown()))
}

/// Loads what `spec` names, with the engine that it names.
pub fn load(spec: &ModelSpec, progress: Progress) -> Result<Box<dyn Engine>, EngineError> {
    find(&spec.engine)?.load(spec, progress)
}
