//! `bench-diff ab`

mod attribution;
mod one_engine;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::compare::{parse_noise_threshold, show};
use super::format::ReportFormat as Format;
use crate::ci::Local;
use crate::compare::{LOOKS, Options, Trial};
use crate::config::{self, CandleSource, Selection, Suite};
use crate::device::Machine;
use crate::duel::{Contender, Duel, Duelled, Ended};
use crate::error::{Error, Exit, Result};
use crate::escape;
use crate::files::{self, Folder, leftover};
use crate::io::{Io, unwritable};
use crate::measure::{Request, Saved, Stop, Worker};
use crate::plan::{self, Plan};
use crate::programs::{OwnEngines, Repository, Source, Workshop};
use crate::progress;
use crate::publish::FailOn;
use crate::render::comparison::Files;
use crate::render::reproduce::Again;
use crate::results::{Outcome, Results};
use crate::thresholds::NoiseThreshold;

/// Measure two versions on this machine, in turn, until it is clear whether they differ
///
/// OLD and NEW are each one of
///   a program       a file that can be executed: a build of bench-diff
///   a checkout      a directory: of candle, of bench-diff, or of what --build-command builds
///   a revision      a branch, tag or commit of the repository here (of candle, with --candle)
///   . or WORKTREE   the repository here as it is, with its changes
///
/// Checkouts and revisions are built first; builds of revisions are kept. Where a name is both a
/// path and a revision, write ./NAME for the path.
///
/// Both are measured in turn, and looked at after 4, 6, 8, 12 and 16 runs per side. What is settled
/// isn't measured further. With --runs there is one look, at that many runs per side; an odd number
/// is made even, as turns come in pairs.
///
/// OLD has two turns where NEW has one: a change that OLD also shows against itself is none. That
/// takes half as long again, and --budget counts it; --old-once does without.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub struct Args {
    /// What to measure against
    old: String,
    /// What is judged
    new: String,

    /// The time that measuring may take, such as 90s, 10m or 1h [default: 10m; with --runs, no limit]
    #[arg(long, value_name = "TIME", value_parser = time)]
    budget: Option<Duration>,
    /// The directory for what is measured, old.json, new.json and old-again.json [default: .bench-diff/ab, beside the configuration file]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Measure OLD only as often as NEW: a third less to measure, but what the machine does to equal programs isn't seen
    #[arg(long)]
    old_once: bool,
    /// The time that tracing what changed may take, to say which kernels got slower (docs/tracing.md); 0s traces nothing
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = time_or_none)]
    trace_budget: Duration,
    /// Resume an interrupted `ab` of the same builds: keep the runs that its output directory holds
    #[arg(long)]
    resume: bool,
    /// How to show the comparison
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// What makes the exit code 1: regression, missing, not-comparable, inconclusive, counters (several with commas), or never
    #[arg(long, value_name = "WHAT", default_value = "regression,not-comparable")]
    fail_on: FailOn,
    /// No progress while measuring
    #[arg(short, long)]
    quiet: bool,

    /// The command that builds a checkout or a revision, run at its root [default: for candle and bench-diff, their own]
    #[arg(help_heading = BUILDING, long, value_name = "COMMAND", requires = "product")]
    build_command: Option<String>,
    /// The program that this command leaves there
    #[arg(help_heading = BUILDING, long, value_name = "PATH", requires = "build_command")]
    product: Option<PathBuf>,
    /// An environment variable to hand to builds (repeatable)
    #[arg(help_heading = BUILDING, long, value_name = "NAME")]
    build_env: Vec<String>,
    /// A clone of candle, whose revisions OLD and NEW are [default: `candle` in the configuration file]
    #[arg(help_heading = BUILDING, long, value_name = "DIR", conflicts_with = "build_command")]
    candle: Option<PathBuf>,
    /// bench-diff's own source, to build against candle [default: where this program was built]
    #[arg(help_heading = BUILDING, long, value_name = "DIR", default_value = env!("CARGO_MANIFEST_DIR"), hide_default_value = true)]
    source: PathBuf,

    /// Compare only this metric (repeatable); `all` for every one [default: those of the suite]
    #[arg(help_heading = COMPARING, long = "metric", value_name = "NAME")]
    metrics: Vec<String>,
    /// Noise threshold: the smallest change worth reporting, such as `ttft=3` (repeatable) [default: those of the suite]
    #[arg(
        help_heading = COMPARING,
        long = "noise-threshold",
        value_name = "METRIC=PERCENT|auto",
        value_parser = parse_noise_threshold
    )]
    noise_thresholds: Vec<(String, NoiseThreshold)>,

    #[command(flatten)]
    selection: Selection,
}

/// Headings of the help.
const BUILDING: &str = "Building";
const COMPARING: &str = "Comparing";

