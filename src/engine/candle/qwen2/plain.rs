//! The `plain` implementation: Qwen2's forward pass on candle's operations, for CPU and CUDA. Written to be read, and
//! the reference that `graph` is held against. On several devices each has some of the layers, one after the other.
//!
//! Norms, rotary encoding and softmax are computed in F32, and every product accumulates in F32. On a GPU results are
//! rounded to the model's type; on a CPU only the weights are, and all else stays F32: candle multiplies no bf16
//! matrices there, and accumulates f16 in f16.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::ops::{rms_norm, silu, softmax_last_dim};

use super::cache::LayerCache;
use super::config::ModelConfig;
use super::rope::RopeTables;
use super::weights::{EMBEDDING, LinearWeight, Weights};
use crate::case::DeviceKind;
use crate::engine::candle::between_devices::moved;
use crate::engine::candle::forward::{Forward, check_tokens};
use crate::engine::candle::layer_split::Place;

/// Most attention scores held at a time: 1 GiB in F32 on a GPU, far below the 2^31 elements that candle's softmax can
/// index; on a CPU 4 MiB, which its cache may hold.
pub const fn scores_limit(device: DeviceKind) -> usize {
    match device {
        DeviceKind::Cuda => 1 << 28,
        DeviceKind::Cpu => 1 << 20,
    }
}

/// The type of all tensors of a model whose weights are of type `model`.
fn computing_type(model: DType, device: &Device) -> DType {
    if device.is_cpu() { DType::F32 } else { model }
}

/// A matrix `[out, in]`, with a bias on q, k and v. A quantized one is computed from its integers each time.
struct Linear {
    weight: LinearWeight,
    bias: Option<Tensor>,
}

impl Linear {
    /// `[tokens, in]` -> `[tokens, out]`
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let product = self.weight.product(x)?;
        match &self.bias {
            None => Ok(product),
            Some(bias) => product.broadcast_add(bias),
        }
    }
}

struct Norm {
    weight: Tensor,
    epsilon: f32,
}

impl Norm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        rms_norm(x, &self.weight, self.epsilon)
    }
}

struct Layer {
    attention_norm: Norm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    mlp_norm: Norm,
    gate: Linear,
    up: Linear,
    down: Linear,
    cache: LayerCache,
}

/// Layers of one device, and what they need there.
struct Stage {
    device: Device,
    layers: Vec<Layer>,
    rope: RopeTables,
    attention: Attention,
}

/// A loaded model and its sequences, which are equally long: one, or those of a batch.
pub struct Plain {
    config: ModelConfig,
    /// `[vocab, hidden]`
    embedding: Tensor,
    /// At least one: the embedding is on the device of the first, `norm` and `head` are on that of the last.
    stages: Vec<Stage>,
    norm: Norm,
    head: Linear,
    /// Most prompt tokens in one pass.
    chunk: usize,
    capacity: usize,
    sequences: usize,
    /// Tokens of each in the cache.
    length: usize,
}

impl Plain {
    /// `places` have all layers, in order; `capacity` is the longest sequence; prompts go through in chunks of `chunk`
    /// tokens.
    pub fn load(
        config: &ModelConfig,
        weights: &mut Weights,
        places: &[Place],
        capacity: usize,
        chunk: usize,
        sequences: usize,
    ) -> Result<Self> {
        let device = weights.device().clone();
        let shape = &config.shape;
        let chunk = chunk.min(capacity);
        let (rope, attention) =
            (RopeTables::new(config, capacity, &device)?, Attention::new(config, chunk, sequences, &device)?);
        let mut loader =
            Loader { dtype: computing_type(weights.dtype(), &device), config, capacity, sequences, weights };
        let embedding = loader.tensor(EMBEDDING, &[shape.vocab_size, shape.hidden_size])?;
        let stage = |place| loader.stage(place, &rope, &attention);
        let stages = places.iter().map(stage).collect::<Result<_>>()?;
        let norm = loader.norm("model.norm.weight")?;
        let head = if shape.tie_word_embeddings {
            let weight = LinearWeight::Dense(moved(&embedding, loader.weights.device())?);
            Linear { weight, bias: None }
        } else {
            loader.linear("lm_head", shape.hidden_size, shape.vocab_size, false)?
        };
        Ok(Self { embedding, stages, norm, head, config: config.clone(), chunk, capacity, sequences, length: 0 })
    }

    /// Appends `tokens`, those of all sequences one after the other; hidden states `[tokens, hidden]` before the last norm.
    fn pass(&mut self, tokens: &[u32]) -> Result<Tensor> {
        let length = tokens.len() / self.sequences;
        check_tokens(&tokens[..length], self.config.shape.vocab_size, self.length, self.capacity)?;
        let ids = Tensor::new(tokens, self.embedding.device())?;
        let mut x = self.embedding.index_select(&ids, 0)?;
        for stage in &self.stages {
            x = stage.pass(moved(&x, &stage.device)?, self.length)?;
        }
        self.length += length;
        Ok(x)
    }

