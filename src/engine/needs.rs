//! What running a model will take: an estimate.

use serde::Serialize;

/// What a case needs of a device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Needs {
    /// On the device, or on several together; `None` if the engine doesn't know.
    pub memory: Option<Memory>,
    /// On each of several GPUs, in their order, where the engine knows.
    pub by_card: Vec<Memory>,
    /// What isn't there, without which no case can run: a sentence.
    pub lacking: Option<String>,
    /// What runs in place of what was asked for, and why: a sentence.
    pub instead: Option<String>,
    /// Why the case can't run on the device at all, whatever its memory: a sentence that says what to do.
    pub obstacle: Option<String>,
    /// Token ids are below this; `None` where the engine can't tell.
    pub vocab_size: Option<usize>,
    /// Loading the model, without downloading it.
    pub load_seconds: f64,
    /// The prompt, up to the first token.
    pub prefill_seconds: f64,
    /// A decode step, without what the cache costs.
    pub step_seconds: f64,
    /// What each token in the cache adds to a decode step.
    pub cached_token_seconds: f64,
}

impl Needs {
    /// Prefill and decode of one generation; `None` where the engine can't tell.
    pub fn generation_seconds(&self, context_length: u32, generated_length: u32) -> Option<f64> {
        let (context, generated) = (f64::from(context_length), f64::from(generated_length));
        let step = self.step_seconds + self.cached_token_seconds * (context + generated / 2.0);
        (step > 0.0).then_some(self.prefill_seconds + generated * step)
    }
}

/// Device memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// As they lie on the device.
    pub weights: u64,
    /// Keys and values of prompt and generated tokens.
    pub kv_cache: u64,
    /// Activations, attention scores and what the device's runtime takes.
    pub workspace: u64,
}

impl Memory {
    /// That of all.
    pub fn sum(each: &[Self]) -> Self {
        let all = |part: fn(&Self) -> u64| each.iter().map(part).sum();
        Self { weights: all(|it| it.weights), kv_cache: all(|it| it.kv_cache), workspace: all(|it| it.workspace) }
    }

    /// All of it together, in bytes.
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.kv_cache).saturating_add(self.workspace)
    }
}

/// A setting that an engine can't honour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// As in the configuration: `implementation`, `quantization`, ...
    pub setting: &'static str,
    /// One sentence: what, and what to use instead.
    pub reason: String,
}
