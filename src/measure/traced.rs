//! Cases of a program, with the tracer in it: nothing is timed, and nothing here is a sample.

use std::time::{Duration, Instant};

use super::exclusive::Exclusive;
use super::halt::Halt;
use super::observer::Observer;
use super::program::{Child, Worker};
pub use super::protocol::TracedGenerations;
use super::protocol::{Event, Job, TRACED_SINCE};
use super::request::{Request, Session};
use super::throttle::Throttling;
use crate::case::Case;
use crate::child::{Next, Stop, clean};
use crate::config::Suite;
use crate::engine::{ModelSpec, server};
use crate::results::StepParts;
use crate::trace::trace_file::Saved;
use crate::trace::traced_program::Tracing;

/// Cases of one process: the tracer tells 32 phases apart.
pub const MOST_CASES: usize = 7;

/// A generation that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Of one token: the prefill, and what every generation begins with.
    OneToken,
    /// Of several. What it has more than the other is decoding.
    AllTokens,
}

impl Phase {
    /// What its phase is called for the case at that place, from 0 on, and the time that it is repeated, from 1 on.
    pub fn name(self, place: usize, repeat: u32) -> String {
        let what = match self {
            Self::OneToken => "one token",
            Self::AllTokens => "all tokens",
        };
        match place {
            0 => format!("{what} {repeat}"),
            _ => format!("{what} {repeat} of case {}", place + 1),
        }
    }
}

impl TracedGenerations {
    /// How many tokens the longer generations of a case have.
    pub fn tokens_of(self, case: &Case) -> u32 {
        self.tokens.clamp(1, case.generated_length.max(1))
    }
}

/// What to trace.
#[derive(Debug, Clone, Copy)]
pub struct Traced<'a> {
    /// Settings, limits and GPUs.
    pub suite: &'a Suite,
    /// The measured program.
    pub worker: &'a Worker,
    /// The model to load, with the revision of its weights where that is known.
    pub spec: &'a ModelSpec,
    /// In this order, with their own prompts; at most [`MOST_CASES`].
    pub cases: &'a [Case],
    /// How many tokens, and how often.
    pub generations: TracedGenerations,
}

/// What was seen.
#[derive(Debug)]
pub struct TracedCases {
    /// With the phases of [`Phase::name`].
    pub saved: Saved,
    /// The first so many cases are whole.
    pub whole: usize,
    /// Why the next one isn't: no GPU, no CUPTI, or the program failed. `None` where all are.
    pub why: Option<String>,
    /// Of those that are whole: what a decode step is made of, where the engine stamps that.
    pub parts: Vec<Option<StepParts>>,
    /// It is that the tracer can't be in the program: no CUDA, or no CUPTI.
    pub untraceable: bool,
}

/// Traces them while nobody else measures on their devices, as a session measures. Within a session, which has the devices
/// already, it is [`run`].
pub fn run_alone(
    traced: Traced,
    request: &Request,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<TracedCases, Halt> {
    let _exclusive = Exclusive::wait(traced.suite, &request.locks, observer, stop)?;
    let mut session = Session { request, observer, stop, trace: None, throttling: Throttling::default() };
    if !server::runs_already(traced.spec) {
        session.wait_until_idle()?;
    }
    run(traced, stop)
}

/// Starts the program with the tracer, and asks it for generations of the cases.
pub fn run(traced: Traced, stop: &Stop) -> Result<TracedCases, Halt> {
    let tracing = match Tracing::new() {
        Ok(tracing) => tracing,
        Err(error) => return Ok(TracedCases::untraceable(error.to_string())),
    };
    let Traced { suite, worker, spec, cases, generations } = traced;
    let job = Job {
        model: worker.engines.of(spec, cases),
        cases: cases.to_vec(),
        settings: suite.settings.clone(),
        ceilings: None,
        prompt_ids: suite.prompt_ids.clone(),
        trace: false,
        traced: Some(generations),
    };
    let mut child = match worker.seeing(&suite.gpus).start_traced(&job, &tracing) {
        Ok(child) => child,
        Err(error) => return Ok(TracedCases::none(format!("can't start {}: {error}", worker.path.display()))),
    };
    let Followed { whole, why, parts, loaded } = follow(&mut child, traced, stop)?;
    // Its own end completes the files.
    child.wait();
    let (saved, unreadable) = tracing.saved()?;
    // The tracer's own word for why it saw nothing is nearer to the cause than what came of it.
    if let Some(why) = saved.trace().only_problem() {
        return Ok(TracedCases::untraceable(why.to_owned()));
    }
    if unreadable > 0 {
        return Ok(TracedCases::none(format!("{unreadable} files of its trace can't be read")));
    }
    let untraceable = loaded && why.is_some() && saved.trace().processes.is_empty();
    Ok(TracedCases { saved, whole, why, parts, untraceable })
}

impl TracedCases {
    /// The tracer was in no process that used a GPU: whatever kept it out keeps it out of other cases as well.
    pub fn is_blind(&self) -> bool {
        self.saved.trace().processes.is_empty()
    }

    /// As evidence for counts and times: nothing, where records are missing.
    #[must_use]
    pub fn whole_or_none(self) -> Self {
        match self.lacks() {
            Some(why) => Self::none(why),
            None => self,
        }
    }

    fn lacks(&self) -> Option<String> {
        // One that didn't end by itself lacks nothing: each case ends with its records written, since some programs leave by
        // `_exit`.
        let dropped = self.saved.trace().dropped();
        (dropped > 0).then(|| format!("its trace lacks {dropped} records, which CUPTI dropped"))
    }

    /// Of nothing.
    pub fn none(why: String) -> Self {
        Self { saved: Saved::none(), whole: 0, why: Some(why), parts: Vec::new(), untraceable: false }
    }

    fn untraceable(why: String) -> Self {
        Self { untraceable: true, ..Self::none(why) }
    }
}

/// How far a program came.
struct Followed {
    whole: usize,
    /// Why it came no further.
    why: Option<String>,
    parts: Vec<Option<StepParts>>,
    loaded: bool,
}

/// Listens until all cases are traced.
fn follow(child: &mut Child, traced: Traced, stop: &Stop) -> Result<Followed, Halt> {
    let (limits, mut followed) =
        (&traced.suite.limits, Followed { whole: 0, why: None, parts: Vec::new(), loaded: false });
    let in_time = |seconds| Instant::now() + Duration::from_secs(seconds);
    let mut deadline = in_time(limits.load_seconds);
    let why = loop {
        let event = match child.next(deadline, stop) {
            Next::Message(event) => *event,
            Next::Garbage(line) => break format!("it wrote something that is no event: `{}`", line.start),
            Next::Ended => break format!("it failed: {}", child.end()),
            Next::TimedOut => break "it took longer than its time limit".to_owned(),
            Next::Stopped => return Err(Halt::Stopped),
        };
        match event {
            Event::Hello { protocol, .. } if protocol < TRACED_SINCE => {
                break "it is an older build, which doesn't tell the tracer its phases".to_owned();
            }
            Event::Loaded { .. } => {
                followed.loaded = true;
                deadline = in_time(limits.case_seconds);
            }
            Event::CaseTraced { parts, .. } => {
                followed.whole += 1;
                followed.parts.push(parts);
                deadline = in_time(limits.case_seconds);
            }
            Event::CaseFailed { failure, .. } | Event::Failed { failure } => {
                return Ok(Followed { why: Some(clean(&failure.reason, 1000)), ..followed });
            }
            Event::Done => return Ok(followed),
            _ => {}
        }
    };
    child.kill();
    Ok(Followed { why: Some(why), ..followed })
}
