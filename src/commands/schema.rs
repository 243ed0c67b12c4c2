//! `bench-diff schema`

use clap::ValueEnum;

use crate::cli::Io;
use crate::compare::Comparison;
use crate::config::File;
use crate::error::{Error, Exit, Result};
use crate::results::Results;

/// Print the JSON Schema of a file that bench-diff reads or writes
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Which file
    #[arg(value_enum)]
    of: Document,
}

const EXAMPLES: &str = "Examples:
  bench-diff schema config > bench-diff.schema.json   (for an editor with TOML support)
  bench-diff schema results";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Document {
    /// The configuration, bench-diff.toml
    Config,
    /// Results files and baselines
    Results,
    /// `compare --format json`
    Comparison,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let schema = match args.of {
        Document::Config => schemars::schema_for!(File),
        Document::Results => schemars::schema_for!(Results),
        Document::Comparison => schemars::schema_for!(Comparison),
    };
    let text = serde_json::to_string_pretty(&schema).map_err(Error::usage)?;
    writeln!(io.out, "{text}")?;
    Ok(Exit::Success)
}
