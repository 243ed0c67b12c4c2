//! `bench-diff worker`: the measured process.

use crate::error::{Error, Exit, Result};
use crate::measure::worker;

/// Measure the job on standard input (started by other commands)
///
/// One JSON job in on standard input, one JSON event a line out on standard output. Any program that takes `worker`
/// as its argument and speaks the same can be measured in place of this one.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: &Args) -> Result<Exit> {
    worker::serve().map_err(|error| Error::measurement("the worker can't talk to its caller").because(error))?;
    Ok(Exit::Success)
}
