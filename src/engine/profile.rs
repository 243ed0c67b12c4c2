//! Where the time of one decode step and one prefill goes.

use serde::Serialize;

/// Parts in the order in which they run; each is the sum over all layers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// Tokens in the cache before the decode step, and of the prompt.
    pub context: usize,
    /// Of one decode step.
    pub decode: Vec<Part>,
    /// Of one prefill.
    pub prefill: Vec<Part>,
}

/// One kind of work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// What is done, such as `attention`.
    pub name: &'static str,
    /// How long it takes, over all layers.
    pub seconds: f64,
    /// Bytes of weights and cache that it must read; 0 where that isn't what bounds it.
    pub bytes: f64,
    /// Floating-point operations that it must do; 0 where that isn't what bounds it.
    pub operations: f64,
}

impl Profile {
    /// Of the decode step or of the prefill.
    pub fn seconds(parts: &[Part]) -> f64 {
        parts.iter().map(|part| part.seconds).sum()
    }
}
