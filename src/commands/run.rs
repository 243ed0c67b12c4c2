//! `bench-diff run`

use std::path::{Path, PathBuf};

use super::here;
use crate::case::WeightsSource;
use crate::config::{self, ModelSettings, Selection, Suite, SuiteSettings};
use crate::device::Machine;
use crate::engine::{self, ModelSpec};
use crate::error::{Error, Exit, Result};
use crate::escape;
use crate::files::Output;
use crate::io::Io;
use crate::measure::{self, End, MeasuredSide, Request, Stop, Worker};
use crate::page::terminal;
use crate::plural::counted;
use crate::results::{self, FailureKind, Outcome, Results, Settings};
use crate::{hub, plan, progress, render};

/// Measure a suite: every run is a process of its own, every sample is kept
///
/// The results file is written after every measured case. Stop with Ctrl-C at any time, and continue with --resume.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file for the results
    #[arg(short, long, value_name = "FILE", default_value = "results.json")]
    output: PathBuf,
    /// Replace the output file if it exists
    #[arg(long)]
    force: bool,
    /// Resume an interrupted session: keep its finished runs, repeat failed ones
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "force"])]
    resume: Option<PathBuf>,
    /// Also write the file formats of Qwen's speed benchmark scripts and of EvalScope into this directory
    #[arg(long, value_name = "DIR")]
    csv: Option<PathBuf>,
    /// Also write the time of every gap between tokens to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// No progress while measuring
    #[arg(short, long)]
    quiet: bool,
    /// The program to measure, if it isn't this one: started as `PATH worker`
    #[arg(long, value_name = "PATH", hide = true)]
    worker: Option<PathBuf>,
    #[command(flatten)]
    selection: Selection,
}

const EXAMPLES: &str = "Examples:
  bench-diff run
  bench-diff run --suite h100-small --runs 5 --output before.json
  bench-diff run --resume results.json
  bench-diff run --model Qwen/Qwen2.5-7B-Instruct --context-lengths 1,6144 --csv speed-benchmark
  bench-diff run --engine server --server http://127.0.0.1:8000/v1 --concurrency 1,8";

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let worker = args.worker.as_deref().map(Worker::named).transpose()?;
    // Before anything is asked about it: another process may be writing it.
    let output = Output::claim(args.resume.as_ref().unwrap_or(&args.output))?;
    args.csv.as_deref().map_or(Ok(()), Results::check_export)?;
    let (suite, side) = match &args.resume {
        Some(_) => resumed(args, worker, &output)?,
        None => started(args, worker, &output)?,
    };
    let (suite, plan) = plan::here(suite)?;
    note_generated(&args.selection, &suite, io)?;
    if let Some(candle) = suite.candle.as_ref().filter(|_| args.worker.is_none()) {
        let candle = escape::line(&candle.to_string());
        writeln!(
            io.err,
            "warning: measuring this program; only `bench-diff ci` builds one against the candle {candle}"
        )?;
    }
    if let Some(trace) = args.trace.as_ref().filter(|trace| same_file(trace, output.path())) {
        return Err(Error::usage(format!("--trace and --output are both {}", trace.display())).hint("name two files"));
    }
    let request = Request { refused: plan.refused(), trace: args.trace.as_deref(), ..Request::new(&suite) };
    let mut sides = [side.saved_to(output)];
    let end = {
        let mut observer = progress::observer(args.quiet, plan.seconds_by_case(), io.err.raw());
        measure::run(&request, &mut sides, observer.as_mut(), Stop::on_signals())?
    };
    let [MeasuredSide { results, output: Some(output), .. }] = sides else { unreachable!("it was given one") };
    if end == End::Stopped && results.sessions.last().is_none_or(|session| session.runs.is_empty()) {
        writeln!(io.err, "stopped before anything was measured")?;
        return Ok(Exit::Interrupted);
    }
    if end == End::Stopped {
        writeln!(io.err, "stopped; what was measured is in {}{}", output.path().display(), way_on(args, &output))?;
        return Ok(Exit::Interrupted);
    }
    report(args, &results, &output, io)
}

/// Who names a directory and says nothing of weights may think of its files.
fn note_generated(selection: &Selection, suite: &Suite, io: &mut Io) -> Result<()> {
    let said = selection.models.is_empty() || selection.settings.model.weights.is_some();
    let specs = suite.models.iter().map(|model| &model.spec);
    // What a program of somebody else does with a directory is its affair.
    let makes_them = |spec: &&ModelSpec| engine::find(&spec.engine).is_ok_and(|engine| !engine.is_of_others());
    for spec in specs.filter(|spec| !said && spec.weights == WeightsSource::Generated).filter(makes_them) {
        let Some(directory) = &spec.directory else { continue };
        let place = escape::line(&directory.display().to_string());
        match hub::has_weights(directory) {
            true => writeln!(
                io.err,
                "note: the weights of {place} are generated, as the configuration says; --weights local takes its files"
            )?,
            false => writeln!(io.err, "note: {place} has no weights that can be read: they are generated")?,
        }
    }
    Ok(())
}

