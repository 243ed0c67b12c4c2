//! `bench-diff calibrate`

use serde::Serialize;

use super::format::Format;
use crate::calibrate::{Calibration, calibrate};
use crate::compare::{Comparison, Options};
use crate::config::{self, Selection};
use crate::device::Machine;
use crate::duel::{Contender, Duel, Ended};
use crate::error::{Error, Exit, Result};
use crate::io::Io;
use crate::measure::{self, Request, Stop, Worker};
use crate::page::terminal;
use crate::{plan, progress, render};

/// Check this machine: how small a change can it tell, and how many runs does a change of 1%, 2% or 5% need?
///
/// Measures the same build as base and head, interleaved: whatever seems to differ is noise.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Runs a side to measure: more tell the noise better
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=100))]
    rounds: u32,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Say nothing while measuring
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    selection: Selection,
}

const EXAMPLES: &str = "Examples:
  bench-diff calibrate
  bench-diff calibrate --suite h100-small --rounds 10";

/// What `--format json` prints.
#[derive(Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    calibration: &'a Calibration,
    self_check: &'a Comparison,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let mut suite = config::load_suite(&args.selection, &Machine::here())?;
    let runs = std::mem::replace(&mut suite.settings.runs, args.rounds);
    let (suite, plan) = plan::here(suite)?;
    let worker = Worker::this().map_err(|error| Error::measurement(format!("can't find my own program: {error}")))?;
    let check = {
        let mut observer = progress::observer(args.quiet, plan.seconds_by_case(), io.err);
        let itself = Contender { program: worker, saved: None };
        let duel = Duel {
            request: Request { refused: plan.refused(), ..Request::new(&suite) },
            base: itself.clone(),
            head: itself,
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
    let calibration = calibrate(&suite.name, &hardware, runs, args.rounds, &check.comparison);
    match args.format {
        Format::Table => io.out.write_all(terminal::for_stdout(&render::calibration::page(&calibration)).as_bytes())?,
        Format::Json => {
            let output = Output { calibration: &calibration, self_check: &check.comparison };
            let text = serde_json::to_string_pretty(&output).map_err(Error::usage)?;
            writeln!(io.out, "{text}")?;
        }
    }
    if calibration.metrics.is_empty() {
        return Err(Error::measurement("nothing could be measured often enough to tell the noise; see above why"));
    }
    Ok(Exit::Success)
}
