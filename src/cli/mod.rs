//! The command line: parse, run the command, turn its end into an exit code.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use anstream::AutoStream;
use clap::{ArgMatches, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::child::shield;
use crate::commands;
use crate::error::{Advice, Error, Exit, Result, sentence};
use crate::escape::{self, Printed, RunnerLog};
use crate::io::{Io, Writer};
use crate::redact::{Secrets, without_logins};

/// An error names foreign text (a case, a file), which may be of any length.
const MAX_ERROR: usize = 2000;
/// Nobody reads more at once; the first message says how many there are.
const MAX_DETAILS: usize = 50;

#[derive(Debug, Parser)]
#[command(name = "bench-diff", version, about, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "Examples:
  bench-diff ci                          # measure this build, and compare it with an earlier one
  bench-diff ab main .                   # measure two versions on this machine, until it is clear
  bench-diff run --output new.json       # only measure
  bench-diff compare old.json new.json   # compare two measurements

Exit codes:
  0    success
  1    what --fail-on names was found: by default, that something couldn't be compared;
       or `doctor` found something missing, or no case of a `plan` can run
  2    wrong arguments, configuration or input file; output that can't be written
  3    the measurement failed
  130  stopped by Ctrl-C; what was measured is kept
  141  whoever read the output closed it, as `head` does";

/// Behind the flags of a command itself.
const GLOBAL: &str = "Global options";

/// Flags of every command.
#[derive(Debug, clap::Args)]
pub struct Global {
    /// More output on stderr (-vv for even more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = GLOBAL)]
    pub verbose: u8,
    /// Colors: `auto` is on a terminal, unless NO_COLOR is set; also in a pipe if CLICOLOR_FORCE is
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = GLOBAL)]
    pub color: ColorChoice,
}

/// In the order of the help: the main job, what it needs, what a workflow calls, what looks closer.
#[derive(Debug, Subcommand)]
enum Command {
    Ci(Box<commands::ci::Args>),
    Ab(Box<commands::ab::Args>),
    Run(Box<commands::run::Args>),
    Compare(commands::compare::Args),
    Convert(commands::convert::Args),
    Doctor(Box<commands::doctor::Args>),
    Init(commands::init::Args),
    Plan(Box<commands::plan::Args>),
    Models(commands::models::Args),
    Baseline(commands::baseline::Args),
    Calibrate(Box<commands::calibrate::Args>),
    Export(commands::export::Args),
    Published(commands::published::Args),
    Base(commands::base::Args),
    Publish(commands::publish::Args),
    Accept(commands::accept::Args),
    Profile(commands::profile::Args),
    Trace(Box<commands::trace::Args>),
    Kernels(commands::kernels::Args),
    Generate(commands::generate::Args),
    CheckEngine(commands::check_engine::Args),
    Schema(commands::schema::Args),
    #[command(hide = true)]
    Worker(commands::worker::Args),
    #[command(hide = true)]
    CheckWorker(commands::check_worker::Args),
    #[command(hide = true)]
    Guard(commands::guard::Args),
}

impl Command {
    /// Those that talk to GitHub.
    fn may_hold_a_token(&self) -> bool {
        matches!(self, Self::Ci(_) | Self::Base(_) | Self::Publish(_) | Self::Accept(_))
    }
}

/// What the command line can be, for tests of the help and of the documentation's commands.
pub fn command_line() -> clap::Command {
    Cli::command()
}

pub fn run(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let secrets = Secrets::of_environment();
    let mut err = secrets.writer(RunnerLog::new(err, runner_reads(Printed::Annotations)));
    let parsed = Cli::command().try_get_matches_from(of_help(args));
    let prints_data = parsed.as_ref().is_ok_and(prints_data);
    let quiet = parsed.as_ref().is_ok_and(is_quiet);
    let printed = if parsed.as_ref().is_ok_and(prints_json) { Printed::Json } else { Printed::Text };
    let out = RunnerLog::new(out, runner_reads(printed).filter(|_| !is_a_file(&io::stdout())));
    let mut out = if prints_data { Secrets::for_data().writer(out) } else { secrets.writer(out) };
    let cli = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match cli.map_err(|error| error.format(&mut Cli::command())) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &mut out, &mut err),
    };
    choose_color(cli.global.color);
    log(cli.global.verbose, quiet, secrets);
    if cli.command.may_hold_a_token() {
        shield();
    }
    let mut io = Io::new(&mut out, &mut err);
    match dispatch(cli.command, &mut io) {
        Ok(exit) => exit.into(),
        Err(error) => ended(&error, &mut io.err),
    }
}

/// Who asks how `help` is used wants it: `help --help` is `help`.
fn of_help(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let is = |at: usize, words: &[&str]| args.get(at).is_some_and(|word| words.iter().any(|known| word == known));
    if is(1, &["help"]) && is(2, &["--help", "-h"]) {
        args.remove(2);
    }
    args
}

/// Is standard output for programs to read?
fn prints_data(matches: &ArgMatches) -> bool {
    let Some((command, matches)) = matches.subcommand() else { return false };
    command == "schema" || command == "convert" || is_given(matches, "format", &["json", "csv"]) || prints_data(matches)
}

