//! `bench-diff calibrate`

use serde::Serialize;

use super::format::Format;
use super::here;
use crate::calibrate::{Calibration, calibrate};
use crate::compare::{Comparison, Options};
use crate::config::{self, Selection, Suite};
use crate::device::Machine;
use crate::duel::{Contender, Duel, Ended};
use crate::error::{Error, Exit, Result};
use crate::io::Io;
use crate::measure::{self, Request, Stop};
use crate::page::terminal;
use crate::{plan, progress, render};

/// Check this machine: how small a change can it detect, and how many runs does that take?
///
/// Measures the same build as base and head, interleaved: whatever seems to differ is noise. For each metric it prints the
/// spread of the runs, the minimum detectable effect, and the runs per side that changes of 1%, 2% and 5% need.
///
/// Without --runs it takes 5 runs per side: more runs estimate the noise better.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// No progress while measuring
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    selection: Selection,
}

const EXAMPLES: &str = "Examples:
  bench-diff calibrate
  bench-diff calibrate --suite h100-small --runs 10";

/// What `--format json` prints.
#[derive(Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    calibration: &'a Calibration,
    self_check: &'a Comparison,
}

/// Runs per side, where the command doesn't say.
const RUNS: u32 = 5;

/// The suite as it is measured otherwise, and the runs per side that are measured here.
fn suite(selection: &Selection) -> Result<(Suite, u32)> {
    let mut selection = selection.clone();
    let measured = selection.settings.runs.take().unwrap_or(RUNS);
    if measured < 2 {
        return Err(Error::usage("--runs 1: one run per side doesn't show how runs vary").hint("take 2 or more"));
    }
    Ok((config::load_suite(&selection, &Machine::here())?, measured))
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let (mut suite, measured) = suite(&args.selection)?;
    let runs = std::mem::replace(&mut suite.settings.runs, measured);
    let (suite, plan) = plan::here(suite)?;
    let worker = here::worker(&suite, &args.selection)?;
    let check = {
        let mut observer = progress::observer(args.quiet, plan.seconds_by_case(), io.err.raw());
        let itself = Contender { program: worker, saved: None };
        let duel = Duel {
            request: Request { refused: plan.refused(), ..Request::new(&suite) },
            base: itself.clone(),
            head: itself,
            base_again: None,
            observer: observer.as_mut(),
            stop: Stop::on_signals(),
        };
        duel.complete(&Options::from(&suite.thresholds))?
    };
    if check.ended == Ended::Stopped {
        writeln!(io.err, "stopped: nothing was kept")?;
        return Ok(Exit::Interrupted);
    }
    let hardware = measure::environment(&suite).fingerprint();
    let calibration = calibrate(&suite.name, &hardware, runs, measured, &check.comparison);
    match args.format {
        Format::Table => io.out.text(&terminal::for_stdout(&render::calibration::page(&calibration)))?,
        Format::Json => io.out.json(&Output { calibration: &calibration, self_check: &check.comparison })?,
    }
    if calibration.metrics.is_empty() {
        return Err(Error::measurement("nothing could be measured often enough to estimate the noise")
            .hint("what is printed above says why"));
    }
    Ok(Exit::Success)
}
