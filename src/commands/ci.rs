//! `bench-diff ci`

use std::path::PathBuf;

use clap::ValueEnum;

use super::publish::Publishing;
use crate::baseline::{self, Store};
use crate::calibrate::calibrate;
use crate::ci::{self, Local, Measured};
use crate::cli::Io;
use crate::config::{self, Selection};
use crate::device::{self, Capacity};
use crate::error::{Error, Exit, Result};
use crate::measure::{Stop, Worker};
use crate::publish::publish;
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
    let suite = config::load_suite(&args.selection, device::at_hand())?;
    let plan = plan::plan(&suite, Capacity::of(suite.device(), suite.models[0].spec.gpu))?;
    let directory = config::directory(&args.selection);
    let local = Local::in_directory(&directory);
    let output = args.output.clone().unwrap_or_else(|| local.latest());
    let head = match &args.head_binary {
        Some(path) => Worker::at(path),
        None => Worker::this().map_err(|error| Error::measurement(format!("can't find my own program: {error}")))?,
    };
    let request = ci::Request {
        suite: &suite,
        refused: plan.refused(),
        head,
        base: args.base_binary.as_ref().map(Worker::at),
        committed: Store::new(args.baseline.clone().unwrap_or_else(|| directory.join(baseline::DIRECTORY))),
        local,
        output: &output,
    };
    let measured = {
        let mut observer = progress::observer(args.quiet, plan.seconds_by_case(), io.err);
        ci::measure_and_compare(&request, observer.as_mut(), Stop::on_signals())?
    };
    let Some(Measured { report, remarks }) = measured else {
        writeln!(io.err, "stopped; what was measured is in {}", output.display())?;
        return Ok(Exit::Interrupted);
    };
    let exit = tell(args, &report, io)?;
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
