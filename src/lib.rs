//! Tells a pull request whether it changed the speed, latency or memory of Qwen2.5 inference.
//!
//! Data flows one way: config -> plan -> measure (engine) -> results -> compare -> render -> publish.
//! `ARCHITECTURE.md` says where everything lives and which rules hold.

pub mod baseline;
pub mod calibrate;
pub mod case;
pub mod child;
pub mod ci;
mod cli;
mod commands;
pub mod compare;
pub mod config;
pub mod device;
pub mod duel;
pub mod engine;
pub mod error;
pub mod escape;
pub mod files;
mod flags;
pub mod git;
pub mod github;
pub mod io;
pub mod measure;
pub mod metric;
pub mod models;
pub mod number;
pub mod page;
pub mod plan;
pub mod plural;
pub mod programs;
mod progress;
pub mod publish;
pub mod redact;
pub mod render;
pub mod report;
pub mod results;
pub mod stats;
mod suggest;
pub mod thresholds;
pub mod word;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Runs the program with `args` (the first is the program's name). `out` gets only the result, `err` everything else.
pub fn run(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    cli::run(args, out, err)
}
