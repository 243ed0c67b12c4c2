//! What the checks of a program ask it for, and what they make of its answers.

use super::running::RunningProgram;
use crate::case::{ImplementationName, SeedProtocol};
use crate::engine::protocol::Answer;
use crate::engine::{EngineError, Generation, ModelSpec};
use crate::error::Advice;
use crate::word::Word;

/// Tokens of the generations that are compared with each other.
pub const TOKENS: usize = 16;

pub fn said(error: EngineError) -> String {
    error.in_one_line()
}

/// What a program says of the model that it has loaded.
pub struct SaidLoaded {
    pub implementation: Option<ImplementationName>,
    pub batch_size: Option<u32>,
    pub seed_protocol: Option<Word<SeedProtocol>>,
}

/// Asks for the model of `spec`, and waits until it is there.
pub fn loaded(program: &mut RunningProgram, spec: &ModelSpec) -> Result<SaidLoaded, EngineError> {
    program.ask(&program.loading(spec))?;
    loop {
        match program.answer()?.answer {
            Answer::Loading { .. } => {}
            Answer::Loaded { implementation, batch_size, seed_protocol, .. } => {
                return Ok(SaidLoaded { implementation, batch_size, seed_protocol });
            }
            other => return Err(program.out_of_turn(&other, "`load`")),
        }
    }
}

/// Some ids that the model has.
pub fn prompt(vocab_size: Option<usize>, context: u32) -> Vec<u32> {
    let known = vocab_size.and_then(|size| u32::try_from(size).ok()).unwrap_or(u32::MAX).max(1);
    (0..context).map(|place| (1000 + 17 * place) % known).collect()
}

pub fn known(generation: &Generation, vocab_size: Option<usize>) -> Result<(), String> {
    let ids = generation.tokens.iter().flatten();
    let unknown = ids.copied().find(|&id| vocab_size.is_some_and(|size| id as usize >= size));
    unknown.map_or(Ok(()), |id| Err(format!("it gave the token {id}, which the model doesn't have")))
}
