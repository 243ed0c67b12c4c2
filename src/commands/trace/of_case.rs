//! A case of the suite, or a model, run as it is measured, with the tracer in it.

use serde::Serialize;

use super::{Args, print};
use crate::case::{Case, DeviceKind};
use crate::child::Stop;
use crate::commands::format::Format;
use crate::commands::here;
use crate::commands::kernels::Written;
use crate::commands::trace_export::claimed;
use crate::config::{self, Selection, Suite};
use crate::device::Machine;
use crate::duel::{TRACED_GENERATIONS, traced_part, traced_times};
use crate::error::{Advice, Error, Exit, Result};
use crate::escape;
use crate::io::Io;
use crate::measure::traced::{self, Traced};
use crate::measure::{Halt, Request, Silent};
use crate::page::{Block, Page};
use crate::plan;
use crate::render::trace_page::{self, Amount, View};
use crate::trace::attribution::Section;
use crate::trace::trace_table::Numbers;
use crate::trace::{Part, Trace};

/// What precedes the generations that count: loading, and warming up.
const LOAD: &str = "load";
const PREFILL: &str = "prefill";
const DECODE: &str = "decode";
const PHASES: [&str; 3] = [LOAD, PREFILL, DECODE];

pub fn trace(args: &Args, what: &str, io: &mut Io) -> Result<Exit> {
    if args.phase.as_deref().is_some_and(|phase| !PHASES.contains(&phase)) {
        return Err(Error::usage("a case has the phases `load`, `prefill` and `decode`"));
    }
    if args.export.is_some() {
        return Err(
            Error::usage("a case isn't exported as it is traced").hint("save it by --output, and export that file")
        );
    }
    let output = args.output.as_deref().map(|path| claimed(path, args.force)).transpose()?;
    let (suite, case) = suite_of(&args.selection, what)?;
    if suite.models[0].spec.device != DeviceKind::Cuda {
        return Err(on_no_gpu(&case));
    }
    let (suite, plan) = plan::here(suite)?;
    if let Some(failure) = plan.refused().get(&case.id) {
        return Err(Error::measurement(format!("{} can't run here: {}", case.id, failure.reason)));
    }
    let worker = here::worker(&suite, &args.selection)?;
    let spec = &suite.models[0].spec;
    let cases = [case];
    let traced = Traced { suite: &suite, worker: &worker, spec, cases: &cases, generations: TRACED_GENERATIONS };
    let seen = match traced::run_alone(traced, &Request::new(&suite), &mut Silent, Stop::on_signals()) {
        Ok(seen) => seen,
        Err(Halt::Stopped) => return Ok(Exit::Interrupted),
        Err(Halt::Failed(error)) => return Err(error),
    };
    let [case] = &cases;
    if let Some(why) = seen.why {
        let why = escape::short_line(&why, 600);
        return Err(Error::measurement(format!("{} was not traced: {why}", case.id))
            .hint("counters and kernels need an NVIDIA GPU, and CUPTI (docs/tracing.md)"));
    }
    if let Some(output) = &output {
        output.write(|out| seen.saved.write(out)).map_err(|error| Error::writing(output.path(), error))?;
    }
    show(args, &seen.saved.trace(), case, io)
}

/// Said at once: its kernels would be missing after all of it had run.
fn on_no_gpu(case: &Case) -> Error {
    if Machine::here().has_gpu() {
        return Error::measurement(format!("{} is measured on the CPU; a case is traced on a GPU", case.id))
            .hint("--device cuda, or `device` in the suite, chooses the GPU");
    }
    Error::measurement("there is no GPU here; a case is traced on a GPU")
}

/// The suite with nothing but the case.
fn suite_of(selection: &Selection, what: &str) -> Result<(Suite, Case)> {
    let machine = Machine::here();
    let of_suite = config::load_suite(selection, &machine);
    let known = of_suite.as_ref().ok().and_then(|suite| suite.cases().find(|case| case.id == what));
    let suite = match known {
        Some(_) => of_suite?,
        None => {
            let of_model = Selection { models: vec![what.to_owned()], ..selection.clone() };
            config::load_suite(&of_model, &machine).map_err(|error| unknown(what, of_suite.ok().as_ref(), &error))?
        }
    };
    let mut cases = suite.cases().filter(|case| case.id == what || !suite.cases().any(|other| other.id == what));
    let case = cases.next().cloned().ok_or_else(|| Error::usage("the suite has no cases"))?;
    drop(cases);
    Ok((suite.only(|other| other.id == case.id), case))
}

fn unknown(what: &str, suite: Option<&Suite>, error: &Error) -> Error {
    let what = escape::short_line(what, 100);
    let cases: Vec<&str> = suite.iter().flat_map(|suite| suite.cases()).map(|case| case.id.as_str()).take(5).collect();
    let cases = if cases.is_empty() { String::new() } else { format!("; cases of the suite: {}", cases.join(", ")) };
    let why = error.in_one_line();
    Error::usage(format!("{what} is neither a saved trace, nor a case of the suite, nor a model: {why}"))
        .hint(format!("`bench-diff plan` lists the cases{cases}"))
}

/// A phase of the case, as it is shown.
#[derive(Serialize)]
struct Phase {
    phase: &'static str,
    /// Tokens, or prefills, that were traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<f64>,
    #[serde(flatten)]
    numbers: Numbers,
    #[serde(skip)]
    part: Part,
}

fn show(args: &Args, trace: &Trace, case: &Case, io: &mut Io) -> Result<Exit> {
    let written = Written::read(&args.sources)?;
    let phases: Vec<Phase> = phases(trace, case);
    let wanted = |phase: &&Phase| args.phase.as_deref().is_none_or(|name| name == phase.phase);
    let shown: Vec<&Phase> = phases.iter().filter(wanted).collect();
    match args.format {
        Format::Json => io.out.json(&shown)?,
        Format::Table => {
            for (at, phase) in shown.iter().enumerate() {
                if at > 0 {
                    writeln!(io.out.raw()).map_err(crate::io::unwritable)?;
                }
                let mut page = phase.page(trace, args, &written);
                // They are of the processes, and so of all phases.
                page.top.retain(|block| at == 0 || !matches!(block, Block::Warnings(_)));
                print(&page, io)?;
            }
        }
    }
    Ok(Exit::Success)
}

fn phases(trace: &Trace, case: &Case) -> Vec<Phase> {
    let load = trace.part(Some("")).map(|part| Phase::of(LOAD, None, part));
    let sections = [(PREFILL, Section::Prefill), (DECODE, Section::Decode)]
        .map(|(name, section)| Phase::of(name, Some(traced_times(case, section)), traced_part(trace, 0, section)));
    load.into_iter().chain(sections).filter(|phase| !phase.part.kernels.is_empty()).collect()
}

impl Phase {
    fn of(phase: &'static str, times: Option<f64>, part: Part) -> Self {
        Self { phase, times, numbers: Numbers::of(&part), part }
    }

    fn page(&self, trace: &Trace, args: &Args, written: &Written) -> Page {
        let one = if self.phase == DECODE { "token" } else { "prefill" };
        let amount = match self.times.filter(|_| args.per_token) {
            Some(times) => Amount::One(one, times),
            None => Amount::All,
        };
        let place = |name: &str| written.place(name);
        let view = View { amount, most: args.top.into(), place: &place };
        let page = trace_page::page(trace, Some(self.phase), &self.part, view);
        Page { end: Vec::new(), ..page }
    }
}
