//! `bench-diff compare`

pub mod sides_of_files;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use schemars::JsonSchema;
use serde::Serialize;

use super::format::ReportFormat as Format;
use super::published::{self, Whose};
use crate::compare::{self, Comparison, Failing, Options, Row, Side};
use crate::error::{Error, Exit, Result};
use crate::formats::{self, FORMATS, Format as ForeignFormat};
use crate::io::{Io, unwritable};
use crate::metric::{self, Better, Definition, Metric};
use crate::page::{github, terminal};
use crate::publish::FailOn;
use crate::render;
use crate::render::comparison::Files;
use crate::suggest;
use crate::thresholds::{ALL, ALPHAS, AUTO, NoiseThreshold};

/// Compare two result files: did speed, latency or memory change?
///
/// Reads results that bench-diff wrote, files of other tools (see --from), and samples: a JSON array of
/// {"case", "metric", "unit", "better": "higher"|"lower", "samples": [..]} (or "sessions": [[..], ..]).
/// `-` is standard input; a folder's files of another tool are read together.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct Args {
    /// The old results
    base: PathBuf,
    /// The new results; of several files, each is compared with BASE
    #[arg(required_unless_present = "published", value_name = "HEAD", num_args = 1..)]
    heads: Vec<PathBuf>,

    /// Show BASE beside the numbers that Qwen published, by one software or by all. They are of another machine: the
    /// ratios are no verdict
    #[arg(
        long,
        value_name = "SOFTWARE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all",
        value_enum,
        conflicts_with_all = NOT_BESIDE
    )]
    published: Option<Whose>,

    /// How to show the comparison
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Show only rows that changed or look changed (unconfirmed); the counts are still those of all rows
    #[arg(long)]
    only_changed: bool,
    /// What makes the exit code 1: regression, missing, not-comparable, inconclusive, counters (several with commas), or never.
    /// What looks changed against a base of fewer than five occasions is unconfirmed, which is not a regression
    #[arg(long, value_name = "WHAT", default_value = FailOn::DEFAULT)]
    fail_on: FailOn,

    /// The format of both files [default: what they look like]
    #[arg(long, value_name = "FORMAT", value_parser = foreign_format(), hide_possible_values = true, help_heading = "What to compare")]
    from: Option<&'static ForeignFormat>,
    /// Compare only this metric (repeatable); `all` for every one [default: those with a * below, and all of other tools].
    /// Also as tables head it: `decode`
    #[arg(long = "metric", value_name = "NAME", help_heading = "What to compare")]
    metrics: Vec<String>,
    /// Compare even if hardware or settings differ
    #[arg(long, help_heading = "What to compare")]
    allow_mismatch: bool,

    /// Both files were measured interleaved, in one session
    #[arg(long, help_heading = "Statistics")]
    same_session: bool,
    /// Chance of a false alarm anywhere in the report
    /// [default: as the results were configured, else 0.05]
    #[arg(long, value_parser = parse_alpha, help_heading = "Statistics")]
    alpha: Option<f64>,
    /// Noise threshold: the smallest change worth reporting, such as `ttft=3` (repeatable); `all=3` is for every metric that
    /// isn't named, `auto` for what sessions of the base differ by [default: as the results were configured, else see below]
    #[arg(
        long = "noise-threshold",
        alias = "margin",
        value_name = "METRIC=PERCENT|auto",
        value_parser = parse_noise_threshold,
        help_heading = "Statistics"
    )]
    noise_thresholds: Vec<(String, NoiseThreshold)>,
    /// A certain change that is about as large as the noise threshold is a regression, too
    #[arg(long, help_heading = "Statistics")]
    gate_at_threshold: bool,
    /// Counters (kernel launches and the like) that differ by less are as before: a percentage [default: as the results were
    /// configured, else 0, so that every change counts]
    #[arg(long, value_name = "PERCENT", value_parser = parse_floor, help_heading = "Statistics")]
    counters_floor: Option<f64>,
}

