//! A loaded model: its implementation, its device, and what it tells of itself.

use std::time::Instant;

use candle_core::{DType, Device, Tensor};

use super::cards::places;
use super::files::Files;
use super::forward::{Forward, generate_with};
use super::qwen2::config::ModelConfig;
use super::qwen2::graph::GraphError;
use super::qwen2::plain::Plain;
use super::qwen2::stock::Stock;
use super::qwen2::weights::{Source, Weights};
use super::{Implementation, default_prefill_chunk, held_dtype, identity, refuses_gpus, unnamed_file, unread_kind};
use crate::case::{Clock, DeviceKind, Dtype, Quantization, WeightsSource};
use crate::engine::profile::Profile;
use crate::engine::sampling::{Sampler, Sampling};
use crate::engine::{Costs, Engine, EngineError, Generation, Loaded, Logits, ModelSpec, Progress};
use crate::models::Model;
use crate::results::StepParts;

/// Of all generated weights: the number that the speed benchmark of Qwen2.5 seeds its generators with.
const SEED: u64 = 1024;

/// A loaded model.
pub struct Candle {
    /// The forward pass of the implementation that was loaded.
    pub forward: Box<dyn Forward>,
    /// Token ids are below this.
    pub vocab_size: usize,
    loaded: Loaded,
    /// One, or those that the layers are laid on.
    devices: Vec<Device>,
    /// Whose clock `forward` tells of.
    clock: Clock,
    /// For a seed protocol.
    sampler: Option<Sampler>,
}

impl Candle {
    /// Loads what `spec` names.
    pub fn load(spec: &ModelSpec, progress: Progress) -> Result<Self, EngineError> {
        let mut ran = Implementation::of(spec)?;
        check(spec, ran)?;
        let files = Files::find(spec, progress)?;
        let started = Instant::now();
        let config = files.config(spec)?;
        if ran == Implementation::Stock && config.shape.quantization != Quantization::None {
            let why = format!("stock reads no {} weights", config.shape.quantization);
            return Err(EngineError::refused(why, "use plain"));
        }
        // Before the device is touched: files may be wrong.
        let source = source(spec, &files, &config)?;
        let identity = identity::of(&config, &source, files.weights(spec))?;
        let unused = source.unused(&config);
        let devices = open_devices(spec)?;
        let mut weights = Weights::new(source, &config, candle_dtype(spec.dtype), &devices[0], progress);
        let chunk = spec.prefill_chunk.unwrap_or(default_prefill_chunk(spec.device));
        let (capacity, sequences) = (spec.max_length, spec.batch_size.max(1) as usize);
        let sampler = sampler(spec, &files)?;
        let mut loaded = Loaded { identity: Some(identity), ..loaded(spec, ran, &config, files.revision()) };
        loaded.warnings.extend(files.other_kind(spec).into_iter().chain(unused));
        let places = places(spec, &config.shape, &devices)?;
        let forward: Box<dyn Forward> = match ran {
            Implementation::Plain => Box::new(Plain::load(&config, &mut weights, &places, capacity, chunk, sequences)?),
            Implementation::Stock => Box::new(Stock::load(&config, &mut weights, capacity, sequences)?),
            Implementation::Graph => match graph(&config, &mut weights, &devices, capacity, spec.prefill_chunk) {
                Ok(graph) => graph,
                Err(GraphError::Failed(error)) => return Err(error.into()),
                Err(why) => {
                    loaded
                        .warnings
                        .push(format!("graph can't run this model here ({why}): the plain implementation ran instead"));
                    ran = Implementation::Plain;
                    Box::new(Plain::load(&config, &mut weights, &places, capacity, chunk, sequences)?)
                }
            },
        };
        // Loading is over when the weights are there, not when their copies are queued.
        synchronize(&devices)?;
        let took = started.elapsed();
        loaded.load_seconds = Some(took.as_secs_f64());
        tracing::debug!("loaded in {took:.2?}");
        #[cfg(feature = "cuda")]
        devices.iter().for_each(super::cuda::give_back_unused);
        loaded.implementation = Some(ran.into());
        let held = held_dtype(ran, spec.device, spec.dtype);
        loaded.costs = Some(costs(spec, ran, &config.shape, held, weights.step_bytes(held)));
        // `graph` chooses the tokens on the device, which notes the time; the others are asked for each token.
        let clock = if ran == Implementation::Graph { Clock::Device } else { Clock::Host };
        Ok(Self { forward, vocab_size: config.shape.vocab_size, loaded, devices, clock, sampler })
    }
}

