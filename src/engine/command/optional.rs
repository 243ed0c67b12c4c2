//! What a program may leave out of the engine protocol, as long as it says so: batches, and seed protocols.
//!
//! What it doesn't repeat in `loaded` it doesn't do, whether it has heard of it or not. What it repeats it has to do.

use super::asking::{SaidLoaded, TOKENS, known, loaded, prompt, said};
use super::running::RunningProgram;
use crate::case::SeedProtocol;
use crate::engine::{EngineError, Generation, ModelSpec};
use crate::word::Vocabulary;

/// Sequences of the batch that is tried.
const BATCH: u32 = 2;
const CONTEXT: u32 = 8;

/// What a program makes of being asked for it.
enum Asked {
    /// It says that it does it.
    Does(RunningProgram),
    /// `loaded` doesn't repeat it.
    Ignores,
    /// It says why not.
    Refuses(String),
}

/// Starts a program.
pub trait Start: Fn() -> Result<RunningProgram, EngineError> + Copy {}

impl<T: Fn() -> Result<RunningProgram, EngineError> + Copy> Start for T {}

/// Two sequences at once, and whether they are as long as they should be.
pub fn batch(start: impl Start, spec: &ModelSpec) -> Result<(String, ()), String> {
    let spec = ModelSpec { batch_size: BATCH, ..spec.clone() };
    let is_repeated = |loaded: &SaidLoaded| match loaded.batch_size {
        None => Ok(false),
        Some(BATCH) => Ok(true),
        Some(other) => Err(format!("asked for a batch of {BATCH}, it says `batch_size` {other} in `loaded`")),
    };
    let found = match ask(start, &spec, is_repeated)? {
        Asked::Does(mut program) => {
            generate(&mut program, &spec)?.check(TOKENS).map_err(said)?;
            format!("{BATCH} sequences at once")
        }
        Asked::Ignores => "not supported: `loaded` doesn't repeat `batch_size`".to_owned(),
        Asked::Refuses(why) => format!("not supported: {why}"),
    };
    Ok((found, ()))
}

/// Each in a program of its own, as a model is loaded for one.
pub fn protocols(start: impl Start, spec: &ModelSpec) -> Result<(String, ()), String> {
    let mut found = Vec::new();
    for protocol in SeedProtocol::WORDS.iter().filter_map(|word| SeedProtocol::from_word(word)) {
        match follow(start, spec, protocol)? {
            Asked::Does(_) => found.push(format!("`{protocol}`")),
            // One that ignores the first has never heard of any.
            Asked::Ignores if found.is_empty() => {
                return Ok(("not supported: `loaded` doesn't repeat `seed_protocol`".to_owned(), ()));
            }
            Asked::Ignores => found.push(format!("not `{protocol}`")),
            Asked::Refuses(why) => found.push(format!("not `{protocol}` ({why})")),
        }
    }
    found.sort_by_key(|said| said.starts_with("not"));
    Ok((found.join(", "), ()))
}

fn follow(start: impl Start, spec: &ModelSpec, protocol: SeedProtocol) -> Result<Asked, String> {
    let spec = ModelSpec { seed_protocol: Some(protocol), ..spec.clone() };
    let is_repeated = |loaded: &SaidLoaded| match &loaded.seed_protocol {
        None => Ok(false),
        Some(word) if word.known() == Some(protocol) => Ok(true),
        Some(other) => Err(format!("asked for `{protocol}`, it says `seed_protocol` `{other}` in `loaded`")),
    };
    let mut asked = ask(start, &spec, is_repeated)?;
    if let Asked::Does(program) = &mut asked {
        let generation = generate(program, &spec)?;
        // Only there the model may end its answer.
        let is_vllm = protocol == SeedProtocol::Vllm;
        let length = if is_vllm { generation.count().clamp(1, TOKENS) } else { TOKENS };
        generation.check(length).map_err(|error| format!("by `{protocol}`: {}", said(error)))?;
    }
    Ok(asked)
}

/// Has the model of `spec` loaded. One that ends can neither do it nor say so.
fn ask(
    start: impl Start,
    spec: &ModelSpec,
    is_repeated: impl Fn(&SaidLoaded) -> Result<bool, String>,
) -> Result<Asked, String> {
    let mut program = start().map_err(said)?;
    match loaded(&mut program, spec) {
        Ok(loaded) if is_repeated(&loaded)? => Ok(Asked::Does(program)),
        Ok(_) => Ok(Asked::Ignores),
        Err(error) if program.has_ended() => Err(format!("instead of loading or answering `error`, {}", said(error))),
        Err(error) => Ok(Asked::Refuses(said(error))),
    }
}

fn generate(program: &mut RunningProgram, spec: &ModelSpec) -> Result<Generation, String> {
    let vocab_size = super::vocab_size(spec);
    let generation = program.generate(&prompt(vocab_size, CONTEXT), TOKENS).map_err(said)?.generation;
    known(&generation, vocab_size).map(|()| generation)
}