/// What decides a verdict has nothing to say where there is none.
const NOT_BESIDE: [&str; 10] = [
    "from",
    "only_changed",
    "fail_on",
    "metrics",
    "allow_mismatch",
    "same_session",
    "alpha",
    "noise_thresholds",
    "gate_at_threshold",
    "counters_floor",
];

const EXAMPLES: &str = "Examples:
  bench-diff compare old.json new.json
  bench-diff compare old.json new.json --metric all --only-changed
  bench-diff compare old.json new.json --format markdown --fail-on regression
  bench-diff compare old.json new.json --same-session --noise-threshold ttft=3 --format json
  bench-diff compare old.json new.json newer.json   # each against old.json
  bench-diff compare results.json --published=vllm";

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
    let formats: Vec<String> =
        FORMATS.iter().map(|ForeignFormat { name, tool, .. }| format!("  {name:<28}  {tool}")).collect();
    let formats = formats.join("\n");
    format!(
        "{EXAMPLES}\n\nFormats of other tools, for --from:\n{formats}\n\nMetrics, with unit, better direction and noise threshold:\n{}",
        rows.join("\n")
    )
}

/// The name of another tool's format.
pub(super) fn foreign_format() -> impl TypedValueParser<Value = &'static ForeignFormat> {
    let names = PossibleValuesParser::new(FORMATS.iter().map(|format| format.name));
    names.map(|name| formats::named(&name).expect("a possible value is a format"))
}

fn parse_alpha(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(alpha) if ALPHAS.contains(&alpha) => Ok(alpha),
        _ => Err("must be a number from 0.0001 to 0.5, such as 0.05".to_owned()),
    }
}

fn parse_floor(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=1000.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("must be a percentage from 0, such as 0.5".to_owned()),
    }
}

/// `METRIC=PERCENT`, `METRIC=auto`, or `auto` for every metric. The last `=` counts: a foreign metric's name may hold others.
pub(super) fn parse_noise_threshold(text: &str) -> Result<(String, NoiseThreshold), String> {
    if text == AUTO {
        return Ok((ALL.to_owned(), NoiseThreshold::Auto));
    }
    let (metric, value) = text.rsplit_once('=').ok_or("must be METRIC=PERCENT, such as ttft=3, or auto")?;
    let threshold = match (value, value.trim_end_matches('%').parse::<f64>()) {
        (AUTO, _) => NoiseThreshold::Auto,
        (_, Ok(percent)) if percent > 0.0 && percent <= 1000.0 => NoiseThreshold::Fixed(percent / 100.0),
        _ => return Err("must be METRIC=PERCENT with a percentage above 0, such as ttft=3, or METRIC=auto".to_owned()),
    };
    match metric {
        "" => Err("must be METRIC=PERCENT, such as ttft=3".to_owned()),
        metric => Ok((metric.to_owned(), threshold)),
    }
}

