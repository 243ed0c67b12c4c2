//! `bench-diff trace`

mod asked;
mod of_case;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use serde::Serialize;

use super::format::Format;
use super::kernels::{Source, Written};
use super::trace_export::{Export, Tool, claimed};
use crate::child::Stop;
use crate::config::Selection;
use crate::error::{Error, Exit, Result};
use crate::escape;
use crate::io::Io;
use crate::kernel_code::code_diff::{CodeDiff, Evidence};
use crate::kernel_code::code_files::Kernels;
use crate::page::{Page, terminal};
use crate::render::trace_diff_page;
use crate::render::trace_page::{self, Amount, View};
use crate::trace::trace_diff::Diff;
use crate::trace::trace_file::Saved;
use crate::trace::trace_table::Numbers;
use crate::trace::traced_program::{self, Detail, Ended, How};
use crate::trace::{Part, Trace};

const EXAMPLES: &str = "Examples:
  bench-diff trace -- ./my-program --its-flag
  bench-diff trace --output base.trace -- env CUDA_VISIBLE_DEVICES=1 python3 generate.py
  bench-diff trace base.trace
  bench-diff trace --export chrome timeline.json -- ./my-program
  bench-diff trace Qwen/Qwen2.5-0.5B-Instruct --per-token
  bench-diff trace --diff base.trace head.trace";

/// Show where a program's time on the GPU goes: its kernels, copies and waits
///
/// Runs any program that uses CUDA on an NVIDIA GPU, on Linux, without a change to it: the CUDA driver loads our tracer into it,
/// which listens to CUPTI. In place of a program, a case of the suite, or a model, is run as it is measured, and shown phase by
/// phase. What the program writes goes to standard error. docs/tracing.md says what is counted, and what it costs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("written").args(["output", "export"]).multiple(true))]
pub struct Args {
    /// A saved trace to show; or what to trace: a case of the suite, or a model
    #[arg(value_name = "FILE|CASE|MODEL", conflicts_with_all = ["diff", "program"])]
    what: Option<String>,
    /// Compare two saved traces: kernels that are gone, new, called more often, or slower
    #[arg(long, num_args = 2, value_names = ["BASE", "HEAD"], conflicts_with_all = ["program", "output"])]
    diff: Option<Vec<PathBuf>>,
    /// Of two traces: the programs that were traced, to say of each kernel whether its code is the same in both
    #[arg(long, num_args = 2, value_names = ["BASE", "HEAD"], requires = "diff")]
    programs: Option<Vec<PathBuf>>,
    /// Say where kernels are written: their sources are in this folder; can be given several times
    #[arg(long, value_name = "DIR", conflicts_with = "diff")]
    sources: Vec<PathBuf>,
    /// Save the trace
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write it for another tool: `chrome` for Perfetto (a prefill and a step of decoding), `folded` for flame graphs
    #[arg(long, num_args = 2, value_names = ["FORMAT", "FILE"], conflicts_with = "diff")]
    export: Option<Vec<OsString>>,
    /// Keep single kernels and copies of each phase as well: `--export chrome` needs them
    #[arg(long, requires = "program")]
    timeline: bool,
    /// Replace files that exist
    #[arg(long, requires = "written")]
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
    let what = asked::What::asked(args)?;
    asked::refuse_idle_flags(args, &what)?;
    match what {
        asked::What::Two(files) => compare(args, files, io),
        asked::What::Saved(file) => show_saved(args, file, io),
        asked::What::Case(case) => of_case::trace(args, case, io),
        asked::What::Program => trace(args, io),
    }
}

fn show_saved(args: &Args, file: &Path, io: &mut Io) -> Result<Exit> {
    let export = Export::asked(args.export.as_deref(), args.force)?;
    write_and_show(args, export, &Saved::read(file)?, io).map(|()| Exit::Success)
}

fn trace(args: &Args, io: &mut Io) -> Result<Exit> {
    let output = args.output.as_deref().map(|path| claimed(path, args.force)).transpose()?;
    let export = Export::asked(args.export.as_deref(), args.force)?;
    let needs_events = export.as_ref().is_some_and(|export| export.to == Tool::Chrome);
    let detail = if args.timeline || needs_events { Detail::Timeline } else { Detail::Sums };
    Stop::on_signals();
    let mut failed = Ok(());
    let ended = traced_program::run(&args.program, detail, &mut |line| {
        let written = writeln!(io.err, "{}", escape::line(line));
        failed = std::mem::replace(&mut failed, Ok(())).and(written);
    })?;
    failed?;
    let trace = ended.saved.trace();
    if let Some(error) = nothing_seen(&ended, &trace) {
        // Who stops a program needn't be told how to trace one.
        let How::Stopped = ended.how else { return Err(error) };
        writeln!(io.err, "{error}")?;
        return Ok(Exit::Interrupted);
    }
    if let Some(output) = &output {
        output.write(|out| ended.saved.write(out)).map_err(|error| Error::writing(output.path(), error))?;
    }
    if ended.unreadable > 0 {
        writeln!(io.err, "warning: {} files that the program left are no traces, or too large", ended.unreadable)?;
    }
    write_and_show(args, export, &ended.saved, io)?;
    match ended.how {
        How::Stopped => Ok(Exit::Interrupted),
        How::ByItself(status) if status.success() => Ok(Exit::Success),
        How::ByItself(status) => Err(Error::measurement(format!("the program failed: {status}"))),
    }
}

/// Why there is nothing to show.
fn nothing_seen(ended: &Ended, trace: &Trace) -> Option<Error> {
    let problem = trace.only_problem().map(|problem| Error::measurement(format!("nothing was traced: {problem}")));
    problem.or_else(|| trace.processes.is_empty().then(|| not_loaded(ended)))
}

