//! Tells you whether a pull request changed the speed, latency or memory of Qwen2.5 inference.
//!
//! Data flows one way: config -> plan -> measure (engine) -> results -> compare -> render -> publish.
//! `ARCHITECTURE.md` says where everything lives and which rules hold.

mod baseline;
mod calibrate;
pub mod case;
mod catalog;
mod child;
mod ci;
mod cli;
mod commands;
pub mod compare;
pub mod config;
pub mod device;
mod doctor;
pub mod duel;
pub mod engine;
pub mod error;
mod escape;
pub mod files;
mod flags;
mod formats;
mod git;
pub mod github;
mod hex;
mod https;
mod hub;
mod io;
mod kernel_code;
pub mod measure;
pub mod metric;
mod models;
mod number;
mod page;
pub mod plan;
mod plural;
mod programs;
mod progress;
mod prompt;
mod publish;
pub mod published;
mod recognize;
mod redact;
pub mod render;
pub mod report;
pub mod results;
pub mod stats;
mod suggest;
mod thresholds;
mod trace;
mod unit;
pub mod word;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

pub use child::guard;
/// What the command line can be: the help is made of it, and every command that the documentation shows is held to it.
#[doc(hidden)]
pub fn command_line() -> clap::Command {
    cli::command_line()
}

/// Runs the program with `args` (the first is the program's name). `out` gets only the result, `err` everything else.
pub fn run(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    cli::run(args, out, err)
}
