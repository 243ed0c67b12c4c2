//! Where the time of one decode step and one prefill goes.

use serde::Serialize;

use crate::results::StepParts;

/// Decode steps that a profile runs behind the context, and one more token that is processed.
pub const DECODED: usize = 33;

/// Parts in the order in which they run; each is the sum over all layers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// Tokens in the cache before the decode step, and of the prompt.
    pub context: usize,
    /// Of one decode step. They add up to it.
    pub decode: Vec<Part>,
    /// The same layer by layer, in microseconds.
    pub step: StepParts,
    /// Of one prefill.
    pub prefill: Vec<Part>,
}

/// One kind of work.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Part {
    /// What is done, such as `attention`.
    pub name: String,
    /// In how many layers, where it is done in layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<usize>,
    /// How long it takes, over all layers.
    pub seconds: f64,
    /// Of that, how long it waits for its input; `None` where that isn't known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_seconds: Option<f64>,
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

/// What a stamped step is made of, each part with the bytes that it reads, and last what is in no part.
pub fn decode_parts(step: &StepParts, bytes: &[f64]) -> Vec<Part> {
    let parts = step.products.iter().zip(bytes).map(|(product, bytes)| {
        let [waiting, work] = [&product.waiting_us, &product.work_us].map(|times| times.iter().sum::<f64>() * 1e-6);
        let layers = Some(product.work_us.len()).filter(|layers| *layers > 1);
        Part { layers, waiting_seconds: Some(waiting), bytes: *bytes, ..Part::of(&product.name, waiting + work) }
    });
    parts.chain([Part::of("unexplained", step.unexplained_us * 1e-6)]).collect()
}

impl Part {
    /// That takes so long.
    pub fn of(name: &str, seconds: f64) -> Self {
        Self { name: name.to_owned(), seconds, ..Self::default() }
    }
}
