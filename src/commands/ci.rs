//! `bench-diff ci`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use super::publish::Publishing;
use crate::baseline::{self, Store};
use crate::calibrate::calibrate;
use crate::ci::{self, Base, Local, Measured, Sides};
use crate::cli::Io;
use crate::config::{self, CandleSource, Selection};
use crate::device;
use crate::error::{Error, Exit, Result};
use crate::github::event::Context;
use crate::github::token::shield;
use crate::measure::{End, Stop};
use crate::programs::{Program, git};
use crate::publish::publish;
use crate::render::escape;
use crate::report::Report;
use crate::{plan, progress, render};

/// Measure this build, compare it with the baseline, and tell the pull request
///
/// Plans and runs a suite, compares it with the committed baseline of this hardware, and comments on the pull request
/// that the workflow run belongs to. Anywhere else, or without a token, the comment goes to standard output.
///
/// Without a committed baseline for this hardware the first run checks the machine: it measures the same build as base
/// and head, interleaved, says which changes this machine can tell, and keeps the session as a local baseline in
/// .bench-diff/, with which the next run compares.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The directory of baselines [default: baselines, beside the configuration]
    #[arg(long, value_name = "DIR")]
    baseline: Option<PathBuf>,
    /// The build to judge [default: this one]
    #[arg(long, value_name = "PROGRAM")]
    head_binary: Option<PathBuf>,
    /// A build to measure it against, interleaved: settles what looks changed against a baseline, and stands in for one
    #[arg(long, value_name = "PROGRAM")]
    base_binary: Option<PathBuf>,
    /// Build the base with this command, at the root of a work tree of the commit where the branch left --base-ref; the
    /// program is then --head-binary's path in there
    #[arg(long, value_name = "COMMAND", requires = "head_binary", conflicts_with = "base_binary")]
    build_command: Option<String>,
    /// Judge this checkout of candle: bench-diff is built against it, and for the base against the commit where the
    /// branch left --base-ref [default: `candle` in the configuration]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["head_binary", "base_binary"])]
    candle: Option<PathBuf>,
    /// bench-diff's own source, to build against candle
    #[arg(long, value_name = "DIR", default_value = env!("CARGO_MANIFEST_DIR"), hide_default_value = true)]
    source: PathBuf,
    /// The branch or commit that the pull request goes into [default: the event's]
    #[arg(long, value_name = "REF")]
    base_ref: Option<String>,
    /// Don't measure again what looks changed
    #[arg(long)]
    no_confirm: bool,
    /// Minutes for measuring again
    #[arg(long, value_name = "MINUTES", default_value = "20", value_parser = minutes)]
    confirm_budget: Duration,
    /// Carry on with an interrupted `ci` of the same build: what its output directory holds is not measured again
    #[arg(long)]
    resume: bool,
    /// Only measure and compare: `bench-diff publish` tells the pull request later, on another machine perhaps
    #[arg(long)]
    no_publish: bool,
    /// The directory for results.json and report.json [default: .bench-diff/latest, beside the configuration]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// What to print where nothing is published
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Say nothing while measuring
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    publishing: Publishing,
    #[command(flatten)]
    selection: Selection,
}

const EXAMPLES: &str = "Examples:
  bench-diff ci
  bench-diff ci --suite h100-small --fail-on regression
  bench-diff ci --build-command 'cargo build --release' --head-binary target/release/bench-diff --base-ref origin/main
  bench-diff ci --candle ../candle --base-ref origin/main
  bench-diff ci --base-binary main/bench-diff --head-binary pr/bench-diff --output bench-results";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The comment
    #[default]
    Markdown,
    /// For a terminal
    Table,
    /// The report, for programs
    Json,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    if std::env::var_os("GITHUB_TOKEN").is_some() {
        shield();
    }
    let suite = config::load_suite(&args.selection, device::at_hand())?;
    let (suite, plan) = plan::here(suite)?;
    let directory = config::directory(&args.selection);
    let local = Local::in_directory(&directory);
    let output = args.output.clone().unwrap_or_else(|| local.latest());
    let context = context(io)?;
    let sides = Sides {
        head_binary: args.head_binary.clone(),
        base_binary: args.base_binary.clone(),
        build_command: args.build_command.clone(),
        candle: args.candle.clone().map(|path| CandleSource::Checkout { path }).or_else(|| suite.candle.clone()),
        config: config::path(&args.selection),
        source: args.source.clone(),
        cache: local.builds(),
    };
    let head = sides.head()?.worker()?;
    let request = ci::Request {
        suite: &suite,
        refused: plan.refused(),
        head,
        base: base(args, &sides, context.as_ref(), io)?,
        confirm: !args.no_confirm,
        confirm_budget: args.confirm_budget,
        resume: args.resume,
        pull_request: context.as_ref().and_then(Context::pull_request_number),
        committed: committed(args, &directory, &local, context.as_ref(), io)?,
        local,
        output: &output,
    };
    let measured = {
        let mut observer = progress::observer(args.quiet, plan.seconds_by_case(), io.err);
        ci::measure_and_compare(&request, observer.as_mut(), Stop::on_signals())?
    };
    let Some(Measured { report, end, remarks }) = measured else {
        writeln!(io.err, "stopped before there were any numbers")?;
        return Ok(Exit::Interrupted);
    };
    let exit = if args.no_publish { Exit::Success } else { tell(args, &report, io)? };
    if end == End::Stopped {
        let output = output.display();
        writeln!(
            io.err,
            "stopped; the report is about what was measured, in {output}; carry on with the same command and --resume"
        )?;
        return Ok(Exit::Interrupted);
    }
    for remark in remarks {
        writeln!(io.err, "{remark}")?;
    }
    if report.base.is_none() {
        writeln!(
            io.err,
            "to compare pull requests with it, commit it: bench-diff baseline update {}",
            output.join("results.json").display()
        )?;
    }
    Ok(exit)
}