/// Where the weights come from.
fn source(spec: &ModelSpec, files: &Files, config: &ModelConfig) -> Result<Source, EngineError> {
    match files {
        Files::Directory { path, .. } if spec.weights != WeightsSource::Generated => Source::open(path, config),
        Files::Directory { path, .. } => {
            tracing::debug!("shape from {}, weights generated", path.display());
            Source::generated(SEED, config, Some(path))
        }
        Files::None => Source::generated(SEED, config, None),
    }
}

/// What chooses the tokens of a seed protocol.
fn sampler(spec: &ModelSpec, files: &Files) -> Result<Option<Sampler>, EngineError> {
    let Some(protocol) = spec.seed_protocol else { return Ok(None) };
    // What the hub gives is a published model's, whose generation_config is known.
    let directory = match files {
        Files::Directory { path, .. } if spec.weights != WeightsSource::Hub => Some(path.as_path()),
        Files::Directory { .. } | Files::None => None,
    };
    Ok(Some(Sampler::new(Sampling::of(protocol, &spec.model, directory)?)))
}

#[cfg(feature = "cuda")]
fn graph(
    config: &ModelConfig,
    weights: &mut Weights,
    devices: &[Device],
    capacity: usize,
    chunk: Option<usize>,
) -> Result<Box<dyn Forward>, GraphError> {
    use super::qwen2::graph::{load, load_on_two};
    match devices {
        [first, second] => {
            let devices = [first.clone(), second.clone()];
            Ok(Box::new(load_on_two(config, weights, devices, capacity, chunk)?))
        }
        _ => Ok(Box::new(load(config, weights, capacity, chunk)?)),
    }
}

#[cfg(not(feature = "cuda"))]
fn graph(
    _: &ModelConfig,
    _: &mut Weights,
    _: &[Device],
    _: usize,
    _: Option<usize>,
) -> Result<Box<dyn Forward>, GraphError> {
    Err(GraphError::NoKernels)
}

/// What can be refused before anything is downloaded.
fn check(spec: &ModelSpec, implementation: Implementation) -> Result<(), EngineError> {
    let fail = |why: &str| Err(EngineError::Failed(why.to_owned()));
    if let Some(why) = unnamed_file(spec).or_else(|| unread_kind(spec)) {
        return Err(EngineError::Failed(why));
    }
    if implementation == Implementation::Graph && spec.device == DeviceKind::Cpu {
        return Err(EngineError::refused("the graph implementation needs a GPU", "use plain on a CPU"));
    }
    if implementation == Implementation::Stock && spec.prefill_chunk.is_some() {
        let hint = "leave out the prefill chunk, or use plain";
        return Err(EngineError::refused("stock takes a prompt in one pass", hint));
    }
    if spec.prefill_chunk == Some(0) {
        return fail("a prefill chunk has at least one token");
    }
    if let Some(why) = refuses_gpus(spec, implementation) {
        return Err(EngineError::Failed(why));
    }
    if spec.batch_size > 1 && implementation == Implementation::Graph {
        return Err(EngineError::refused("graph generates one sequence at a time", "use plain or stock for a batch"));
    }
    if spec.max_length == 0 {
        return fail("the sequence must have at least one token");
    }
    Ok(())
}

fn candle_dtype(dtype: Dtype) -> DType {
    match dtype {
        Dtype::Bf16 => DType::BF16,
        Dtype::F16 => DType::F16,
        Dtype::F32 => DType::F32,
    }
}

/// At least one, in the order of `spec`.
pub(super) fn open_devices(spec: &ModelSpec) -> Result<Vec<Device>, EngineError> {
    match spec.device {
        DeviceKind::Cpu => Ok(vec![Device::Cpu; spec.gpus.count().max(1)]),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda if spec.gpus.count() > 1 => spec.gpus.all().iter().copied().map(super::cuda::open).collect(),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => Ok(vec![super::cuda::open(spec.gpus.one())?]),
        #[cfg(not(feature = "cuda"))]
        DeviceKind::Cuda => Err(super::without_cuda()),
    }
}

/// Waits until all have done what they have to do.
fn synchronize(devices: &[Device]) -> candle_core::Result<()> {
    devices.iter().try_for_each(Device::synchronize)
}