    /// Logits of each sequence's last position: `[vocab]`, of a batch `[sequences, vocab]`, F32.
    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let (tokens, size) = hidden.dims2()?;
        let length = tokens / self.sequences;
        let last =
            hidden.reshape((self.sequences, length, size))?.narrow(1, length - 1, 1)?.squeeze(1)?.contiguous()?;
        let logits = self.head.forward(&self.norm.forward(&last)?)?.to_dtype(DType::F32)?;
        if self.sequences == 1 { logits.squeeze(0) } else { Ok(logits) }
    }
}

impl Stage {
    /// `x` `[tokens, hidden]` behind its layers. Its tokens come after `past` others.
    fn pass(&self, mut x: Tensor, past: usize) -> Result<Tensor> {
        for layer in &self.layers {
            x = self.attend(layer, &x, past)?;
            x = self.transform(layer, &x)?;
        }
        Ok(x)
    }

    fn attend(&self, layer: &Layer, x: &Tensor, past: usize) -> Result<Tensor> {
        // To attention, the heads of other sequences are just more heads.
        let Attention { sequences, kv_heads, group, head_dim, .. } = self.attention;
        let length = x.dim(0)? / sequences;
        // [sequences x length, heads x head_dim] -> [sequences x heads, length, head_dim]
        let split = |x: Tensor, heads: usize| {
            let by_head = x.reshape((sequences, length, heads / sequences, head_dim))?.transpose(1, 2)?.contiguous()?;
            by_head.reshape((heads, length, head_dim))
        };
        let rotate = |x: Tensor| self.rope.apply(&x.to_dtype(DType::F32)?, past);

        let normed = layer.attention_norm.forward(x)?;
        let query = rotate(split(layer.query.forward(&normed)?, kv_heads * group)?)?;
        // The scores' scale is applied here, where it costs no pass over the scores.
        let query = (query * (head_dim as f64).powf(-0.5))?.to_dtype(x.dtype())?;
        let key = rotate(split(layer.key.forward(&normed)?, kv_heads)?)?.to_dtype(x.dtype())?;
        let value = split(layer.value.forward(&normed)?, kv_heads)?;
        let (keys, values) = layer.cache.append(&key, &value, past)?;
        let attended = self.attention.forward(&query, &keys, &values)?;
        x + layer.output.forward(&attended)?
    }

    fn transform(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let normed = layer.mlp_norm.forward(x)?;
        let gate = silu(&layer.gate.forward(&normed)?)?;
        let inner = (gate * layer.up.forward(&normed)?)?;
        x + layer.down.forward(&inner)?
    }
}

impl Forward for Plain {
    fn reset(&mut self) -> Result<()> {
        self.length = 0;
        Ok(())
    }

    fn prefill(&mut self, tokens: &[u32]) -> Result<Tensor> {
        check_tokens(tokens, self.config.shape.vocab_size, self.length, self.capacity)?;
        let mut chunks = tokens.chunks(self.chunk);
        let last = chunks.next_back().unwrap_or_default();
        for chunk in chunks {
            self.pass(&chunk.repeat(self.sequences))?;
        }
        let hidden = self.pass(&last.repeat(self.sequences))?;
        self.logits(&hidden)
    }

    fn step(&mut self, token: u32) -> Result<Tensor> {
        self.step_each(&[token])
    }

    fn step_each(&mut self, tokens: &[u32]) -> Result<Tensor> {
        let hidden = self.pass(tokens)?;
        self.logits(&hidden)
    }
}

/// Causal attention of grouped queries; a group of query heads shares one head of keys and values.
struct Attention {
    sequences: usize,
    /// Of all sequences together.
    kv_heads: usize,
    group: usize,
    head_dim: usize,
    /// `[chunk, chunk]`: minus infinity where a key is later than the query.
    causal: Tensor,
    /// Most scores held at a time.
    scores_limit: usize,
}

impl Attention {
    fn new(config: &ModelConfig, chunk: usize, sequences: usize, device: &Device) -> Result<Self> {
        let shape = &config.shape;
        let later = |row: usize, column: usize| if column > row { f32::NEG_INFINITY } else { 0.0 };
        let causal = (0..chunk).flat_map(|row| (0..chunk).map(move |column| later(row, column))).collect::<Vec<_>>();
        Ok(Self {
            sequences,
            kv_heads: sequences * shape.num_key_value_heads,
            group: shape.num_attention_heads / shape.num_key_value_heads,
            head_dim: shape.head_dim,
            causal: Tensor::from_vec(causal, (chunk, chunk), device)?,
            scores_limit: scores_limit(if device.is_cpu() { DeviceKind::Cpu } else { DeviceKind::Cuda }),
        })
    }

    /// The same on `device`.
    fn to_device(&self, device: &Device) -> Result<Self> {
        Ok(Self { causal: self.causal.to_device(device)?, ..*self })
    }

