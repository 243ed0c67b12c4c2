//! `bench-diff check-engine`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::builder::TypedValueParser;

use super::check_worker::{Job, Told};
use crate::case::{DeviceKind, Dtype, ImplementationName, WeightsSource};
use crate::child::{Conversation, Environment, Launch, Next, Stop};
use crate::config::engines;
use crate::engine::command::{Check, CommandKind, Found};
use crate::engine::{EngineKind, ModelSpec, foreign_program};
use crate::error::{Error, Exit, Result};
use crate::flags;
use crate::io::Io;
use crate::measure::Worker;
use crate::page::terminal;
use crate::{hub, progress, render};

/// Check that a program speaks the engine protocol, and say what it does wrong
///
/// Starts the program five to seven times and tries what docs/engine-protocol.md asks of it. Exit code 3 if it breaks a promise.
/// What is optional, batches and seed protocols, may be left out as long as the program says so.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The model that it is to load: an id, or a directory
    #[arg(long, value_name = "ID|DIRECTORY", default_value = "Qwen/Qwen2.5-0.5B-Instruct")]
    model: String,
    /// Where the weights come from [default: local for a directory, else hub]
    #[arg(long, value_parser = flags::word::<WeightsSource>())]
    weights: Option<WeightsSource>,
    /// The type of weights and activations [default: bf16 on a GPU, f32 on a CPU]
    #[arg(long, value_parser = flags::word::<Dtype>())]
    dtype: Option<Dtype>,
    /// A word of the program's own [default: what it takes by itself]
    #[arg(long, value_parser = engines::implementation(), hide_possible_values = true)]
    implementation: Option<ImplementationName>,
    /// Where it is to run the model
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = flags::word::<DeviceKind>())]
    device: DeviceKind,
    /// Seconds that the program may take from its start to its `hello`
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = seconds())]
    hello_limit: u64,
    /// Seconds that each answer may take after that: loading the model is one
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = seconds())]
    limit: u64,
    /// No progress while checking
    #[arg(short, long)]
    quiet: bool,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Each answer has its limit, and the next question comes at once.
const ALWAYS: Duration = Duration::from_secs(7 * 24 * 3600);

const EXAMPLES: &str = "Examples:
  bench-diff check-engine -- python3 my-engine.py
  bench-diff check-engine --model ./my-model --device cuda -- target/release/my-engine";

fn seconds() -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(1..=86_400)
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let spec = spec(args)?;
    if let Some(why) = foreign_program::lacking(&spec.command, None) {
        return Err(Error::usage(format!("there is nothing to check: {why}")));
    }
    let job = Job { spec, hello_seconds: args.hello_limit, answer_seconds: args.limit };
    let mut steps = progress::steps(args.quiet, io.err.raw());
    let checks = checked(&job, &mut |promise| steps(&format!("the program {promise}?")));
    drop(steps);
    let Some(checks) = checks? else { return Ok(Exit::Interrupted) };
    io.out.text(&terminal::for_stdout(&render::conformance::page(&checks)))?;
    match checks.iter().all(|check| matches!(check.found, Found::Kept(_))) {
        true => Ok(Exit::Success),
        false => Err(Error::measurement("the program doesn't speak the engine protocol as it should")
            .hint("what is printed above says where; docs/engine-protocol.md says how it should")),
    }
}

/// In a process of its own, which ends with us, with all that the program starts. `None` if somebody stopped it.
fn checked(job: &Job, tell: &mut dyn FnMut(&str)) -> Result<Option<Vec<Check>>> {
    let failed = |why: String| Error::measurement(format!("the program couldn't be checked: {why}"));
    let said = serde_json::to_vec(job).map_err(|error| failed(error.to_string()))?;
    // Its log is shown as far as ours is.
    let launch = Launch::of(Worker::this()?.path, Environment::measured(job.spec.hub_token()));
    let launch = launch.args(["check-worker", "--verbose"]).given(said);
    let mut running: Conversation<Told> = Conversation::start(&launch).map_err(|error| failed(error.to_string()))?;
    loop {
        match running.next(Instant::now() + ALWAYS, Stop::on_signals()) {
            Next::Message(told) => match *told {
                Told::Trying(promise) => tell(&promise),
                Told::Checked(checks) => return Ok(Some(checks)),
            },
            Next::Stopped => return Ok(None),
            Next::Garbage(line) => return Err(failed(line.why)),
            Next::Ended | Next::TimedOut => return Err(failed(running.end())),
        }
    }
}

/// A directory, as in a configuration: it starts with `.` or `/`, or is there and no id.
fn directory(model: &str) -> Result<Option<PathBuf>> {
    let is_there = hub::is_model(Path::new(model));
    if model.starts_with(['.', '/']) && !is_there {
        return Err(Error::usage(format!("--model: there is no directory {model}"))
            .hint("give the directory of a model, or an id such as Qwen/Qwen2.5-0.5B-Instruct"));
    }
    let is_id = CommandKind.shape(model, None).is_ok_and(|known| known.is_some());
    let is_meant = is_there && !is_id;
    let directory = is_meant.then(|| std::path::absolute(model)).transpose();
    directory.map_err(|error| Error::usage("--model").because(error))
}

fn spec(args: &Args) -> Result<ModelSpec> {
    let directory = directory(&args.model)?;
    let usual = if directory.is_some() { WeightsSource::Local } else { WeightsSource::Hub };
    let (implementation, dtype) = CommandKind.usual(args.device);
    Ok(ModelSpec {
        directory,
        weights: args.weights.unwrap_or(usual),
        dtype: args.dtype.unwrap_or(dtype),
        engine: CommandKind.name().into(),
        command: args.command.clone(),
        implementation: args.implementation.clone().unwrap_or_else(|| implementation.into()),
        max_length: 512,
        ..ModelSpec::generated(args.model.clone(), args.device)
    })
}
