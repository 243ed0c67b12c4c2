//! `bench-diff generate`

use std::path::Path;

use clap::ValueEnum;

use super::named_model::{check_room, named_model};
use crate::case::{DeviceKind, Dtype, ImplementationName, Quantization, WeightsSource};
use crate::config::engines;
use crate::device::{GpuList, Gpus, Machine};
use crate::engine::greedy::{Generated, Logit, Step};
use crate::engine::{self, ENGINES, Engine, EngineError, ModelSpec};
use crate::error::{Error, Exit, Result};
use crate::files;
use crate::flags;
use crate::hub::HubName;
use crate::io::Io;
use crate::models::Model;
use crate::number::decimal;
use crate::page::terminal;
use crate::render;
use crate::trace::own_phase;

const EXAMPLES: &str = "Examples:
  bench-diff generate Qwen/Qwen2.5-0.5B-Instruct --prompt-ids 9707,11,1879 --generated-length 8 \\
      --top-logits 3
  bench-diff generate ./my-model --prompt-ids @prompt.json --generated-length 1 --format json
  bench-diff generate Qwen/Qwen2.5-0.5B --weights generated --prompt-ids 1,2,3 --generated-length 4";

/// Show a model's greedy tokens, and the logits they were chosen by
///
/// For checking an implementation against another, or against transformers.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A model's id on the hub, a directory with config.json and safetensors, or a GGUF file
    model: String,

    /// The prompt as token ids: 1,2,3 or @FILE (ids separated by commas or white space, or a JSON list)
    #[arg(long, value_name = "IDS")]
    prompt_ids: String,

    /// How many tokens to generate (up to 1048576)
    #[arg(long, alias = "tokens", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    generated_length: u32,

    /// Show the K highest logits of each step
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_logits: usize,

    /// The type of weights and activations [default: that of the published weights; bf16 for
    /// quantized ones on a GPU]
    #[arg(long, value_parser = flags::word::<Dtype>())]
    dtype: Option<Dtype>,

    /// What computes the forward pass [default: the fastest that the device can run]
    #[arg(long, value_parser = engines::implementation())]
    implementation: Option<ImplementationName>,

    /// Where the weights come from [default: local for a directory, else hub]
    #[arg(long, value_parser = flags::word::<WeightsSource>())]
    weights: Option<WeightsSource>,

    /// Which hub has the weights [default: huggingface]
    #[arg(long, value_parser = flags::word::<HubName>())]
    hub: Option<HubName>,

    /// The branch, tag or commit on the hub [default: main, or ModelScope's master]
    #[arg(long)]
    revision: Option<String>,

    /// Where to run
    #[arg(long, default_value = "auto")]
    device: Device,

    /// Which GPU, by its number among those that are visible or by its UUID; several with commas between [default: 0]
    #[arg(long, alias = "gpu", value_name = "GPU")]
    gpus: Option<GpuList>,

    /// How many prompt tokens to compute in one pass [default: the implementation's own]
    #[arg(long, value_name = "N")]
    prefill_chunk: Option<usize>,

    /// How to print the result
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Device {
    /// A GPU where there is one that this build can use
    Auto,
    /// The CPU
    Cpu,
    /// An NVIDIA GPU
    Cuda,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For a terminal
    Text,
    /// For programs
    Json,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let prompt = prompt_ids(&args.prompt_ids)?;
    let (spec, gpus) = spec(args, prompt.len())?;
    check_room(&spec, &gpus, args.generated_length as usize)?;
    let mut model = load(&spec)?;
    let vocab_size = model.logits().map_err(|error| failed(&spec, error))?.vocab_size();
    if let Some(id) = prompt.iter().find(|id| **id as usize >= vocab_size) {
        return Err(Error::usage(format!(
            "--prompt-ids: {id} is not a token of {}: ids go from 0 to {}",
            spec.model,
            vocab_size - 1
        )));
    }
    for warning in &model.loaded().warnings {
        writeln!(io.err, "warning: {warning}")?;
    }
    let steps = generate(model.as_mut(), &prompt, args).map_err(|error| failed(&spec, error))?;
    let generated = Generated {
        model: spec.model,
        revision: model.loaded().revision.clone(),
        weights: spec.weights,
        dtype: spec.dtype,
        implementation: model.loaded().implementation.clone().unwrap_or(spec.implementation),
        device: spec.device,
        prompt_ids: prompt,
        tokens: steps.iter().map(|step| step.token).collect(),
        steps,
    };
    match args.format {
        Format::Json => io.out.json_line(&generated)?,
        Format::Text => io.out.text(&terminal::for_stdout(&render::greedy_tokens::page(&generated)))?,
    }
    Ok(Exit::Success)
}

/// A list of the longest prompt takes less.
const MOST_OF_IDS: u64 = 2 << 20;

/// The ids of `--prompt-ids`, or of the file it names.
fn prompt_ids(given: &str) -> Result<Vec<u32>> {
    let (text, place) = match given.strip_prefix('@') {
        None => (given.to_owned(), "--prompt-ids".to_owned()),
        Some(path) => {
            let text = files::text_at_most(Path::new(path), MOST_OF_IDS)
                .map_err(|error| Error::reading(Path::new(path), error))?;
            (text, path.to_owned())
        }
    };
    let inner = text.trim();
    let inner = inner.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(inner);
    let words = inner.split(|letter: char| letter == ',' || letter.is_whitespace()).filter(|word| !word.is_empty());
    let ids: Vec<u32> = words
        .map(|word| word.parse().map_err(|_| Error::usage(format!("{place}: {word:?} is not a token id"))))
        .collect::<Result<_>>()?;
    if ids.is_empty() {
        return Err(Error::usage(format!("{place}: no token ids")).hint("give at least one"));
    }
    Ok(ids)
}