fn minutes(text: &str) -> std::result::Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= 1440.0 => Ok(Duration::from_secs_f64(minutes * 60.0)),
        _ => Err("not a number of minutes up to 1440 (a day)".into()),
    }
}

/// Whatever is wrong with the event, measuring can go on.
fn context(io: &mut Io) -> Result<Option<Context>> {
    Context::read(|name| std::env::var(name).ok()).or_else(|error| {
        writeln!(io.err, "warning: {error}")?;
        Ok(None)
    })
}

fn base_ref(args: &Args, context: Option<&Context>) -> Option<String> {
    args.base_ref.clone().or_else(|| context?.base_sha().map(str::to_owned))
}

/// The baselines that count: those of the pull request's base, where this clone has it.
fn committed(args: &Args, directory: &Path, local: &Local, context: Option<&Context>, io: &mut Io) -> Result<Store> {
    let here = args.baseline.clone().unwrap_or_else(|| directory.join(baseline::DIRECTORY));
    let Some(commit) = context.and_then(Context::base_sha) else { return Ok(Store::new(here)) };
    let to = local.of_base(commit);
    let failed = |error| Error::usage(format!("can't take the baselines of {commit}: {error}"));
    match ci::baselines_of(commit, &here, &to).map_err(failed)? {
        Some(base) => Ok(Store::new(base)),
        None => {
            writeln!(
                io.err,
                "{commit} has no baselines, or is not in this clone: comparing with those of the checkout"
            )?;
            Ok(Store::new(here))
        }
    }
}

/// The program to measure against. An event's commit may be missing from a shallow clone: then there is none.
fn base(args: &Args, sides: &Sides, context: Option<&Context>, io: &mut Io) -> Result<Option<Program>> {
    let Some(base_ref) = base_ref(args, context).filter(|_| sides.buildable()) else {
        return match sides.base(Err("nothing says what the base is".into()))? {
            Base::Program(program) => Ok(Some(program)),
            Base::Unwanted | Base::OutOfReach(_) => Ok(None),
        };
    };
    let commit = match git::merge_base(&sides.repository(), &base_ref) {
        Err(error) if args.base_ref.is_some() => return Err(error),
        result => result,
    };
    match sides.base(commit.as_deref().map_err(|error| error.message().to_owned()))? {
        Base::Program(program) => Ok(Some(program)),
        Base::Unwanted => Ok(None),
        Base::OutOfReach(why) => {
            writeln!(io.err, "not measuring the base: {}", escape::line(&why))?;
            Ok(None)
        }
    }
}

/// Publishes the report, and prints it in the wanted format.
fn tell(args: &Args, report: &Report, io: &mut Io) -> Result<Exit> {
    let options = args.publishing.options();
    let variable = |name: &str| std::env::var(name).ok();
    let reports = std::slice::from_ref(report);
    if args.format == Format::Markdown {
        return publish(reports, &options, &variable, io);
    }
    let exit = publish(reports, &options, &variable, &mut Io { out: &mut std::io::sink(), err: io.err })?;
    match args.format {
        Format::Json => writeln!(io.out, "{}", serde_json::to_string_pretty(report).map_err(Error::usage)?)?,
        _ => io.out.write_all(table(report).as_bytes())?,
    }
    Ok(exit)
}

fn table(report: &Report) -> String {
    match (&report.comparison, &report.self_check) {
        (Some(comparison), _) => render::table::render(comparison, render::table::Screen::detect()),
        (None, Some(check)) => {
            let runs = report.head.settings.runs;
            let calibration = calibrate(&report.suite, &report.hardware, runs, runs, check.clone());
            format!("{}\n{}", render::run::table(&report.head), render::calibrate::table(&calibration))
        }
        (None, None) => render::run::table(&report.head),
    }
}
