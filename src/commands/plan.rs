//! `bench-diff plan`

use super::format::Format;
use crate::config::{self, Selection};
use crate::device::{Capacity, Machine};
use crate::error::{Error, Exit, Result};
use crate::io::Io;
use crate::page::terminal;
use crate::{plan, render};

/// Show the cases that would run, with the memory and time they need
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Plan for a device with this much memory, in GiB; of several GPUs, each [default: that of this machine's device]
    #[arg(long, value_name = "GIB")]
    device_memory: Option<f64>,
    /// How to print the plan
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    selection: Selection,
}

const EXAMPLES: &str = "Examples:
  bench-diff plan
  bench-diff plan --suite gpu --device-memory 24
  bench-diff plan --model Qwen/Qwen2.5-72B-Instruct --context-lengths 1,129024 --device cuda
  bench-diff plan --model Qwen/Qwen2.5-72B-Instruct --device cuda --gpus 0,1";

/// What `--device-memory` means.
pub(super) fn bytes_of_device(gib: f64) -> Result<u64> {
    if !(gib > 0.0 && gib < 1e6) {
        return Err(Error::usage(format!(
            "--device-memory must be a number of GiB above 0 and below a million, not {gib:?}"
        )));
    }
    Ok((gib * f64::from(1u32 << 30)) as u64)
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let suite = config::load_suite(&args.selection, &Machine::here())?;
    let mut capacity = Capacity::of(suite.device(), &suite.gpus);
    if let Some(gib) = args.device_memory {
        capacity = capacity.with_memory_each(bytes_of_device(gib)?);
    }
    let plan = plan::plan(&suite, capacity)?;
    match args.format {
        Format::Table => io.out.text(&terminal::for_stdout(&render::planned_cases::page(&plan)))?,
        Format::Json => io.out.json(&plan)?,
    }
    Ok(if plan.has_running() { Exit::Success } else { Exit::Regression })
}
