//! `bench-diff init`

use std::path::PathBuf;

use crate::config;
use crate::error::{Error, Exit, Result};
use crate::files::Output;
use crate::io::Io;

/// Write a commented bench-diff.toml to start from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file to write, or the directory to write it into
    #[arg(default_value = config::FILE_NAME)]
    path: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "Examples:
  bench-diff init
  bench-diff init --force ci/bench-diff.toml";

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let path = if args.path.is_dir() { args.path.join(config::FILE_NAME) } else { args.path.clone() };
    let output = Output::wait_for(&path)?;
    if output.exists() && !args.force {
        return Err(Error::usage(format!("{} exists already", path.display())).hint("use --force to replace it"));
    }
    let written = output.write(|out| out.write_all(config::STARTER.as_bytes()));
    written.map_err(|error| Error::writing(&path, error))?;
    writeln!(io.out, "Wrote {}. Edit it, then see what it would run: bench-diff plan", path.display())?;
    Ok(Exit::Success)
}
