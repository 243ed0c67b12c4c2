//! One file a command: its flags, and what it does with the library.

pub mod ab;
pub mod accept;
pub mod base;
pub mod baseline;
pub mod calibrate;
pub mod check_engine;
pub mod check_worker;
pub mod ci;
pub mod compare;
pub mod convert;
pub mod doctor;
pub mod export;
mod format;
pub mod generate;
pub mod guard;
mod here;
pub mod init;
pub mod kernels;
pub mod models;
mod named_model;
pub mod plan;
pub mod profile;
pub mod publish;
pub mod published;
mod pull;
mod pull_progress;
pub mod run;
pub mod schema;
pub mod trace;
mod trace_export;
pub mod worker;

use crate::case::DeviceKind;
use crate::device::{GpuList, Gpus, Machine, Ordinals};
use crate::engine::ENGINES;
use crate::error::{Error, Result};

/// A variable that GitHub gives a step.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is where GitHub says it, and commands are what a step runs"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The GPUs that `--gpus` names; on a CPU nobody may name any.
fn chosen_gpus(machine: &Machine, device: DeviceKind, wanted: Option<&GpuList>) -> Result<Gpus> {
    if device == DeviceKind::Cpu {
        let why = match machine.kind() {
            DeviceKind::Cpu => "there is no GPU here that this build can use",
            DeviceKind::Cuda => "a CPU is asked for with `--device cpu`",
        };
        return match wanted {
            Some(_) => Err(Error::usage(format!("--gpus: {why}: leave it out"))),
            None => Ok(Gpus::default()),
        };
    }
    let wanted = wanted.cloned().unwrap_or_default();
    machine.select(&wanted).map_err(|reason| Error::usage(format!("--gpus: {reason}")))
}

/// The engine's numbers of them in this process.
fn ordinals(machine: &Machine, gpus: &Gpus) -> Ordinals {
    ENGINES[0].ordinals(gpus).unwrap_or_else(|| machine.ordinals(gpus))
}
