//! `bench-diff trace`

mod of_case;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use serde::Serialize;

use super::format::Format;
use crate::child::Stop;
use crate::config::Selection;
use crate::error::{Error, Exit, Result};
use crate::escape;
use crate::files::Output as OutputFile;
use crate::io::Io;
use crate::page::{Page, terminal};
use crate::render::trace_diff_page;
use crate::render::trace_page::{self, Amount};
use crate::trace::trace_diff::Diff;
use crate::trace::trace_file::Saved;
use crate::trace::trace_table::Numbers;
use crate::trace::traced_program::{self, Ended, How};
use crate::trace::{Part, Trace};

const EXAMPLES: &str = "Examples:
  bench-diff trace -- ./my-program --its-flag
  bench-diff trace --output base.trace -- env CUDA_VISIBLE_DEVICES=1 python3 generate.py
  bench-diff trace base.trace
  bench-diff trace Qwen/Qwen2.5-0.5B-Instruct --per-token
  bench-diff trace --diff base.trace head.trace";

/// Show where a program's time on the GPU goes: its kernels, copies and waits
///
/// Runs any program that uses CUDA on an NVIDIA GPU, on Linux, without a change to it: the CUDA driver loads our tracer into it,
/// which listens to CUPTI. In place of a program, a case of the suite, or a model, is run as it is measured, and shown phase by
/// phase. What the program writes goes to standard error. docs/tracing.md says what is counted, and what it costs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A saved trace to show; or what to trace: a case of the suite, or a model
    #[arg(value_name = "FILE|CASE|MODEL", conflicts_with_all = ["diff", "program"], required_unless_present_any = ["diff", "program"])]
    what: Option<String>,
    /// Compare two saved traces: kernels that are gone, new, called more often, or slower
    #[arg(long, num_args = 2, value_names = ["BASE", "HEAD"], conflicts_with_all = ["program", "output"])]
    diff: Option<Vec<PathBuf>>,
    /// Save the trace
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long, requires = "output")]
    force: bool,
    /// Only what happened in this phase, of a program that tells the tracer its phases
    #[arg(long, value_name = "NAME")]
    phase: Option<String>,
    /// Of a case or a model: numbers of one token, and of one prefill
    #[arg(long, conflicts_with_all = ["diff", "program"])]
    per_token: bool,
    /// Show so many kernels; what is left is summed up
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..=200))]
    top: u16,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The program and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    program: Vec<OsString>,
    #[command(flatten)]
    selection: Selection,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    match (&args.diff, &args.what) {
        (Some(files), _) => compare(args, files, io),
        (None, Some(file)) if Path::new(file).is_file() => show_saved(args, Path::new(file), io),
        (None, Some(what)) => of_case::trace(args, what, io),
        (None, None) => trace(args, io),
    }
}

fn show_saved(args: &Args, file: &Path, io: &mut Io) -> Result<Exit> {
    if args.output.is_some() || args.per_token {
        return Err(Error::usage(format!("{} is a saved trace: it is only shown", file.display()))
            .hint("--output and --per-token are for what is traced now"));
    }
    show(args, &Saved::read(file)?.trace(), Amount::All, io).map(|()| Exit::Success)
}

fn trace(args: &Args, io: &mut Io) -> Result<Exit> {
    let output = args.output.as_deref().map(|path| claimed(path, args.force)).transpose()?;
    Stop::on_signals();
    let mut failed = Ok(());
    let ended = traced_program::run(&args.program, &mut |line| {
        let written = writeln!(io.err, "{}", escape::line(line));
        failed = std::mem::replace(&mut failed, Ok(())).and(written);
    })?;
    failed?;
    let trace = ended.saved.trace();
    if trace.processes.is_empty() {
        return Err(nothing_seen(&ended));
    }
    if let Some(problem) = trace.only_problem() {
        return Err(Error::measurement(format!("nothing was traced: {problem}")));
    }
    if let Some(output) = &output {
        output.write(|out| ended.saved.write(out)).map_err(|error| Error::writing(output.path(), error))?;
    }
    if ended.unreadable > 0 {
        writeln!(io.err, "warning: {} files that the program left are no traces, or too large", ended.unreadable)?;
    }
    show(args, &trace, Amount::All, io)?;
    match ended.how {
        How::Stopped => Ok(Exit::Interrupted),
        How::ByItself(status) if status.success() => Ok(Exit::Success),
        How::ByItself(status) => Err(Error::measurement(format!("the program failed: {status}"))),
    }
}