    /// `query` `[heads, sequence, head_dim]` are the last positions of `keys` and `values`
    /// `[kv_heads, length, head_dim]`. Result: `[sequences x sequence, heads x head_dim]`.
    fn forward(&self, query: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
        let (heads, sequence, head_dim) = query.dims3()?;
        let length = keys.dim(1)?;
        let block = (self.scores_limit / (heads * length)).clamp(1, sequence);
        let mut blocks = Vec::with_capacity(sequence.div_ceil(block));
        for start in (0..sequence).step_by(block) {
            let rows = block.min(sequence - start);
            let seen = length - sequence + start + rows;
            let query = query.narrow(1, start, rows)?;
            blocks.push(self.block(&query, &keys.narrow(1, 0, seen)?, &values.narrow(1, 0, seen)?)?);
        }
        let each = heads / self.sequences;
        let attended = Tensor::cat(&blocks, 1)?.reshape((self.sequences, each, sequence, head_dim))?;
        attended.transpose(1, 2)?.reshape((self.sequences * sequence, each * head_dim))
    }

    /// As [`forward`](Self::forward), all at once; the result is `[heads, sequence, head_dim]`.
    fn block(&self, query: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
        let (heads, rows, head_dim) = query.dims3()?;
        let length = keys.dim(1)?;
        // The heads of a group become more rows for their shared keys: nothing is copied for each head.
        let grouped = (self.kv_heads, self.group * rows, head_dim);
        let scores = query.reshape(grouped)?.matmul(&keys.transpose(1, 2)?)?;
        let scores = scores.to_dtype(DType::F32)?.reshape((heads, rows, length))?;
        if rows > 1 {
            // Only the last `rows` keys can be later than a query.
            let causal = self.causal.narrow(0, 0, rows)?.narrow(1, 0, rows)?;
            let masked = scores.narrow(2, length - rows, rows)?.broadcast_add(&causal)?;
            scores.slice_set(&masked, 2, length - rows)?;
        }
        let weights = softmax_last_dim(&scores)?.to_dtype(values.dtype())?;
        let attended = weights.reshape((self.kv_heads, self.group * rows, length))?.matmul(values)?;
        attended.reshape((heads, rows, head_dim))
    }
}

/// Takes a model's parts from named weights.
struct Loader<'a, 'w> {
    config: &'a ModelConfig,
    weights: &'a mut Weights<'w>,
    /// The type that every tensor gets.
    dtype: DType,
    capacity: usize,
    sequences: usize,
}

impl Loader<'_, '_> {
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.weights.get(name, shape)?.to_dtype(self.dtype)
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize, biased: bool) -> Result<Linear> {
        let weight = match self.weights.linear(name, outputs, inputs)? {
            // Converted once, not at each use.
            LinearWeight::Dense(matrix) => LinearWeight::Dense(matrix.to_dtype(self.dtype)?),
            quantized => self.weights.to_device(&quantized)?,
        };
        let bias = if biased { Some(self.tensor(&format!("{name}.bias"), &[outputs])?) } else { None };
        Ok(Linear { weight, bias })
    }

    fn norm(&mut self, name: &str) -> Result<Norm> {
        let shape = &self.config.shape;
        let weight = self.tensor(name, &[shape.hidden_size])?;
        Ok(Norm { weight, epsilon: shape.rms_norm_eps as f32 })
    }

    /// What `place` has. What comes next goes to its device, too.
    fn stage(&mut self, place: &Place, rope: &RopeTables, attention: &Attention) -> Result<Stage> {
        let device = place.device.clone();
        self.weights.go_to(&device);
        let layers = place.layers.clone().map(|index| self.layer(index)).collect::<Result<_>>()?;
        Ok(Stage { layers, rope: rope.to_device(&device)?, attention: attention.to_device(&device)?, device })
    }

    fn layer(&mut self, index: usize) -> Result<Layer> {
        let shape = &self.config.shape;
        let (hidden, inner) = (shape.hidden_size, shape.intermediate_size);
        let (query, key) = (shape.query_values(), shape.key_values());
        let at = |part: &str| format!("model.layers.{index}.{part}");
        Ok(Layer {
            attention_norm: self.norm(&at("input_layernorm.weight"))?,
            query: self.linear(&at("self_attn.q_proj"), hidden, query, true)?,
            key: self.linear(&at("self_attn.k_proj"), hidden, key, true)?,
            value: self.linear(&at("self_attn.v_proj"), hidden, key, true)?,
            output: self.linear(&at("self_attn.o_proj"), query, hidden, false)?,
            mlp_norm: self.norm(&at("post_attention_layernorm.weight"))?,
            gate: self.linear(&at("mlp.gate_proj"), hidden, inner, false)?,
            up: self.linear(&at("mlp.up_proj"), hidden, inner, false)?,
            down: self.linear(&at("mlp.down_proj"), inner, hidden, false)?,
            cache: LayerCache::new(
                self.sequences * shape.num_key_value_heads,
                self.capacity,
                shape.head_dim,
                self.dtype,
                self.weights.device(),
            )?,
        })
    }
}
