//! `bench-diff models`

use std::path::PathBuf;

use super::format::Format;
use super::plan::bytes_of_device;
use super::pull;
use crate::case::DeviceKind;
use crate::catalog::catalog;
use crate::config;
use crate::device::{Capacity, GpuList, Gpus, Machine};
use crate::error::{Error, Exit, Result};
use crate::io::Io;
use crate::page::terminal;
use crate::render;

/// List the 42 models: how large they are, what is in a hub's cache, and what fits this GPU
///
/// Nothing is asked of a hub: sizes follow from the models' shapes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Say what fits a GPU with this much memory, in GiB [default: that of this machine's first GPU]
    #[arg(long, value_name = "GIB")]
    device_memory: Option<f64>,
    /// Configuration file: its `hub` is the one that models are downloaded from [default: bench-diff.toml here or in a parent
    /// directory]
    #[arg(long, value_name = "FILE", env = "BENCH_DIFF_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// How to print the list
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Pull(pull::Args),
}

const EXAMPLES: &str = "Examples:
  bench-diff models
  bench-diff models --device-memory 24 --format json
  bench-diff models pull Qwen/Qwen2.5-0.5B-Instruct";

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    if let Some(Command::Pull(args)) = &args.command {
        return pull::run(args, io);
    }
    let config = config::load(args.config.as_deref())?;
    let catalog = catalog(device(args.device_memory)?, |id| config.hub_of(id));
    match args.format {
        Format::Table => io.out.text(&terminal::for_stdout(&render::models_table::page(&catalog)))?,
        Format::Json => io.out.json(&catalog)?,
    }
    Ok(Exit::Success)
}

/// The GPU that is meant, if there is one.
fn device(gib: Option<f64>) -> Result<Option<Capacity>> {
    let machine = Machine::here();
    match gib {
        Some(gib) => Ok(Some(Capacity {
            name: "a GPU".to_owned(),
            memory: Some(bytes_of_device(gib)?),
            ..Capacity::of(DeviceKind::Cuda, &Gpus::default())
        })),
        None if machine.kind() == DeviceKind::Cuda => {
            let gpus = machine.select(&GpuList::default()).map_err(Error::usage)?;
            Ok(Some(Capacity::of(DeviceKind::Cuda, &gpus)))
        }
        None => Ok(None),
    }
}
