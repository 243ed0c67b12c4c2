//! The candle engine: finds a model's files, picks the implementation, generates and keeps the time.

use std::path::PathBuf;

use candle_core::{DType, Device};

use super::forward::Forward;
use super::qwen2::config::ModelConfig;
use super::qwen2::plain::Plain;
use super::qwen2::stock::Stock;
use super::qwen2::weights::Weights;
use super::{AllocatorPeak, Engine, EngineError, Generation, Loaded, ModelSpec, Progress, hub};
use crate::case::{DeviceKind, Dtype, Implementation, Quantization, WeightsSource};
use crate::models;

/// Of all generated weights: the number that the speed benchmark of Qwen2.5 seeds its generators with.
const SEED: u64 = 1024;

/// Why several GPUs are refused.
pub const ONE_GPU: &str = "the candle engine uses one GPU: name only one";

/// Prompt tokens that go through the model at a time, where the caller doesn't say: enough for full matrix products on
/// a GPU, and few enough for small buffers.
pub const fn default_prefill_chunk(device: DeviceKind) -> usize {
    match device {
        DeviceKind::Cuda => 2048,
        DeviceKind::Cpu => 512,
    }
}

/// The type that a model's numbers are held in: on a CPU, `plain` computes in F32.
pub fn held_dtype(implementation: Implementation, device: DeviceKind, dtype: Dtype) -> Dtype {
    match (implementation, device) {
        (Implementation::Plain, DeviceKind::Cpu) => Dtype::F32,
        _ => dtype,
    }
}

/// The type of weights and activations where nothing else is asked for.
pub fn default_dtype(device: DeviceKind) -> Dtype {
    match device {
        DeviceKind::Cuda => Dtype::Bf16,
        DeviceKind::Cpu => Dtype::F32,
    }
}

/// What runs a model where nothing else is asked for.
pub fn default_implementation(device: DeviceKind) -> Implementation {
    match device {
        DeviceKind::Cuda => Implementation::Graph,
        DeviceKind::Cpu => Implementation::Plain,
    }
}

/// A loaded model.
pub struct Candle {
    pub forward: Box<dyn Forward>,
    /// Token ids are below this.
    pub vocab_size: usize,
    loaded: Loaded,
    device: Device,
}

impl Candle {
    /// Loads what `spec` names. Prompts go through in chunks of `prefill_chunk` tokens.
    pub fn load(spec: &ModelSpec, prefill_chunk: Option<usize>, progress: Progress) -> Result<Self, EngineError> {
        check(spec, prefill_chunk)?;
        let files = Files::find(spec, progress)?;
        let config = files.config(spec)?;
        let device = open_device(spec)?;
        let dtype = candle_dtype(spec.dtype);
        let mut weights = match &files {
            Files::None => Weights::generated(SEED, &config, dtype, &device, progress),
            Files::Directory { path, .. } if spec.weights == WeightsSource::Generated => {
                tracing::debug!("shape from {}, weights generated", path.display());
                Weights::generated(SEED, &config, dtype, &device, progress)
            }
            Files::Directory { path, .. } => Weights::open(path, &config, dtype, &device, progress)?,
        };
        let chunk = prefill_chunk.unwrap_or(default_prefill_chunk(spec.device));
        let capacity = spec.max_length;
        let mut loaded = loaded(spec, &config, files.revision());
        let forward: Box<dyn Forward> = match spec.implementation {
            Implementation::Plain => Box::new(Plain::load(&config, &mut weights, capacity, chunk)?),
            Implementation::Stock => Box::new(Stock::load(&config, &mut weights, capacity)?),
            Implementation::Graph => match graph(&config, &mut weights, capacity, prefill_chunk)? {
                Ok(graph) => graph,
                Err(why) => {
                    loaded
                        .warnings
                        .push(format!("graph can't run this model here ({why}): the plain implementation ran instead"));
                    loaded.implementation = Some(Implementation::Plain);
                    Box::new(Plain::load(&config, &mut weights, capacity, chunk)?)
                }
            },
        };
        // Loading is over when the weights are there, not when their copies are queued.
        device.synchronize()?;
        #[cfg(feature = "cuda")]
        super::cuda::give_back_unused(&device);
        Ok(Self { forward, vocab_size: config.shape.vocab_size, loaded, device })
    }
}

/// The graph implementation, or why it can't run this model here.
#[cfg(feature = "cuda")]
fn graph(
    config: &ModelConfig,
    weights: &mut Weights,
    capacity: usize,
    chunk: Option<usize>,
) -> Result<Result<Box<dyn Forward>, String>, EngineError> {
    let graph = super::qwen2::graph::load(config, weights, capacity, chunk)?;
    Ok(graph.map(|graph| Box::new(graph) as Box<dyn Forward>))
}

#[cfg(not(feature = "cuda"))]
fn graph(
    _: &ModelConfig,
    _: &mut Weights,
    _: usize,
    _: Option<usize>,
) -> Result<Result<Box<dyn Forward>, String>, EngineError> {
    Ok(Err("this build has no GPU kernels".into()))
}

