//! `bench-diff profile`

use serde::Serialize;

use super::format::Format;
use super::named_model::{check_room, named_model};
use crate::case::DeviceKind;
use crate::device::{GpuList, Gpus, Machine};
use crate::engine::profile::{DECODED, Profile};
use crate::engine::{self, ENGINES, EngineError, ModelSpec};
use crate::error::{Error, Exit, Result};
use crate::io::Io;
use crate::page::terminal;
use crate::render;
use crate::results::Ceilings;

const EXAMPLES: &str = "Examples:
  bench-diff profile Qwen/Qwen2.5-0.5B-Instruct
  bench-diff profile Qwen/Qwen2.5-7B-Instruct --context-length 30720
  bench-diff profile ./my-model --context-length 1 --format json";

/// Show where the time of one decode step and one prefill goes
///
/// For finding out why a row became slower: times of the `graph` implementation on a GPU, by kind of work, each with its
/// share of the device's measured limits, and of a decode step how long it waits for each input. Weights are generated:
/// they don't change the time.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// One of the Qwen2.5 models, a directory with a config.json, or a GGUF file
    model: String,

    /// Tokens in the prompt, and in the KV cache before the decode step
    #[arg(
        long,
        aliases = ["context", "context-lengths"],
        value_name = "N",
        default_value_t = 6144,
        value_parser = clap::value_parser!(u32).range(1..=1 << 20)
    )]
    context_length: u32,

    /// Which GPU: its number among those that are visible, or its UUID [default: 0]
    #[arg(long, alias = "gpu", value_name = "GPU")]
    gpus: Option<GpuList>,

    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Output<'a> {
    model: &'a str,
    #[serde(flatten)]
    profile: &'a Profile,
    ceilings: Option<Ceilings>,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let (spec, gpus) = spec(args)?;
    if let Some(lacking) = engine::find(&spec.engine).ok().and_then(|engine| engine.lacks(&spec)) {
        let gpu = "build it with `--features cuda`: a profile is one of a GPU";
        return Err(Error::usage(&spec.model).because(lacking).hint(gpu));
    }
    check_room(&spec, &gpus, DECODED)?;
    let (ceilings, profile) = measure(&spec, args.context_length as usize).map_err(|error| refused(&spec, error))?;
    match args.format {
        Format::Table => {
            let page = render::profile_tables::page(&spec.model, &profile, ceilings.as_ref());
            io.out.text(&terminal::for_stdout(&page))?;
        }
        Format::Json => {
            let output = Output { model: &spec.model, profile: &profile, ceilings };
            io.out.json(&output)?;
        }
    }
    Ok(Exit::Success)
}

fn measure(spec: &ModelSpec, context: usize) -> Result<(Option<Ceilings>, Profile), EngineError> {
    let kind = engine::find(&spec.engine)?;
    if let Some(refusal) = engine::refusals(kind, spec).into_iter().next() {
        return Err(EngineError::Failed(refusal.reason));
    }
    let ceilings = kind.ceilings(spec)?;
    let profile = engine::load(spec, &mut |_, _| {})?.profile(context)?;
    Ok((ceilings, profile))
}

fn spec(args: &Args) -> Result<(ModelSpec, Gpus)> {
    let (model, directory) = named_model(&args.model);
    let usual = ModelSpec::generated(&model, DeviceKind::Cuda);
    let shape = ENGINES[0].shape(&model, directory.as_deref()).map_err(|error| Error::of(Exit::Usage, error))?;
    let machine = Machine::here();
    let gpus = super::chosen_gpus(&machine, DeviceKind::Cuda, args.gpus.as_ref())?;
    let spec = ModelSpec {
        directory,
        quantization: shape.map_or(usual.quantization, |shape| shape.quantization),
        gpus: super::ordinals(&machine, &gpus),
        max_length: args.context_length as usize + DECODED,
        ..usual
    };
    Ok((spec, gpus))
}

fn refused(spec: &ModelSpec, error: EngineError) -> Error {
    match error {
        EngineError::OutOfMemory(_) => Error::measurement(format!(
            "{} with {} tokens doesn't fit into the GPU's memory",
            spec.model, spec.max_length
        ))
        .because(error)
        .hint("take less context or a smaller model"),
        other => Error::usage(&spec.model).because_of(other),
    }
}