/// And is it JSON?
fn prints_json(matches: &ArgMatches) -> bool {
    let Some((command, matches)) = matches.subcommand() else { return false };
    command == "schema"
        || (command == "convert" && !is_given(matches, "to", &["go"]))
        || is_given(matches, "format", &["json"])
        || prints_json(matches)
}

/// Does the command have that flag, and is its value one of these?
fn is_given(matches: &ArgMatches, flag: &str, values: &[&str]) -> bool {
    let given = matches.try_get_raw(flag).ok().flatten().and_then(|mut given| given.next());
    given.is_some_and(|given| values.iter().any(|value| given == *value))
}

/// A runner reads what its steps print.
fn runner_reads(printed: Printed) -> Option<Printed> {
    commands::variable("GITHUB_ACTIONS").filter(|it| !it.is_empty()).map(|_| printed)
}

/// Nobody reads along what goes to a file.
fn is_a_file(stream: &impl AsFd) -> bool {
    let file = stream.as_fd().try_clone_to_owned().map(File::from);
    file.and_then(|file| file.metadata()).is_ok_and(|metadata| metadata.is_file())
}

/// Says why, unless that is no news: a reader that wanted no more.
fn ended(error: &Error, err: &mut Writer) -> ExitCode {
    if error.exit != Exit::ClosedPipe {
        let (mut out, mut err) = (io::sink(), RunnerLog::new(err.raw(), runner_reads(Printed::Text)));
        // A closed stderr leaves nobody to tell.
        let _ = tell(error, &mut Io::new(&mut out, &mut err).err);
    }
    error.exit.into()
}

fn tell(error: &Error, err: &mut Writer) -> Result<()> {
    writeln!(err, "error: {}", escape::short_line(&sentence(error), MAX_ERROR))?;
    for detail in error.details().iter().take(MAX_DETAILS) {
        writeln!(err, "  {}", escape::short_line(detail, MAX_ERROR))?;
    }
    match error.advice() {
        Some(hint) => writeln!(err, "  hint: {}", escape::short_line(hint, MAX_ERROR)),
        None => Ok(()),
    }
}

fn dispatch(command: Command, io: &mut Io) -> Result<Exit> {
    match command {
        Command::Compare(args) => commands::compare::run(&args, io),
        Command::Convert(args) => commands::convert::run(&args, io),
        Command::Doctor(args) => commands::doctor::run(&args, io),
        Command::Init(args) => commands::init::run(&args, io),
        Command::Plan(args) => commands::plan::run(&args, io),
        Command::CheckEngine(args) => commands::check_engine::run(&args, io),
        Command::Models(args) => commands::models::run(&args, io),
        Command::Published(args) => commands::published::run(&args, io),
        Command::Export(args) => commands::export::run(&args, io),
        Command::Schema(args) => commands::schema::run(&args, io),
        Command::Generate(args) => commands::generate::run(&args, io),
        Command::Run(args) => commands::run::run(&args, io),
        Command::Profile(args) => commands::profile::run(&args, io),
        Command::Trace(args) => commands::trace::run(&args, io),
        Command::Kernels(args) => commands::kernels::run(&args, io),
        Command::Worker(args) => commands::worker::run(&args),
        Command::CheckWorker(args) => commands::check_worker::run(&args, io),
        Command::Guard(args) => commands::guard::run(&args),
        Command::Ci(args) => commands::ci::run(&args, io),
        Command::Ab(args) => commands::ab::run(&args, io),
        Command::Base(args) => commands::base::run(&args, io),
        Command::Calibrate(args) => commands::calibrate::run(&args, io),
        Command::Baseline(args) => commands::baseline::run(&args, io),
        Command::Publish(args) => commands::publish::run(&args, io),
        Command::Accept(args) => commands::accept::run(&args, io),
    }
}

/// `--help` and `--version` are results; anything else is a usage error.
fn usage(error: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let text = error.render().to_string();
    let mut io = Io::new(out, err);
    // A flag's value is shown as it was typed.
    let written = if error.use_stderr() { io.err.text(&without_logins(&text)) } else { io.out.text(&text) };
    match written {
        Err(error) => ended(&error, &mut io.err),
        Ok(()) if error.use_stderr() => Exit::Usage.into(),
        Ok(()) => Exit::Success.into(),
    }
}

/// What `auto` means is decided where something is written: whether that is a terminal, and what its user wants.
fn choose_color(color: ColorChoice) {
    match color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Does the command have the flag `--quiet`, and was it given?
fn is_quiet(matches: &ArgMatches) -> bool {
    let Some((_, matches)) = matches.subcommand() else { return false };
    matches.try_get_one("quiet").ok().flatten().copied().unwrap_or(false)
}

/// Logs go to this process's standard error, whatever `err` is.
fn log(verbose: u8, quiet: bool, secrets: Secrets) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    let color = AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    // Ours only: the libraries' own logs drown them.
    let writer = move || secrets.writer(RunnerLog::new(io::stderr(), runner_reads(Printed::Text)));
    // Where in the source it is said is for who looks closer.
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(color).with_target(verbose > 0);
    let layer = layer.without_time();
    // Building takes minutes: what is built is said.
    let building = if quiet { level } else { level.max(tracing::Level::INFO) };
    let ours = tracing_subscriber::filter::Targets::new()
        .with_target("bench_diff", level)
        .with_target("bench_diff::programs", building)
        .with_target("worker", level);
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(ours));
    // A second command in the same process (a test) keeps the first one's.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
