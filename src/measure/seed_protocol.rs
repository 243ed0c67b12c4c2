//! A run as a program of Qwen's Speed Benchmark does it: no warm-up, the whole generation timed, its own sampling.
//!
//! `docs/published.md` says what these programs do, and what is wrong with it.

use super::generated::Generated;
use super::metrics_of_run::{Sampled, as_the_program_counts};
use super::protocol::Job;
use super::watch::Watcher;
use crate::case::{Case, PromptRule, SeedProtocol};
use crate::engine::{Engine, EngineError, Generation};
use crate::prompt::prompt;
use crate::results::Measurement;

/// The allocator's peak isn't begun anew: what loading took at most counts, as it does there.
pub fn measure_case(
    engine: &mut dyn Engine,
    job: &Job,
    case: &Case,
    protocol: SeedProtocol,
    watcher: &Watcher,
) -> Result<(Measurement, Vec<f64>), EngineError> {
    let watch = watcher.start();
    let generations: Result<Vec<Generation>, EngineError> =
        (0..protocol.iterations()).map(|_| generate(engine, case, protocol)).collect();
    let seen = watcher.finish(watch);
    let generated = &Generated::Alone(generations?);
    let shared_process = !engine.runs_here();
    let allocated_bytes = if protocol == SeedProtocol::Vllm { None } else { engine.allocated_peak()? };
    let (loaded, ceilings) = (engine.loaded(), job.ceilings.as_ref());
    let sampled =
        Sampled { case, generated, shared_process, seen, allocated_bytes, loaded, ceilings, is_sampled: true };
    Ok((as_the_program_counts(sampled), Vec::new()))
}

fn generate(engine: &mut dyn Engine, case: &Case, protocol: SeedProtocol) -> Result<Generation, EngineError> {
    let (context, length) = (case.context_length as usize, case.generated_length as usize);
    let mut once = |rule: PromptRule| engine.generate_sampled(&prompt(rule, context), length);
    let first = once(protocol.prompt())?;
    if protocol != SeedProtocol::Vllm {
        return first.check(length).map(|()| first);
    }
    // Its answer may end early: the script tries once more with another prompt, and keeps what comes.
    let kept = if first.count() < length { once(PromptRule::Evalscope)? } else { first };
    kept.check(kept.count().clamp(1, length)).map(|()| kept)
}
