//! `bench-diff compare`

use std::borrow::Cow;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;

use crate::compare::{self, Comparison, Options, Row};
use crate::error::{Exit, Result};
use crate::flags;
use crate::io::{Io, unwritable};
use crate::metric::{Better, Definition, Metric};
use crate::page::{github, terminal};
use crate::publish::FailOn;
use crate::render::{self, reproduce::Again};
use crate::stats::Share;
use crate::thresholds::{ALPHA, ALPHAS};

/// Compare two result files: did speed, latency or memory change?
///
/// Reads results that bench-diff wrote, and samples of other tools: a JSON array of
/// {"case", "metric", "unit", "better": "higher"|"lower", "samples": [..]} (or "sessions": [[..], ..]).
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct Args {
    /// The old results
    base: PathBuf,
    /// The new results
    head: PathBuf,

    /// How to show the comparison
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Show only rows that changed or look changed (unconfirmed); the counts are still those of all rows
    #[arg(long)]
    only_changed: bool,
    /// What makes the exit code 1. What looks changed against a base of fewer than five occasions is unconfirmed, which
    /// is not a regression
    #[arg(long, value_name = "WHAT", value_parser = flags::word::<FailOn>(), default_value_t = FailOn::Never)]
    fail_on: FailOn,

    /// Compare only this metric (repeatable); `all` for every one [default: those with a * below, and all of other tools]
    #[arg(long = "metric", value_name = "NAME", help_heading = "What to compare")]
    metrics: Vec<String>,
    /// Compare even if hardware or settings differ
    #[arg(long, help_heading = "What to compare")]
    allow_mismatch: bool,

    /// Both files were measured interleaved, in one session
    #[arg(long, help_heading = "Statistics")]
    same_session: bool,
    /// Chance of a false alarm anywhere in the report
    #[arg(long, default_value_t = ALPHA, value_parser = parse_alpha, help_heading = "Statistics")]
    alpha: f64,
    /// Noise threshold: the smallest change worth reporting, such as `ttft=3` (repeatable) [default: see below]
    #[arg(
        long = "noise-threshold",
        alias = "margin",
        value_name = "METRIC=PERCENT",
        value_parser = parse_noise_threshold,
        help_heading = "Statistics"
    )]
    noise_thresholds: Vec<(String, f64)>,
}

const EXAMPLES: &str = "Examples:
  bench-diff compare old.json new.json
  bench-diff compare old.json new.json --metric all --only-changed
  bench-diff compare old.json new.json --format markdown --fail-on regression
  bench-diff compare old.json new.json --same-session --noise-threshold ttft=3 --format json";

/// The examples, and the metrics with what holds for each by default.
fn after_help() -> String {
    let row = |metric: &Metric| {
        let Definition { name, unit, better, noise_threshold, default, .. } = metric.definition();
        let (better, mark) =
            (if *better == Better::Higher { "higher" } else { "lower" }, if *default { "*" } else { " " });
        let percent = noise_threshold.get() * 100.0;
        format!("{mark} {name:<18}  {unit:<6} {better:<6} {percent:>2}%  {}", metric.meaning())
    };
    let rows: Vec<String> = Metric::ALL.iter().map(row).collect();
    format!("{EXAMPLES}\n\nMetrics, with unit, better direction and noise threshold:\n{}", rows.join("\n"))
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum Format {
    /// For a terminal
    #[default]
    Table,
    /// For a comment or a summary on GitHub
    Markdown,
    /// Everything, for programs
    Json,
    /// All rows, for spreadsheets
    Csv,
}

fn parse_alpha(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(alpha) if ALPHAS.contains(&alpha) => Ok(alpha),
        _ => Err("must be a number from 0.0001 to 0.5, such as 0.05".to_owned()),
    }
}

/// `METRIC=PERCENT` to a share. The last `=` counts: a foreign metric's name may hold others.
pub(super) fn parse_noise_threshold(text: &str) -> Result<(String, f64), String> {
    let (metric, percent) = text.rsplit_once('=').ok_or("must be METRIC=PERCENT, such as ttft=3")?;
    match percent.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 1000.0 && !metric.is_empty() => {
            Ok((metric.to_owned(), percent / 100.0))
        }
        _ => Err("must be METRIC=PERCENT with a percentage above 0, such as ttft=3".to_owned()),
    }
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let (base, head) = compare::load(&args.base, &args.head)?;
    let options = Options {
        alpha: args.alpha,
        metrics: args.metrics.clone(),
        noise_thresholds: args
            .noise_thresholds
            .iter()
            .map(|(metric, share)| (metric.clone(), Share::new(*share)))
            .collect(),
        allow_mismatch: args.allow_mismatch,
        same_session: args.same_session,
    };
    let mut comparison = compare::compare(&base, &head, &options)?;
    drop((base, head));
    let failed = comparison.has_regression();
    if args.only_changed {
        comparison.rows.retain(Row::looks_changed);
    }
    show(&comparison, None, args.format, io.out.raw()).map_err(unwritable)?;
    Ok(if failed && args.fail_on == FailOn::Regression { Exit::Regression } else { Exit::Success })
}

/// The schema of what `--format json` prints.
const SCHEMA: u32 = 2;

/// What `--format json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Comparison", description = "What `bench-diff compare --format json` prints.")]
pub struct Output<'a> {
    /// The version of this format: 2.
    schema: u32,
    #[serde(flatten)]
    comparison: Cow<'a, Comparison>,
}

/// `again`: what measures both sides again, where that is known.
pub(super) fn show(
    comparison: &Comparison,
    again: Option<&Again>,
    format: Format,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut out = BufWriter::new(out);
    let page = || render::comparison::page(comparison, again);
    match format {
        Format::Table => write!(out, "{}", terminal::for_stdout(&page()))?,
        Format::Markdown => write!(out, "{}", github::write(&page(), github::DOCUMENT))?,
        Format::Csv => render::csv::write(&comparison.rows, &mut out)?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &Output { schema: SCHEMA, comparison: Cow::Borrowed(comparison) })?;
            writeln!(out)?;
        }
    }
    out.flush()
}
