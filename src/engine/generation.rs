//! One generation, as an engine reports it.

use std::time::Duration;

use super::engine_error::EngineError;
use crate::case::Clock;

/// One greedy generation and when its tokens were there.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The tokens' ids, where the engine knows them.
    pub tokens: Option<Vec<u32>>,
    /// In the order of time. The first is the time to first token.
    pub chunks: Vec<Chunk>,
    /// Whose clock the times are of.
    pub clock: Clock,
    /// From the request to the end of the last token.
    pub end_to_end: Duration,
}

/// Tokens that arrived at once: one if the engine reports each, more if a stream merges them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// At least 1.
    pub tokens: u32,
    /// From the request.
    pub at: Duration,
}

impl Generation {
    /// A generation that reports each token.
    pub fn by_token(tokens: Vec<u32>, times: Vec<Duration>, clock: Clock, end_to_end: Duration) -> Self {
        let chunks = times.into_iter().map(|at| Chunk { tokens: 1, at }).collect();
        Self { tokens: Some(tokens), chunks, clock, end_to_end }
    }

    /// How many tokens it has.
    pub fn count(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.tokens as usize).sum()
    }

    /// What is wrong with it, if something is. An engine that stops early would look fast.
    ///
    /// The last token may be a moment later than the end: a device's clock is fitted to the host's.
    pub fn check(&self, generated_length: usize) -> Result<(), EngineError> {
        let fail = |why: String| Err(EngineError::Failed(why));
        let count = self.count();
        if count != generated_length {
            return fail(format!("the engine gave {count} tokens instead of {generated_length}"));
        }
        if let Some(tokens) = self.tokens.as_ref().filter(|tokens| tokens.len() != count) {
            return fail(format!("the engine gave times for {count} tokens and ids for {}", tokens.len()));
        }
        if self.chunks.iter().any(|chunk| chunk.tokens == 0) || !self.chunks.is_sorted_by_key(|chunk| chunk.at) {
            return fail("the engine's times don't go forward, or stand for no token".to_owned());
        }
        Ok(())
    }
}
