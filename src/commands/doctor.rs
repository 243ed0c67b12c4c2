//! `bench-diff doctor`

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::format::Format;
use super::{base, variable};
use crate::config::Selection;
use crate::doctor::{self, Asked, Check};
use crate::error::{Exit, Result};
use crate::io::Io;
use crate::page::terminal;
use crate::render;

/// Say what would be measured here, against what, with which rights, and what is missing
///
/// Looks at this repository and this machine: the configuration, what would be measured and whether anything of the
/// repository is in it, the base and the baseline, the device, the models, the servers, and the rights of the workflow's jobs.
/// It runs nothing of the repository, downloads nothing and writes nothing; of a server that the suite names it only asks
/// whether it is there.
///
/// Exit code 1 if something needed is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// bench-diff's own source, to build against candle [default: where this program was built]
    #[arg(long, value_name = "DIR", default_value = env!("CARGO_MANIFEST_DIR"), hide_default_value = true)]
    source: PathBuf,
    #[command(flatten)]
    selection: Selection,
}

const EXAMPLES: &str = "Examples:
  bench-diff doctor                 # in a clone, on the machine that is to measure
  bench-diff doctor --suite gpu     # for one suite
  bench-diff doctor --format json   # for programs";

/// What was found, for programs.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Findings", description = "What `bench-diff doctor --format json` prints.")]
pub struct Findings<'a> {
    /// Nothing that is needed is missing.
    ready: bool,
    /// What was looked at, in the order of the table.
    checks: Cow<'a, [Check]>,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let context = base::context(io)?;
    let asked = Asked {
        selection: &args.selection,
        context: context.as_ref(),
        has_token: ["GITHUB_TOKEN", "GH_TOKEN"]
            .iter()
            .any(|name| variable(name).is_some_and(|token| !token.is_empty())),
        source: &args.source,
    };
    let checks = doctor::examine(&asked);
    let ready = !checks.iter().any(Check::is_missing);
    match args.format {
        Format::Table => io.out.text(&terminal::for_stdout(&render::doctor::page(&checks)))?,
        Format::Json => io.out.json(&Findings { ready, checks: Cow::Borrowed(&checks) })?,
    }
    Ok(if ready { Exit::Success } else { Exit::Regression })
}
