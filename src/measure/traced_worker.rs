//! The measured process, where it is traced: a generation of one token and one of several, each a phase of its own.

use std::io;
use std::time::Duration;

use super::protocol::{Job, TracedGenerations};
use super::traced::Phase;
use super::work::Work;
use crate::case::Case;
use crate::engine::{Engine, EngineError};
use crate::prompt::own_or_by_rule;
use crate::results::StepParts;
use crate::trace::tracers::Tracers;

/// The clocks of the host and the device differ by microseconds: what begins a moment later is in the right phase.
const MOMENT: Duration = Duration::from_millis(5);
/// What lies between two generations that count, and after the last.
const NOTHING: &str = "between";

/// What the case's decode step is made of, where the engine stamps that, in a generation that is no phase.
///
/// Between two generations the GPU has nothing to do, whatever the engine: so each is a phase without a word from it. The case
/// is the job's at that place. `progress` is told how many tokens are generated and how many will be.
pub fn trace_case(
    engine: &mut dyn Engine,
    job: &Job,
    place: usize,
    traced: TracedGenerations,
    progress: &mut dyn FnMut(u64, u64) -> io::Result<()>,
) -> Result<Option<StepParts>, EngineError> {
    let tracers = Tracers::here().ok_or_else(|| EngineError::Failed("nobody traces this process".to_owned()))?;
    let case = &job.cases[place];
    let context = case.context_length as usize;
    let prompt = own_or_by_rule(&job.settings, job.prompt_ids.as_deref(), context).map_err(EngineError::Failed)?;
    let pair = [1, traced.tokens_of(case)].map(|generated_length| Case { generated_length, ..case.clone() });
    let work = pair.each_ref().map(|case| Work { case, prompt: &prompt });
    let tokens: u64 = pair.iter().map(|case| u64::from(case.generated_length)).sum();
    let (warm_ups, mut done) = (job.settings.warmup.max(1), 0);
    let total = u64::from(warm_ups + traced.repeats) * tokens;
    let mut tell = |more: u64| {
        done += more;
        progress(done, total).map_err(|error| EngineError::Failed(error.to_string()))
    };

    tell(0)?;
    // What is loaded, compiled or captured once is done by then.
    for _ in 0..warm_ups {
        for work in work.iter().rev() {
            work.warm_up(engine, work.case.generated_length as usize)?;
        }
        tell(tokens)?;
    }
    for repeat in 1..=traced.repeats {
        for (phase, work) in [Phase::OneToken, Phase::AllTokens].into_iter().zip(&work) {
            begin(&tracers, &phase.name(place, repeat))?;
            work.measure(engine, 1, &mut |_| Ok(()))?;
        }
        begin(&tracers, NOTHING)?;
        tell(tokens)?;
    }
    let [_, all] = &work;
    let parts = engine.step_parts(all.prompt, all.case.generated_length as usize)?;
    tracers.write().map_err(no_answer)?;
    Ok(parts)
}

fn begin(tracers: &Tracers, phase: &str) -> Result<(), EngineError> {
    std::thread::sleep(MOMENT);
    if tracers.begin(phase).map_err(no_answer)? == 0 {
        return Err(EngineError::Failed("nothing in it uses CUDA".to_owned()));
    }
    std::thread::sleep(MOMENT);
    Ok(())
}

fn no_answer(error: io::Error) -> EngineError {
    EngineError::Failed(format!("a tracer doesn't answer: {error}"))
}