/// What was asked for; else what the new results were configured with, or the old ones.
fn options(args: &Args, base: &Side, head: &Side) -> Options {
    let configured = [head, base].into_iter().find_map(|side| side.settings.as_ref()?.thresholds.as_deref());
    let usual = configured.map(Options::from).unwrap_or_default();
    let mut noise_thresholds = usual.noise_thresholds;
    if args.noise_thresholds.iter().any(|(name, _)| name == ALL) {
        noise_thresholds.clear();
    }
    let held = [base, head].into_iter().flat_map(|side| &side.cases).flat_map(|case| &case.cells);
    let held: BTreeSet<&str> = held.map(|cell| cell.metric.as_str()).collect();
    let named = |name: &String| full_name(name, &held);
    noise_thresholds.extend(args.noise_thresholds.iter().map(|(name, threshold)| (named(name), *threshold)));
    let metrics: Vec<String> = args.metrics.iter().map(named).collect();
    Options {
        alpha: args.alpha.unwrap_or(usual.alpha),
        metrics: if metrics.is_empty() { usual.metrics } else { metrics },
        noise_thresholds,
        gate_at_threshold: args.gate_at_threshold || usual.gate_at_threshold,
        counters_floor: args.counters_floor.unwrap_or(usual.counters_floor),
        allow_mismatch: args.allow_mismatch,
        same_session: args.same_session,
    }
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    if args.published.is_some() {
        published::check_alone(args.heads.first().map(PathBuf::as_path))?;
    }
    let head = match args.heads.as_slice() {
        [] => return published::beside(&args.base, args.published.unwrap_or_default(), args.format, io),
        [head] => head,
        _ => return sides_of_files::run(args, io),
    };
    let (base, head) = compare::load(&args.base, head, args.from)?;
    let options = options(args, &base, &head);
    check_metrics(&args.metrics, &options.metrics, &base, &head)?;
    let mut comparison = compare::compare(&base, &head, &options)?;
    comparison.acquit(compare::same_program(&base, &head));
    comparison.explain_files(&base, &head);
    let files = Files::of(&base, &head);
    drop((base, head));
    let failed = args.fail_on.fails(&comparison.failings());
    if args.only_changed {
        comparison.rows.retain(Row::looks_changed);
    }
    show(&comparison, &files, args.format, io.out.raw()).map_err(unwritable)?;
    // The first line is about times, and says nothing of it.
    if failed && args.fail_on.fails(&[Failing::Counters].into()) && comparison.failings().contains(&Failing::Counters) {
        writeln!(io.err, "counters rose, or the head isn't counted as the base was: that fails by --fail-on counters")?;
    }
    Ok(if failed { Exit::Regression } else { Exit::Success })
}

/// A metric's name, where it is called as tables head it; the name of a file's own metric stays.
fn full_name(given: &str, held: &BTreeSet<&str>) -> String {
    let titled = metric::titled(given).filter(|_| !held.contains(given));
    titled.map_or_else(|| given.to_owned(), |metric| metric.name().to_owned())
}

/// A metric that is asked for by name, and that neither file holds, would be compared as if all were well.
fn check_metrics(asked: &[String], names: &[String], base: &Side, head: &Side) -> Result<()> {
    let cells = || base.cases.iter().chain(&head.cases).flat_map(|case| &case.cells);
    let absent = |name: &&String| metric::find(name).is_some() && !cells().any(|cell| cell.metric.as_str() == *name);
    let Some(name) = names.iter().find(absent).filter(|_| !asked.is_empty()) else { return Ok(()) };
    let held: BTreeSet<&str> = cells().map(|cell| cell.metric.as_str()).collect();
    let held: Vec<&str> = held.into_iter().take(MOST_NAMED).collect();
    Err(Error::usage(format!("neither {} nor {} has numbers of the metric `{name}`", base.name, head.name))
        .hint(format!("they have {}", suggest::one_of(&held).replace(" or ", " and "))))
}

/// A file of other tools may have very many metrics.
const MOST_NAMED: usize = 20;

/// The schema of what `--format json` prints.
const SCHEMA: u32 = 2;

/// What `--format json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Comparison", description = "What `bench-diff compare --format json` prints.")]
pub struct Output<'a> {
    /// The version of this format: 2.
    schema: u32,
    /// What the base stands for, such as a release; absent where its file doesn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_label: Option<&'a str>,
    /// What the head stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    head_label: Option<&'a str>,
    #[serde(flatten)]
    comparison: Cow<'a, Comparison>,
}

pub(super) fn show(comparison: &Comparison, files: &Files, format: Format, out: &mut dyn Write) -> std::io::Result<()> {
    let mut out = BufWriter::new(out);
    let page = || render::comparison::page(comparison, files);
    match format {
        Format::Table => write!(out, "{}", terminal::for_stdout(&page()))?,
        Format::Markdown => write!(out, "{}", github::write(&page(), github::DOCUMENT))?,
        Format::Csv => render::csv::write(&comparison.rows, &mut out)?,
        Format::Json => {
            let [base_label, head_label] = files.labels();
            let comparison = Cow::Borrowed(comparison);
            serde_json::to_writer_pretty(&mut out, &Output { schema: SCHEMA, base_label, head_label, comparison })?;
            writeln!(out)?;
        }
    }
    out.flush()
}