const EXAMPLES: &str = "Examples:
  bench-diff ab main .                        # what is in the working tree, against main
  bench-diff ab v1.0 HEAD --suite h100-small --budget 30m
  bench-diff ab ../candle-main ../candle-mine # two checkouts of candle
  bench-diff ab old/bench-diff target/release/bench-diff --runs 12 --context-lengths 1,6144
  bench-diff ab main HEAD --build-command 'make engine' --product build/engine";

/// The files of the contenders, in the output directory.
const OLD: &str = "old.json";
const NEW: &str = "new.json";
const OLD_AGAIN: &str = "old-again.json";

/// Says that the folder is of an `ab`, and of what.
const CONTENDERS: &str = "contenders.json";

/// OLD and NEW, as they were named.
#[derive(Serialize, Deserialize)]
struct Contenders {
    old: String,
    new: String,
}

/// Where no budget is named.
const BUDGET: Duration = Duration::from_secs(600);

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let local = Local::in_directory(&config::directory(args.selection.config.as_deref()));
    local.hide()?;
    // Before anything is built: another `ab` may be using the folder.
    let output = Folder::claim(&args.output.clone().unwrap_or_else(|| local.between_two()))?;
    args.check_whose(&output)?;
    args.same_contenders(&output)?;
    args.sign(&output)?;
    let suite = config::load_suite(&args.selection, &Machine::here())?;
    let (suite, plan) = plan::here(suite)?;
    let workshop = args.workshop(&suite, &local);
    one_engine::refuse_what_is_elsewhere(&suite, &workshop, [&args.old, &args.new])?;
    // Both names are looked at before the first is built.
    let [old, new] = [workshop.program(&args.old)?, workshop.program(&args.new)?];
    one_engine::refuse(&suite, [(&args.old, &old), (&args.new, &new)])?;
    let stop = Stop::on_signals();
    let built = || Ok([old.worker()?, new.worker()?]);
    let workers: Result<[Worker; 2]> = built();
    let [old, new] = match workers {
        Err(_) if stop.is_requested() => return stopped_early(io),
        workers => workers?,
    };
    let duelled = measure(args, &suite, &plan, [old, new], &output, io)?;
    tell(args, &suite, &duelled, &output, io)
}

fn measure(
    args: &Args,
    suite: &Suite,
    plan: &Plan,
    [old, new]: [Worker; 2],
    output: &Folder,
    io: &mut Io,
) -> Result<Duelled> {
    let contender = |program, name| {
        let saved = Saved { path: output.join(name), resume: args.resume };
        Contender { program, saved: Some(saved) }
    };
    let again = (!args.old_once).then(|| contender(old.clone(), OLD_AGAIN));
    let runs = args.selection.settings.runs;
    let looks = runs.map_or_else(|| LOOKS.to_vec(), |runs| vec![runs]);
    let cases = suite.cases().map(|case| case.id.clone()).collect();
    let trial = Trial::new(cases, &looks, &args.options(suite));
    let time = args.budget.unwrap_or(if runs.is_some() { Duration::MAX } else { BUDGET });
    let mut observer = progress::observer(args.quiet, plan.seconds_by_case(), io.err.raw());
    let duel = Duel {
        request: Request { refused: plan.refused(), ..Request::new(suite) },
        base: contender(old.clone(), OLD),
        head: contender(new.clone(), NEW),
        base_again: again,
        observer: observer.as_mut(),
        stop: Stop::on_signals(),
    };
    let mut duelled = duel.until_settled(trial, time)?;
    attribution::attribute(&mut duelled, suite, &[old, new], args.trace_budget, observer.as_mut())?;
    Ok(duelled)
}

fn tell(args: &Args, suite: &Suite, duelled: &Duelled, output: &Folder, io: &mut Io) -> Result<Exit> {
    let Duelled { base, head, comparison, ended, .. } = duelled;
    let stopped = *ended == Ended::Stopped;
    if stopped && runs(base).chain(runs(head)).next().is_none() {
        return stopped_early(io);
    }
    let again = Again::of_ab(&args.old, &args.new, &args.flags(suite));
    let again = again.map(|again| if args.old_once { again.with_switch("--old-once") } else { again });
    show(comparison, &Files::default().measured_again_by(again), args.format, io.out.raw()).map_err(unwritable)?;
    let place = output.path().display();
    if stopped {
        writeln!(io.err, "stopped; what was measured is in {place}; continue with the same command and --resume")?;
        return Ok(Exit::Interrupted);
    }
    for (name, results) in [(&args.old, base), (&args.new, head)] {
        if let Some(why) = nothing(results) {
            let shown = escape::short_line(name, 100);
            let error = Error::measurement(format!("every run of {shown} failed: {}", escape::short_line(why, 600)));
            return Err(one_engine::hint(name).into_iter().fold(error, Error::hint));
        }
    }
    if !args.quiet {
        writeln!(io.err, "the runs are in {place}")?;
    }
    let failed = args.fail_on.fails(&comparison.failings());
    Ok(if failed { Exit::Regression } else { Exit::Success })
}