fn spec(args: &Args, prompt_length: usize) -> Result<(ModelSpec, Gpus)> {
    let (model, directory) = named_model(&args.model);
    let weights = args.weights.unwrap_or(match directory {
        Some(_) => WeightsSource::Local,
        None => WeightsSource::Hub,
    });
    if weights == WeightsSource::Local && directory.is_none() {
        return Err(Error::usage(format!("{}: no such directory; --weights local needs one", args.model)));
    }
    if weights == WeightsSource::Hub && directory.is_some() {
        return Err(Error::usage(format!("{}: the hub has no weights for it: it is here", args.model))
            .hint("--weights local or generated"));
    }
    let of_a_hub = [("--revision", args.revision.is_some()), ("--hub", args.hub.is_some())];
    if let Some((flag, _)) = of_a_hub.iter().find(|(_, given)| *given && weights != WeightsSource::Hub) {
        return Err(
            Error::usage(format!("{flag}: the weights of {} don't come from a hub", args.model)).hint("leave it out")
        );
    }
    let machine = Machine::here();
    let device = match args.device {
        Device::Auto => machine.kind(),
        Device::Cpu => DeviceKind::Cpu,
        Device::Cuda => DeviceKind::Cuda,
    };
    let gpus = super::chosen_gpus(&machine, device, args.gpus.as_ref())?;
    let usual = ModelSpec::generated(&model, device);
    let shape = ENGINES[0].shape(&model, directory.as_deref()).map_err(|error| Error::of(Exit::Usage, error))?;
    let spec = ModelSpec {
        // bf16, Qwen2.5's own, where the type of the published weights isn't known before they are downloaded.
        dtype: args.dtype.or(published_dtype(shape.as_ref(), device)).unwrap_or(Dtype::Bf16),
        quantization: shape.map_or(usual.quantization, |shape| shape.quantization),
        directory,
        revision: args.revision.clone(),
        hub: args.hub.unwrap_or_default(),
        weights,
        implementation: args.implementation.clone().unwrap_or_else(|| usual.implementation.clone()),
        gpus: super::ordinals(&machine, &gpus),
        max_length: prompt_length + args.generated_length as usize,
        prefill_chunk: args.prefill_chunk,
        ..usual
    };
    Ok((spec, gpus))
}

/// The type of the published weights. On a GPU, that of quantized ones is their scales': nothing asks for it in
/// activations, and the fastest implementation computes in bf16.
fn published_dtype(shape: Option<&Model>, device: DeviceKind) -> Option<Dtype> {
    let shape = shape.filter(|shape| device == DeviceKind::Cpu || shape.quantization == Quantization::None)?;
    shape.torch_dtype
}

/// Loads the model; a bar tells of it on a terminal.
fn load(spec: &ModelSpec) -> Result<Box<dyn Engine>> {
    let bar = indicatif::ProgressBar::new(0).with_message(format!("loading {}", spec.model));
    if let Ok(style) = indicatif::ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {bar:30} {eta}") {
        bar.set_style(style);
    }
    let model = engine::load(spec, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    if let Some(seconds) = model.as_ref().ok().and_then(|model| model.loaded().load_seconds) {
        bar.println(format!("loaded in {} s", decimal(seconds, 2)));
    }
    bar.finish_and_clear();
    // Nothing has run yet: what was asked for can't be loaded.
    model.map_err(|error| match error {
        EngineError::OutOfMemory(_) => failed(spec, error),
        other => Error::of(Exit::Usage, other),
    })
}

fn failed(spec: &ModelSpec, error: EngineError) -> Error {
    match error {
        EngineError::OutOfMemory(_) => Error::measurement(format!(
            "{} with {} tokens in {} doesn't fit into the device's memory",
            spec.model, spec.max_length, spec.dtype
        ))
        .because(error)
        .hint("take fewer tokens or a smaller model"),
        other => Error::measurement(&spec.model).because_of(other),
    }
}

fn generate(model: &mut dyn Engine, prompt: &[u32], args: &Args) -> Result<Vec<Step>, EngineError> {
    let forward = model.logits()?;
    // Logits are read back after each: where a phase begins, the device has nothing left to do.
    own_phase::begin("prefill");
    let mut logits = forward.start(prompt)?;
    own_phase::begin("decode");
    let mut steps = Vec::with_capacity(args.generated_length as usize);
    loop {
        let top = highest(logits, args.top_logits.max(1));
        let (token, logit) = top[0];
        if !logit.is_finite() {
            return Err(EngineError::Failed(format!("the logits of step {} are not numbers", steps.len() + 1)));
        }
        let shown = top.into_iter().take(args.top_logits);
        steps.push(Step { token, top_logits: shown.map(|(id, logit)| Logit { id, logit }).collect() });
        if steps.len() == args.generated_length as usize {
            own_phase::begin("end");
            return Ok(steps);
        }
        logits = forward.append(token)?;
    }
}

/// The `count` highest logits with their tokens, highest first; equal ones by token id.
fn highest(logits: Vec<f32>, count: usize) -> Vec<(u32, f32)> {
    let mut ranked: Vec<(u32, f32)> = (0..).zip(logits).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(count);
    ranked
}