/// Also where neither is there yet.
fn same_file(one: &Path, other: &Path) -> bool {
    let absolute = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    absolute(one).is_some_and(|one| absolute(other) == Some(one))
}

fn started(args: &Args, worker: Option<Worker>, output: &Output) -> Result<(Suite, MeasuredSide)> {
    let suite = config::load_suite(&args.selection, &Machine::here())?;
    if !args.force && output.exists() {
        let path = output.path().display();
        return Err(Error::usage(format!("{path} exists already")).hint(format!(
            "`bench-diff run --resume {path}` resumes it; --force replaces it; --output names another"
        )));
    }
    let worker = worker.map_or_else(|| here::worker(&suite, &args.selection), Ok)?;
    let side = MeasuredSide::new("", worker, &suite, &measure::session_id());
    Ok((suite, side))
}

/// How to resume, if that is possible.
fn way_on(args: &Args, output: &Output) -> String {
    if output.is_stream() {
        return String::new();
    }
    let path = output.path().display();
    let flags = if changes_cases(&args.selection) { args.selection.flags() } else { Vec::new() };
    let words = ["bench-diff", "run", "--resume"].map(str::to_owned).into_iter().chain([path.to_string()]).chain(flags);
    match words.map(|word| escape::shell(&word)).collect::<Option<Vec<String>>>() {
        Some(words) => format!("; continue with: {}", words.join(" ")),
        None => format!("; continue with the same command, and --resume {path} in place of --output"),
    }
}

/// The file knows its suite and how it is measured; flags of the interrupted command that changed what is measured have to
/// be given again, and it is an error when they aren't.
fn resumed(args: &Args, worker: Option<Worker>, output: &Output) -> Result<(Suite, MeasuredSide)> {
    if output.is_stream() {
        let path = output.path().display();
        return Err(Error::usage(format!("can't resume {path}: what is written there can't be read again")));
    }
    let results = results::read(output.path())?;
    let mut selection = args.selection.clone();
    selection.suite.get_or_insert_with(|| results.suite.clone());
    remember(&mut selection.settings, &results.settings);
    let suite = config::load_suite(&selection, &Machine::here())?;
    let worker = worker.map_or_else(|| here::worker(&suite, &selection), Ok)?;
    let side = MeasuredSide::resume(worker, &suite, results)?;
    Ok((suite, side))
}

/// How a session was measured holds where the command doesn't say otherwise.
fn remember(flags: &mut SuiteSettings, kept: &Settings) {
    // What counts as a change is the configuration's to say, now as before.
    let Settings { runs, warmup, warmup_length, iterations, threads, prompt, seed_protocol, .. } = kept;
    flags.runs.get_or_insert(*runs);
    flags.threads = flags.threads.or(*threads);
    if let Some(protocol) = seed_protocol {
        // It says the rest itself.
        flags.seed_protocol = flags.seed_protocol.or(protocol.known());
        return;
    }
    flags.warmup.get_or_insert(*warmup);
    flags.iterations.get_or_insert(*iterations);
    flags.warmup_length = flags.warmup_length.or(*warmup_length);
    flags.prompt = flags.prompt.or(prompt.known());
}

/// Flags that the results file doesn't know.
fn changes_cases(selection: &Selection) -> bool {
    let flags = &selection.settings;
    let changed = flags.model != ModelSettings::default() || flags.device.is_some() || flags.gpus.is_some();
    selection.config.is_some() || !selection.models.is_empty() || changed
}

fn report(args: &Args, results: &Results, output: &Output, io: &mut Io) -> Result<Exit> {
    if let Some(directory) = &args.csv {
        results.export(directory)?;
    }
    // The results themselves may be on standard output.
    if !output.is_stdout() {
        io.out.text(&terminal::for_stdout(&render::run::page(results)))?;
    }
    let runs = results.sessions.last().map_or(&[][..], |session| &session.runs);
    let failed = runs
        .iter()
        .filter(|run| matches!(&run.outcome, Outcome::Failed(failure) if failure.kind != FailureKind::DoesNotFit));
    let failed = failed.count();
    if !args.quiet {
        writeln!(io.err, "{} in {}", counted(runs.len(), "run"), output.path().display())?;
    }
    if failed > 0 {
        writeln!(io.err, "{failed} of {} failed; the table says why", counted(runs.len(), "run"))?;
        return Ok(Exit::Measurement);
    }
    Ok(Exit::Success)
}