fn claimed(path: &Path, force: bool) -> Result<OutputFile> {
    let output = OutputFile::claim(path)?;
    if output.exists() && !force {
        let there = format!("{} is there already", path.display());
        return Err(Error::usage(there).hint("--force replaces it; or name another file"));
    }
    Ok(output)
}

/// No CUDA driver loaded the tracer, or none that could.
fn nothing_seen(ended: &Ended) -> Error {
    let how = match ended.how {
        How::Stopped => "the program was stopped".to_owned(),
        How::ByItself(status) => format!("the program ended ({})", said(status)),
    };
    let left = match ended.unreadable {
        0 => String::new(),
        files => format!(", and {files} of the files that it left are no traces"),
    };
    Error::measurement(format!("nothing was traced: {how}, and no CUDA driver ever loaded the tracer into it{left}"))
        .hint("trace a program that uses CUDA on an NVIDIA GPU; docs/tracing.md says what else keeps the tracer out")
}

fn said(status: ExitStatus) -> String {
    if status.success() { "without an error".to_owned() } else { status.to_string() }
}

/// What `--format json` prints of a trace.
#[derive(Serialize)]
struct Json<'a> {
    processes: Vec<JsonProcess<'a>>,
    phases: Vec<&'a str>,
    #[serde(flatten)]
    page: Numbers,
}

#[derive(Serialize)]
struct JsonProcess<'a> {
    pid: u32,
    program: &'a str,
    problem: Option<&'a str>,
    ended: bool,
    dropped: u64,
}

fn show(args: &Args, trace: &Trace, amount: Amount, io: &mut Io) -> Result<()> {
    let part = part(trace, args.phase.as_deref(), "the trace")?;
    match args.format {
        Format::Table => print(&trace_page::page(trace, args.phase.as_deref(), &part, amount, args.top.into()), io),
        Format::Json => io.out.json(&Json {
            processes: trace.processes.iter().map(JsonProcess::of).collect(),
            phases: trace.phases.iter().map(|(name, _)| name.as_str()).collect(),
            page: Numbers::of(&part),
        }),
    }
}

impl<'a> JsonProcess<'a> {
    fn of(process: &'a crate::trace::Process) -> Self {
        let crate::trace::Process { pid, program, problem, ended, dropped } = process;
        Self { pid: *pid, program, problem: problem.as_deref(), ended: *ended, dropped: *dropped }
    }
}

fn compare(args: &Args, files: &[PathBuf], io: &mut Io) -> Result<Exit> {
    let [base, head] = files else { return Err(Error::usage("two traces are compared")) };
    let traces = [base, head].map(|path| Saved::read(path).map(|saved| saved.trace()));
    let [base_trace, head_trace] = traces;
    let phase = args.phase.as_deref();
    let of = |trace: &Trace, path: &Path| part(trace, phase, &path.display().to_string());
    let diff = Diff::of(&of(&base_trace?, base)?, &of(&head_trace?, head)?);
    match args.format {
        Format::Table => print(&trace_diff_page::page(&diff, args.top.into()), io)?,
        Format::Json => io.out.json(&diff)?,
    }
    Ok(Exit::Success)
}

fn part(trace: &Trace, phase: Option<&str>, place: &str) -> Result<Part> {
    trace.part(phase).ok_or_else(|| {
        let names: Vec<String> =
            trace.phases.iter().map(|(name, _)| format!("`{}`", escape::short_line(name, 40))).collect();
        let phase = escape::short_line(phase.unwrap_or_default(), 40);
        Error::usage(format!("{place} has no phase `{phase}`, but {}", names.join(", ")))
    })
}

fn print(page: &Page, io: &mut Io) -> Result<()> {
    io.out.text(&terminal::for_stdout(page))
}
