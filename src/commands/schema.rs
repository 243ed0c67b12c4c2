//! `bench-diff schema`

use clap::ValueEnum;
use schemars::{Schema, schema_for};

use super::compare::{Output, sides_of_files};
use super::doctor::Findings;
use crate::config::File;
use crate::engine::protocol::Line;
use crate::error::{Exit, Result};
use crate::io::Io;
use crate::published::{Beside, Published};
use crate::report::Report;
use crate::results::Results;
use crate::trace;

/// Print the JSON Schema of a format that bench-diff reads or writes
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The format
    #[arg(value_enum, value_name = "FORMAT")]
    of: Format,
}

const EXAMPLES: &str = "Examples:
  bench-diff schema config > bench-diff.schema.json   # for an editor with TOML support
  bench-diff schema results";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// The configuration, bench-diff.toml
    Config,
    /// Results files and baselines
    Results,
    /// report.json, which `ci` writes for `publish`
    Report,
    /// What `compare --format json` prints
    Comparison,
    /// What `doctor --format json` prints
    Findings,
    /// What `published --format json` prints
    Published,
    /// What `compare --published --format json` prints
    Beside,
    /// What `compare --format json` prints of more than two files
    Sides,
    /// A line of the protocol between bench-diff and an engine that is a program of its own
    EngineProtocol,
    /// What `trace --output` writes, and the tracer
    Trace,
}

impl Format {
    fn schema(self) -> Schema {
        match self {
            Self::Config => schema_for!(File),
            Self::Results => schema_for!(Results),
            Self::Report => schema_for!(Report),
            Self::Comparison => schema_for!(Output),
            Self::Findings => schema_for!(Findings),
            Self::Published => published(),
            Self::Beside => schema_for!(Beside),
            Self::Sides => schema_for!(sides_of_files::Output),
            Self::EngineProtocol => schema_for!(Line),
            Self::Trace => schema_for!(trace::File),
        }
    }
}

/// A list has no name or words of its own.
fn published() -> Schema {
    let mut schema = schema_for!(Vec<Published>);
    schema.insert("title".into(), "Published".into());
    schema.insert("description".into(), "What `bench-diff published --format json` prints.".into());
    schema
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    io.out.json(&args.of.schema())?;
    Ok(Exit::Success)
}
