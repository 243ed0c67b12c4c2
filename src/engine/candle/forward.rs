//! A loaded model's forward pass, whatever computes it; and the greedy generation on top of it.

use std::time::{Duration, Instant};

use candle_core::{D, DType, Result, Tensor, bail};

use crate::engine::profile::Profile;
use crate::engine::sampling::Sampler;
use crate::results::StepParts;

/// One sequence, token by token. Positions count from the last [`reset`](Forward::reset).
pub trait Forward {
    /// Forgets the sequence.
    fn reset(&mut self) -> Result<()>;

    /// Appends the prompt's tokens (at least one), to each sequence of a batch. Logits of the last position:
    /// `[vocab_size]`, F32; of a batch `[sequences, vocab_size]`.
    fn prefill(&mut self, tokens: &[u32]) -> Result<Tensor>;

    /// Appends one token. Logits after it: `[vocab_size]`, F32.
    fn step(&mut self, token: u32) -> Result<Tensor>;

    /// Appends a token to each sequence. Logits after them, as of [`prefill`](Forward::prefill).
    fn step_each(&mut self, tokens: &[u32]) -> Result<Tensor> {
        match tokens {
            [token] => self.step(*token),
            _ => bail!("{} sequences at once are not possible here", tokens.len()),
        }
    }

    /// Where the time of one decode step and one prefill goes, with `context` tokens; `None` where that isn't known.
    fn profile(&mut self, _context: usize) -> Result<Option<Profile>> {
        Ok(None)
    }

    /// What a decode step is made of, from a generation of `count` tokens whose steps are stamped; `None` where nothing stamps
    /// them.
    fn step_parts(&mut self, _prompt: &[u32], _count: usize) -> Result<Option<StepParts>> {
        Ok(None)
    }

    /// Greedily generates `count` tokens after `prompt` in a new sequence, and says when each was complete *on the device*.
    fn generate(&mut self, prompt: &[u32], count: usize) -> Result<Generated> {
        let start = Instant::now();
        let mut generated = Generated::default();
        self.reset()?;
        let mut logits = self.prefill(prompt)?;
        loop {
            let tokens = likeliest(&logits)?;
            generated.tokens.push(tokens[0]);
            generated.times.push(start.elapsed());
            if generated.tokens.len() >= count {
                generated.end_to_end = start.elapsed();
                generated.last_logits = logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
                return Ok(generated);
            }
            logits = self.step_each(&tokens)?;
        }
    }
}

/// Generated tokens and the time from the call to each of them, on the device, and to the end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Generated {
    /// Their ids, in order.
    pub tokens: Vec<u32>,
    /// From the call to each token.
    pub times: Vec<Duration>,
    /// From the call to its return.
    pub end_to_end: Duration,
    /// That the last token was chosen by: `[vocab_size]`, of each sequence.
    pub last_logits: Vec<f32>,
}

impl Generated {
    /// A NaN anywhere in a sequence reaches its end: numbers of such a generation are no measurement.
    pub fn check_logits(&self) -> Result<()> {
        if self.last_logits.iter().any(|logit| logit.is_nan()) {
            bail!(
                "the logits of step {} are not numbers; look at the weights and the implementation",
                self.tokens.len()
            );
        }
        Ok(())
    }
}

/// Refuses tokens outside the embedding, and more tokens than the cache holds: it has `past` and fits `capacity`.
pub fn check_tokens(tokens: &[u32], vocab_size: usize, past: usize, capacity: usize) -> Result<()> {
    if tokens.is_empty() {
        bail!("the prompt has no tokens; give at least one");
    }
    if let Some(token) = tokens.iter().find(|token| **token as usize >= vocab_size) {
        bail!("token {token} is not in the vocabulary: ids go from 0 to {}", vocab_size - 1);
    }
    if past + tokens.len() > capacity {
        bail!("{} tokens don't fit into the KV cache, which was sized for {capacity}", past + tokens.len());
    }
    Ok(())
}

/// The same with another choice of tokens, which may end before there are `count`.
pub fn generate_with(
    forward: &mut dyn Forward,
    sampler: &mut Sampler,
    prompt: &[u32],
    count: usize,
) -> Result<Generated> {
    let start = Instant::now();
    let mut generated = Generated::default();
    forward.reset()?;
    sampler.start(prompt);
    let mut logits = forward.prefill(prompt)?;
    loop {
        let values: Vec<f32> = logits.to_dtype(DType::F32)?.to_vec1()?;
        let token = sampler.choose(values.clone());
        generated.tokens.push(token);
        generated.times.push(start.elapsed());
        if generated.tokens.len() >= count || sampler.is_end(token) {
            generated.end_to_end = start.elapsed();
            generated.last_logits = values;
            return Ok(generated);
        }
        logits = forward.step(token)?;
    }
}

/// The likeliest token of each sequence. Reading them back waits for the device.
fn likeliest(logits: &Tensor) -> Result<Vec<u32>> {
    match logits.rank() {
        1 => Ok(vec![argmax(logits)?]),
        _ => logits.argmax(D::Minus1)?.to_vec1(),
    }
}

/// The likeliest token. Reading it back waits for the device.
pub fn argmax(logits: &Tensor) -> Result<u32> {
    logits.argmax(D::Minus1)?.to_scalar()
}
