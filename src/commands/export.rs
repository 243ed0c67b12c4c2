//! `bench-diff export`

use std::path::PathBuf;

use crate::error::{Error, Exit, Result};
use crate::io::Io;
use crate::results::{self, Results};

/// Write results in the file formats of Qwen's speed benchmark scripts and of EvalScope
///
/// `run --csv` does the same while it measures. The values are the means of the file's last session; cases without numbers
/// are left out.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A file that `bench-diff run` or `bench-diff ci` wrote, or a baseline
    results: PathBuf,
    /// The directory to write into
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

const EXAMPLES: &str = "Examples:
  bench-diff export results.json speed-benchmark";

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let results = results::read(&args.results)?;
    Results::check_export(&args.directory)?;
    let written = results.export(&args.directory)?;
    if written.is_empty() {
        let file = args.results.display();
        return Err(Error::usage(format!("nothing to export: no case of {file} has numbers in its last session")));
    }
    for path in written {
        writeln!(io.out, "{}", path.display())?;
    }
    Ok(Exit::Success)
}
