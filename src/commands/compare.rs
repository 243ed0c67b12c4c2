//! `bench-diff compare`

use crate::cli::Io;
use crate::error::{Error, Exit, Result};

/// Compare two result files
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: &Args, _io: &mut Io) -> Result<Exit> {
    Err(Error::usage("not built yet"))
}