fn stopped_early(io: &mut Io) -> Result<Exit> {
    writeln!(io.err, "stopped before anything was measured")?;
    Ok(Exit::Interrupted)
}

fn runs(results: &Results) -> impl Iterator<Item = &Outcome> {
    results.sessions.iter().flat_map(|session| &session.runs).map(|run| &run.outcome)
}

/// Why no run gave numbers, if so.
fn nothing(results: &Results) -> Option<&str> {
    if runs(results).any(|outcome| matches!(outcome, Outcome::Ok(_))) {
        return None;
    }
    runs(results).find_map(|outcome| match outcome {
        Outcome::Failed(failure) => Some(failure.reason.as_str()),
        Outcome::Ok(_) => None,
    })
}

impl Args {
    /// A folder that somebody named, and that no `ab` has signed, holds somebody's files.
    fn check_whose(&self, output: &Folder) -> Result<()> {
        let path = output.join(CONTENDERS);
        let signed = if path.is_file() { std::fs::read(path).ok() } else { None };
        let is_signed = signed.is_some_and(|text| serde_json::from_slice::<Contenders>(&text).is_ok());
        if is_signed || self.output.is_none() {
            return Ok(());
        }
        leftover::refuse_somebodys(output.path(), &[OLD, NEW, OLD_AGAIN, CONTENDERS], "bench-diff ab")
    }

    fn sign(&self, output: &Folder) -> Result<()> {
        let contenders = Contenders { old: self.old.clone(), new: self.new.clone() };
        files::write(&output.join(CONTENDERS), |out| Ok(serde_json::to_writer(out, &contenders)?))
    }

    /// What is resumed has the contenders that it had; what isn't leaves no contender of an earlier `ab` behind.
    fn same_contenders(&self, output: &Folder) -> Result<()> {
        let [old, again] = [OLD, OLD_AGAIN].map(|name| output.join(name));
        if !self.resume {
            return leftover::remove(&again);
        }
        let refused = |how: &str, hint: &str| {
            let place = output.path().display();
            Err(Error::usage(format!("can't resume what is in {place}: OLD was measured {how}")).hint(hint))
        };
        match (old.exists(), again.exists(), self.old_once) {
            (true, false, false) => refused("once", "give --old-once, or start anew without --resume"),
            (true, true, true) => refused("twice", "leave --old-once out, or start anew without --resume"),
            _ => Ok(()),
        }
    }

    fn workshop(&self, suite: &Suite, local: &Local) -> Workshop {
        let build = self.build_command.clone().zip(self.product.clone());
        let candle = self.candle.clone().map(|path| CandleSource::Checkout { path });
        // A command that builds something else outweighs the configuration's candle.
        let repository = match candle.or_else(|| suite.candle.clone().filter(|_| build.is_none())) {
            None => Repository::Clone(".".into()),
            Some(CandleSource::Checkout { path }) => Repository::CandleClone(path),
            Some(CandleSource::Git { git, .. }) => Repository::CandleAt(git),
        };
        let (source, env, cache) = (Source::at(&self.source), self.build_env.clone(), local.builds());
        let engines = OwnEngines::of(suite, &self.selection, &env, cache.clone());
        Workshop { repository, build, engines, source, env, cache }
    }

    /// The suite's, but for what flags say.
    fn options(&self, suite: &Suite) -> Options {
        let mut options = Options::from(&suite.thresholds);
        if !self.metrics.is_empty() {
            options.metrics.clone_from(&self.metrics);
        }
        options.noise_thresholds.extend(self.noise_thresholds.iter().cloned());
        options
    }

    /// Those that make the same measurement, each with its value.
    fn flags(&self, suite: &Suite) -> Vec<String> {
        let selection = Selection { suite: Some(suite.name.clone()), ..self.selection.clone() };
        let mut flags = selection.flags();
        let mut add = |flag: &str, value: String| flags.extend([flag.to_owned(), value]);
        let path = |path: &Path| path.display().to_string();
        self.build_command.iter().for_each(|command| add("--build-command", command.clone()));
        self.product.iter().for_each(|product| add("--product", path(product)));
        self.build_env.iter().for_each(|name| add("--build-env", name.clone()));
        self.candle.iter().for_each(|candle| add("--candle", path(candle)));
        self.metrics.iter().for_each(|name| add("--metric", name.clone()));
        for (name, threshold) in &self.noise_thresholds {
            add("--noise-threshold", format!("{name}={threshold}"));
        }
        self.budget.iter().for_each(|time| add("--budget", format!("{}s", time.as_secs_f64())));
        flags
    }
}

/// `90s`, `10m`, `1.5h`
fn time_or_none(text: &str) -> Result<Duration, String> {
    if text == "0s" { Ok(Duration::ZERO) } else { time(text) }
}

fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time such as 90s, 10m or 1h, up to a week".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let seconds = number * seconds;
    if seconds > 0.0 && seconds <= 7.0 * 86_400.0 { Ok(Duration::from_secs_f64(seconds)) } else { Err(wrong()) }
}