fn loaded(spec: &ModelSpec, implementation: Implementation, config: &ModelConfig, revision: Option<String>) -> Loaded {
    let shape = &config.shape;
    let mut warnings = Vec::new();
    if implementation == Implementation::Stock {
        warnings.extend(Stock::warnings(candle_dtype(spec.dtype), spec.max_length));
    }
    let held = held_dtype(implementation, spec.device, spec.dtype);
    if held != spec.dtype {
        warnings
            .push(format!("on a CPU, {} weights are held in {held} and everything is computed in {held}", spec.dtype));
    }
    if config.yarn.is_none() && spec.max_length > shape.max_position_embeddings {
        warnings.push(format!(
            "{} tokens are more than the model's max_position_embeddings ({}), and its config.json has no rope_scaling",
            spec.max_length, shape.max_position_embeddings
        ));
    }
    if spec.quantization != shape.quantization {
        warnings.push(format!("the weights of {} are {}, by its config.json", spec.model, shape.quantization));
    }
    Loaded { revision, warnings, ..Loaded::default() }
}

/// What generating costs: `step_bytes` of weights are read for each token.
fn costs(spec: &ModelSpec, ran: Implementation, shape: &Model, held: Dtype, step_bytes: u64) -> Costs {
    let (sequences, cards) = (u64::from(spec.batch_size.max(1)), spec.gpus.count().max(1) as u32);
    Costs {
        // Layers come one after the other, but `graph` has halves of them. The chunks of a prompt follow each other from
        // device to device.
        decode_cards: if ran == Implementation::Graph { cards } else { 1 },
        prefill_cards: cards,
        decode_weight_bytes: step_bytes,
        kv_bytes_per_token: sequences * shape.kv_bytes_per_token(held),
        flops_per_token: sequences * shape.flops_per_token(),
        attention_flops_per_token_squared: sequences * shape.attention_flops_per_token_squared(),
    }
}

impl Engine for Candle {
    fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    fn generate(&mut self, prompt: &[u32], generated_length: usize) -> Result<Generation, EngineError> {
        synchronize(&self.devices)?;
        let generated = self.forward.generate(prompt, generated_length)?;
        generated.check_logits()?;
        Ok(Generation::by_token(generated.tokens, generated.times, self.clock, generated.end_to_end))
    }

    fn generate_sampled(&mut self, prompt: &[u32], generated_length: usize) -> Result<Generation, EngineError> {
        let Some(sampler) = &mut self.sampler else {
            return Err(EngineError::refused("no seed protocol was asked for at loading", "name one"));
        };
        synchronize(&self.devices)?;
        let generated = generate_with(self.forward.as_mut(), sampler, prompt, generated_length)?;
        generated.check_logits()?;
        Ok(Generation::by_token(generated.tokens, generated.times, self.clock, generated.end_to_end))
    }

    #[cfg(feature = "cuda")]
    fn allocated_peak(&mut self) -> Result<Option<u64>, EngineError> {
        Ok(self.devices.iter().map(super::cuda::peak_used).sum())
    }

    #[cfg(feature = "cuda")]
    fn reset_peak(&mut self) -> Result<(), EngineError> {
        self.devices.iter().for_each(super::cuda::reset_peak);
        Ok(())
    }

    fn logits(&mut self) -> Result<&mut dyn Logits, EngineError> {
        Ok(self)
    }

    fn step_parts(&mut self, prompt: &[u32], generated_length: usize) -> Result<Option<StepParts>, EngineError> {
        synchronize(&self.devices)?;
        Ok(self.forward.step_parts(prompt, generated_length)?)
    }

    fn profile(&mut self, context: usize) -> Result<Profile, EngineError> {
        self.forward.profile(context)?.ok_or_else(|| {
            let why = self.loaded.warnings.join("; ");
            EngineError::Failed(format!("only the graph implementation can be profiled; {why}"))
        })
    }
}

impl Logits for Candle {
    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn start(&mut self, prompt: &[u32]) -> Result<Vec<f32>, EngineError> {
        self.forward.reset()?;
        values(&self.forward.prefill(prompt)?)
    }

    fn append(&mut self, token: u32) -> Result<Vec<f32>, EngineError> {
        values(&self.forward.step(token)?)
    }
}

fn values(logits: &Tensor) -> Result<Vec<f32>, EngineError> {
    Ok(logits.to_dtype(DType::F32)?.to_vec1()?)
}