/// What can be refused before anything is downloaded.
fn check(spec: &ModelSpec, prefill_chunk: Option<usize>) -> Result<(), EngineError> {
    let refuse = |why: &str| Err(EngineError::Failed(why.to_owned()));
    if spec.quantization != Quantization::None {
        return Err(EngineError::Failed(format!(
            "{}: quantized weights ({}) can't be run yet; use the unquantized model",
            spec.model, spec.quantization
        )));
    }
    if spec.device == DeviceKind::Cuda && spec.gpus.count() > 1 {
        return refuse(ONE_GPU);
    }
    if spec.implementation == Implementation::Graph && spec.device == DeviceKind::Cpu {
        return refuse("the graph implementation needs a GPU; use plain on a CPU");
    }
    if spec.implementation == Implementation::Stock && prefill_chunk.is_some() {
        return refuse("stock takes a prompt in one pass; leave out the prefill chunk or use plain");
    }
    if prefill_chunk == Some(0) {
        return refuse("a prefill chunk has at least one token");
    }
    if spec.max_length == 0 {
        return refuse("the sequence must have at least one token");
    }
    Ok(())
}

/// A model's files on this machine.
enum Files {
    /// Generated weights of a built-in shape.
    None,
    Directory {
        path: PathBuf,
        /// The commit, where the hub told one.
        revision: Option<String>,
    },
}

impl Files {
    fn find(spec: &ModelSpec, progress: Progress) -> Result<Self, EngineError> {
        match (spec.weights, &spec.directory) {
            (WeightsSource::Hub, _) => {
                let snapshot = hub::download(&spec.model, spec.revision.as_deref(), progress)?;
                Ok(Self::Directory { path: snapshot.directory, revision: Some(snapshot.commit) })
            }
            (WeightsSource::Local | WeightsSource::Generated, Some(directory)) => {
                Ok(Self::Directory { path: directory.clone(), revision: None })
            }
            (WeightsSource::Local, None) => {
                Err(EngineError::Failed(format!("{}: local weights need the model's directory", spec.model)))
            }
            (WeightsSource::Generated, None) => Ok(Self::None),
        }
    }

    fn config(&self, spec: &ModelSpec) -> Result<ModelConfig, EngineError> {
        let published = models::find(&spec.model);
        let config = match self {
            Self::None => {
                let model = published.ok_or_else(|| {
                    EngineError::Failed(format!(
                        "{} is not a model of the Qwen2.5 collection, so its shape is unknown; give a directory with \
                         its config.json",
                        spec.model
                    ))
                })?;
                ModelConfig::published(model, spec.max_length)
            }
            Self::Directory { path, .. } => {
                let mut config = ModelConfig::read(path, &spec.model)?;
                if spec.weights == WeightsSource::Hub && published.is_some() {
                    config.stretch_published(spec.max_length);
                }
                config
            }
        };
        if config.shape.quantization != Quantization::None && spec.weights != WeightsSource::Generated {
            return Err(EngineError::Failed(format!(
                "{}: its weights are quantized ({}), which can't be run yet; use the unquantized model",
                spec.model, config.shape.quantization
            )));
        }
        Ok(config)
    }

    fn revision(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Directory { revision, .. } => revision.clone(),
        }
    }
}

fn candle_dtype(dtype: Dtype) -> DType {
    match dtype {
        Dtype::Bf16 => DType::BF16,
        Dtype::F16 => DType::F16,
        Dtype::F32 => DType::F32,
    }
}

pub(super) fn open_device(spec: &ModelSpec) -> Result<Device, EngineError> {
    match spec.device {
        DeviceKind::Cpu => Ok(Device::Cpu),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => super::cuda::open(spec.gpus.one()),
        #[cfg(not(feature = "cuda"))]
        DeviceKind::Cuda => Err(EngineError::Failed(
            "this build of bench-diff can't use a GPU; build it with `--features cuda`, or measure on the CPU".into(),
        )),
    }
}

fn loaded(spec: &ModelSpec, config: &ModelConfig, revision: Option<String>) -> Loaded {
    let shape = &config.shape;
    let mut warnings = Vec::new();
    let mut held = spec.dtype;
    match spec.implementation {
        Implementation::Stock => warnings.extend(Stock::warnings(candle_dtype(spec.dtype), spec.max_length)),
        Implementation::Plain if spec.device == DeviceKind::Cpu && spec.dtype != Dtype::F32 => {
            held = Dtype::F32;
            warnings
                .push(format!("on a CPU, {} weights are held in f32 and everything is computed in f32", spec.dtype));
        }
        Implementation::Plain | Implementation::Graph => {}
    }
    if config.yarn.is_none() && spec.max_length > shape.max_position_embeddings {
        warnings.push(format!(
            "{} tokens are more than the model's max_position_embeddings ({}), and its config.json has no rope_scaling",
            spec.max_length, shape.max_position_embeddings
        ));
    }
    Loaded {
        revision,
        implementation: Some(spec.implementation),
        warnings,
        decode_weight_bytes: shape.decode_weight_bytes(held),
        kv_bytes_per_token: shape.kv_bytes_per_token(held),
        flops_per_token: shape.flops_per_token(),
        attention_flops_per_token_squared: shape.attention_flops_per_token_squared(),
    }
}

impl Engine for Candle {
    fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    fn generate(&mut self, prompt: &[u32], generated_length: usize) -> Result<Generation, EngineError> {
        self.device.synchronize()?;
        let generated = self.forward.generate(prompt, generated_length)?;
        Ok(Generation { tokens: generated.tokens, token_times: generated.times, end_to_end: generated.end_to_end })
    }

    fn allocator_peak(&self) -> AllocatorPeak {
        #[cfg(feature = "cuda")]
        return AllocatorPeak { used: super::cuda::peak_used(&self.device) };
        #[cfg(not(feature = "cuda"))]
        AllocatorPeak::default()
    }

    fn reset_peak(&mut self) {
        #[cfg(feature = "cuda")]
        super::cuda::reset_peak(&self.device);
    }
}
