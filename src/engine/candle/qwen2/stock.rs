//! The `stock` implementation: candle-transformers' qwen2, unchanged, to show what the others gain.
//!
//! What it can't do is an error before it runs; where it runs but computes something else, a warning says so.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, bail};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::qwen2::{Config, ModelForCausalLM};

use super::config::ModelConfig;
use super::weights::Weights;
use crate::engine::EngineError;
use crate::engine::candle::forward::{Forward, check_tokens};

/// candle's softmax on CUDA counts elements in 32 bits, and stock holds all scores of a prompt at once.
const CUDA_SCORES_LIMIT: usize = i32::MAX as usize;

/// From here on bf16 has no number for every position, so neighbouring positions get the same rotation.
const HALF_POSITIONS: usize = 256;

/// candle-transformers' Qwen2, with a cache that grows as it likes.
pub struct Stock {
    model: ModelForCausalLM,
    device: Device,
    vocab_size: usize,
    heads: usize,
    capacity: usize,
    /// Of a batch.
    sequences: usize,
    length: usize,
}

impl Stock {
    pub fn load(
        config: &ModelConfig,
        weights: &mut Weights,
        capacity: usize,
        sequences: usize,
    ) -> Result<Self, EngineError> {
        let (device, dtype) = (weights.device().clone(), weights.dtype());
        check(config, dtype, &device, capacity)?;
        let tensors = config
            .tensors()
            .into_iter()
            .map(|(name, shape)| weights.get(&name, &shape).map(|tensor| (name, tensor)))
            .collect::<candle_core::Result<HashMap<_, _>>>()?;
        let model = ModelForCausalLM::new(&stock_config(config), VarBuilder::from_tensors(tensors, dtype, &device))?;
        let shape = &config.shape;
        let (vocab_size, heads) = (shape.vocab_size, shape.num_attention_heads);
        Ok(Self { model, device, vocab_size, heads, capacity, sequences, length: 0 })
    }

    /// What a reader of its numbers must know.
    pub fn warnings(dtype: DType, capacity: usize) -> Vec<String> {
        if dtype == DType::F32 || capacity <= HALF_POSITIONS {
            return Vec::new();
        }
        vec![format!(
            "stock computes position encodings in {}: above {HALF_POSITIONS} tokens its output is wrong \
             (candle issue 3236); its speed is not affected",
            dtype.as_str()
        )]
    }

    /// Appends `tokens`, which are those of all sequences one after the other.
    fn pass(&mut self, tokens: &[u32]) -> candle_core::Result<Tensor> {
        let length = tokens.len() / self.sequences;
        check_tokens(&tokens[..length], self.vocab_size, self.length, self.capacity)?;
        let ids = Tensor::from_slice(tokens, (self.sequences, length), &self.device)?;
        let logits = self.model.forward(&ids, self.length)?.to_dtype(DType::F32)?;
        self.length += length;
        if self.sequences == 1 { logits.flatten_all() } else { logits.reshape((self.sequences, self.vocab_size)) }
    }
}

/// What candle-transformers' qwen2 can't run.
fn check(config: &ModelConfig, dtype: DType, device: &Device, capacity: usize) -> Result<(), EngineError> {
    let shape = &config.shape;
    if shape.head_dim * shape.num_attention_heads != shape.hidden_size {
        let why = format!(
            "stock can't run {}: it needs head_dim ({}) x num_attention_heads ({}) = hidden_size ({})",
            shape.id, shape.head_dim, shape.num_attention_heads, shape.hidden_size
        );
        return Err(EngineError::refused(why, "use plain"));
    }
    if config.yarn.is_some() {
        let why = format!(
            "stock can't run {} with {capacity} tokens: they need YaRN position encoding, which it doesn't have",
            shape.id
        );
        return Err(EngineError::refused(why, "use plain"));
    }
    if capacity > shape.max_position_embeddings {
        let why = format!(
            "stock can't hold {capacity} tokens: its position encoding ends at max_position_embeddings ({})",
            shape.max_position_embeddings
        );
        return Err(EngineError::refused(why, "use plain"));
    }
    if device.is_cpu() && dtype == DType::BF16 {
        let why = "stock can't run bf16 on a CPU: candle multiplies no bf16 matrices there";
        return Err(EngineError::refused(why, "use f32, or plain"));
    }
    Ok(())
}

fn stock_config(config: &ModelConfig) -> Config {
    let shape = &config.shape;
    Config {
        vocab_size: shape.vocab_size,
        hidden_size: shape.hidden_size,
        intermediate_size: shape.intermediate_size,
        num_hidden_layers: shape.num_hidden_layers,
        num_attention_heads: shape.num_attention_heads,
        num_key_value_heads: shape.num_key_value_heads,
        max_position_embeddings: shape.max_position_embeddings,
        // It slides even when use_sliding_window is false: a window as long as the context doesn't.
        sliding_window: shape.max_position_embeddings,
        max_window_layers: shape.num_hidden_layers,
        tie_word_embeddings: shape.tie_word_embeddings,
        rope_theta: shape.rope_theta,
        rms_norm_eps: shape.rms_norm_eps,
        use_sliding_window: false,
        hidden_act: Activation::Silu,
    }
}

impl Forward for Stock {
    fn reset(&mut self) -> candle_core::Result<()> {
        self.model.clear_kv_cache();
        self.length = 0;
        Ok(())
    }

    fn prefill(&mut self, tokens: &[u32]) -> candle_core::Result<Tensor> {
        let scores = self.sequences * self.heads * tokens.len() * (self.length + tokens.len());
        if self.device.is_cuda() && scores > CUDA_SCORES_LIMIT {
            bail!(
                "stock can't take a prompt of {} tokens on CUDA: its one softmax over {scores} scores is more than \
                 candle can index; use plain",
                tokens.len()
            );
        }
        self.pass(&tokens.repeat(self.sequences))
    }

    fn step(&mut self, token: u32) -> candle_core::Result<Tensor> {
        self.step_each(&[token])
    }

    fn step_each(&mut self, tokens: &[u32]) -> candle_core::Result<Tensor> {
        self.pass(tokens)
    }
}