/// No CUDA driver loaded the tracer, or none that could.
fn not_loaded(ended: &Ended) -> Error {
    let how = match ended.how {
        How::Stopped => "the program was stopped".to_owned(),
        How::ByItself(status) => format!("the program ended ({})", said(status)),
    };
    let left = match ended.unreadable {
        0 => String::new(),
        files => format!(", and {files} of the files that it left are no traces"),
    };
    Error::measurement(format!("nothing was traced: {how}, and no CUDA driver ever loaded the tracer into it{left}"))
        .hint(not_loaded_hint(ended))
}

fn not_loaded_hint(ended: &Ended) -> &'static str {
    match ended.how {
        How::ByItself(status) if !status.success() => {
            "what the program wrote is above; it gets only some variables of this environment (docs/tracing.md): \
             `-- env NAME=VALUE PROGRAM` hands it another"
        }
        _ => "trace a program that uses CUDA on an NVIDIA GPU; docs/tracing.md says what else keeps the tracer out",
    }
}

fn said(status: ExitStatus) -> String {
    if status.success() { "without an error".to_owned() } else { status.to_string() }
}

/// What `--format json` prints of a trace.
#[derive(Serialize)]
struct Json<'a> {
    processes: Vec<JsonProcess<'a>>,
    phases: Vec<&'a str>,
    /// Where kernels are written, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<&'a str, Source>,
    #[serde(flatten)]
    page: Numbers,
}

fn sources<'a>(part: &'a Part, written: &Written) -> BTreeMap<&'a str, Source> {
    let names = part.kernels.keys().map(|shape| shape.name.as_str());
    names.filter_map(|name| Some((name, written.source(name)?))).collect()
}

#[derive(Serialize)]
struct JsonProcess<'a> {
    pid: u32,
    program: &'a str,
    problem: Option<&'a str>,
    ended: bool,
    dropped: u64,
}

fn write_and_show(args: &Args, export: Option<Export>, saved: &Saved, io: &mut Io) -> Result<()> {
    let (trace, phase) = (saved.trace(), args.phase.as_deref());
    // Before anything is written: there may be no such phase.
    part(&trace, phase, "the trace")?;
    export.map(|export| export.write(saved, &trace, phase)).transpose()?;
    show(args, &trace, io)
}

fn show(args: &Args, trace: &Trace, io: &mut Io) -> Result<()> {
    let part = part(trace, args.phase.as_deref(), "the trace")?;
    let written = Written::read(&args.sources)?;
    match args.format {
        Format::Table => {
            let place = |name: &str| written.place(name);
            let view = View { amount: Amount::All, most: args.top.into(), place: &place };
            print(&trace_page::page(trace, args.phase.as_deref(), &part, view), io)
        }
        Format::Json => io.out.json(&Json {
            processes: trace.processes.iter().map(JsonProcess::of).collect(),
            phases: trace.phases.iter().map(|(name, _)| name.as_str()).collect(),
            sources: sources(&part, &written),
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
    let [base_trace, head_trace] = [Saved::read(base)?.trace(), Saved::read(head)?.trace()];
    let phase = args.phase.as_deref();
    let of = |trace: &Trace, path: &Path| part(trace, phase, &path.display().to_string());
    let diff = Diff::of(&of(&base_trace, base)?, &of(&head_trace, head)?);
    let code = args.programs.as_deref().map(code_of_both).transpose()?;
    let traces = [&base_trace, &head_trace];
    match args.format {
        Format::Table => print(&trace_diff_page::page(&diff, traces, code.as_ref(), args.top.into()), io)?,
        Format::Json => io.out.json(&JsonDiff::of(&diff, traces, code.as_ref()))?,
    }
    Ok(Exit::Success)
}

fn code_of_both(programs: &[PathBuf]) -> Result<CodeDiff> {
    let [base, head] = programs else { return Err(Error::usage("two programs are compared")) };
    let [base, head] = [base, head].map(|path| Kernels::read(std::slice::from_ref(path)));
    Ok(CodeDiff::of(&base?.all, &head?.all))
}

/// What `--diff --format json` prints.
#[derive(Serialize)]
struct JsonDiff<'a> {
    #[serde(flatten)]
    diff: &'a Diff,
    /// Of each side: one that lacks something has no exact counts.
    processes: Sides<Vec<JsonProcess<'a>>>,
    /// Of the kernels above that either program has, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<BTreeMap<&'a str, Evidence<'a>>>,
}

#[derive(Serialize)]
struct Sides<T> {
    base: T,
    head: T,
}

impl<'a> JsonDiff<'a> {
    fn of(diff: &'a Diff, traces: [&'a Trace; 2], code: Option<&'a CodeDiff>) -> Self {
        let names = || diff.kernels.iter().map(|row| row.name.as_str());
        let code = code.map(|code| names().filter_map(|name| Some((name, code.evidence(name)?))).collect());
        let [base, head] = traces.map(|trace| trace.processes.iter().map(JsonProcess::of).collect());
        Self { diff, processes: Sides { base, head }, code }
    }
}

fn part(trace: &Trace, phase: Option<&str>, place: &str) -> Result<Part> {
    trace.part(phase).ok_or_else(|| {
        let named = trace.phases.iter().map(|(name, _)| name).filter(|name| !name.is_empty());
        let names: Vec<String> = named.map(|name| format!("`{}`", escape::short_line(name, 40))).collect();
        let phase = escape::short_line(phase.unwrap_or_default(), 40);
        let others = if names.is_empty() { "nor any other".to_owned() } else { format!("but {}", names.join(", ")) };
        Error::usage(format!("{place} has no phase `{phase}`, {others}"))
    })
}

fn print(page: &Page, io: &mut Io) -> Result<()> {
    io.out.text(&terminal::for_stdout(page))
}
