//! `bench-diff check-engine`

use std::path::PathBuf;
use std::time::Duration;

use crate::case::{DeviceKind, Dtype, ImplementationName, WeightsSource};
use crate::config::engines;
use crate::engine::command::{Found, check};
use crate::engine::{EngineKind, ModelSpec, command::CommandKind};
use crate::error::{Error, Exit, Result};
use crate::flags;
use crate::io::Io;
use crate::page::terminal;
use crate::render;

/// Check that a program speaks the engine protocol, and say what it does wrong
///
/// Starts the program three times and tries what docs/engine-protocol.md asks of it. Exit code 3 if it breaks a promise.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The model that it is to load: an id, or a directory
    #[arg(long, value_name = "ID|DIRECTORY", default_value = "Qwen/Qwen2.5-0.5B-Instruct")]
    model: String,
    /// Where the weights come from [default: local for a directory, else hub]
    #[arg(long, value_parser = flags::word::<WeightsSource>())]
    weights: Option<WeightsSource>,
    /// The type of weights and activations [default: bf16 on a GPU, f32 on a CPU]
    #[arg(long, value_parser = flags::word::<Dtype>())]
    dtype: Option<Dtype>,
    /// A word of the program's own [default: what it takes by itself]
    #[arg(long, value_parser = engines::implementation(), hide_possible_values = true)]
    implementation: Option<ImplementationName>,
    /// Where it is to run the model
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = flags::word::<DeviceKind>())]
    device: DeviceKind,
    /// Seconds that each answer may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    limit: u64,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

const EXAMPLES: &str = "Examples:
  bench-diff check-engine -- python3 my-engine.py
  bench-diff check-engine --model ./my-model --device cuda -- target/release/my-engine";

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let checks = check(&spec(args)?, Duration::from_secs(args.limit));
    io.out.text(&terminal::for_stdout(&render::conformance::page(&checks)))?;
    match checks.iter().all(|check| matches!(check.found, Found::Kept(_))) {
        true => Ok(Exit::Success),
        false => Err(Error::measurement("the program doesn't speak the engine protocol as it should")
            .hint("what is printed above says where; docs/engine-protocol.md says how it should")),
    }
}

fn spec(args: &Args) -> Result<ModelSpec> {
    let is_directory = args.model.starts_with(['.', '/']);
    let directory = is_directory.then(|| std::path::absolute(&args.model)).transpose();
    let directory: Option<PathBuf> = directory.map_err(|error| Error::usage("--model").because(error))?;
    let usual = if is_directory { WeightsSource::Local } else { WeightsSource::Hub };
    let (implementation, dtype) = CommandKind.usual(args.device);
    Ok(ModelSpec {
        directory,
        weights: args.weights.unwrap_or(usual),
        dtype: args.dtype.unwrap_or(dtype),
        engine: CommandKind.name().into(),
        command: args.command.clone(),
        implementation: args.implementation.clone().unwrap_or_else(|| implementation.into()),
        max_length: 512,
        ..ModelSpec::generated(args.model.clone(), args.device)
    })
}
