//! The `graph` implementation: Qwen2's forward pass in kernels of our own, for NVIDIA GPUs in bf16.
//!
//! Decoding is one persistent kernel that runs many steps in one launch and chooses the tokens itself; a prompt goes
//! through in chunks, with cuBLAS for its products. Buffers are allocated once, and the host waits once a request.

mod attention;
mod gpu;
mod layers;
mod plan;
mod profile;

use std::time::{Duration, Instant};

use candle_core::{DType, Device, Result, Tensor};

use self::attention::PromptCache;
use self::gpu::{Address, DecodeParameters, Gpu, LayerAddresses, RopeTarget, Rows, Start};
use self::layers::Layer;
use self::plan::{AttentionShape, DecodePlan, Limits};
use super::config::ModelConfig;
use super::rope::RopeTables;
use super::weights::Weights;
use crate::engine::candle::forward::{Forward, Generated, check_tokens};
use crate::engine::profile::Profile;

/// Decode steps in one launch.
const STEPS_A_LAUNCH: usize = 32;

/// Loads a model for sequences of up to `capacity` tokens, or says in words why it can't run on this device. Prompts go
/// through in chunks of `chunk` tokens.
pub fn load(
    config: &ModelConfig,
    weights: &mut Weights,
    capacity: usize,
    chunk: Option<usize>,
) -> Result<std::result::Result<Graph, String>> {
    match gpu::limits(weights.device()) {
        Ok(limits) => load_within(&limits, config, weights, capacity, chunk),
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn load_within(
    limits: &Limits,
    config: &ModelConfig,
    weights: &mut Weights,
    capacity: usize,
    chunk: Option<usize>,
) -> Result<std::result::Result<Graph, String>> {
    let plan = match DecodePlan::new(config, weights.dtype(), limits) {
        Ok(plan) => plan,
        Err(why) => return Ok(Err(why)),
    };
    let gpu = match Gpu::new(weights.device(), config.shape.head_dim, &plan) {
        Ok(gpu) => gpu,
        Err(error) => return Ok(Err(format!("its kernels can't be loaded: {error}"))),
    };
    let chunk = chunk.unwrap_or_else(|| plan::default_chunk(&config.shape)).min(capacity);
    let graph = Graph::new(config, gpu, plan, capacity, chunk, weights)?;
    // Before minutes of reading weights, and while another implementation still can have the memory.
    if let Err(error) = graph.try_launch() {
        return Ok(Err(format!("its kernel can't be launched: {error}")));
    }
    graph.fill(weights)?;
    Ok(Ok(graph))
}

/// A loaded model and its one sequence.
pub struct Graph {
    config: ModelConfig,
    gpu: Gpu,
    plan: DecodePlan,
    layers: Vec<Layer>,
    embedding: Tensor,
    norm: Tensor,
    /// The embedding again, where the model ties them.
    head: Tensor,
    buffers: Buffers,
    parameters: DecodeParameters,
    /// What the decode kernel's addresses point to, beside the layers and buffers.
    _held: Vec<Tensor>,
    /// Most prompt tokens in one pass.
    chunk: usize,
    capacity: usize,
    /// Tokens in the cache.
    length: usize,
}

/// Hears of a part of a prompt's pass once it is queued.
type Queued<'a> = dyn FnMut(PrefillPart) -> Result<()> + 'a;

/// The kinds of work in a prompt's pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PrefillPart {
    Embedding,
    Norm,
    Qkv,
    Rope,
    Attention,
    Output,
    GateUp,
    Silu,
    Down,
}

impl PrefillPart {
    const ALL: [Self; 9] = [
        Self::Embedding,
        Self::Norm,
        Self::Qkv,
        Self::Rope,
        Self::Attention,
        Self::Output,
        Self::GateUp,
        Self::Silu,
        Self::Down,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Norm => "norms",
            Self::Qkv => "qkv",
            Self::Rope => "bias, rotary, cache",
            Self::Attention => "attention",
            Self::Output => "output",
            Self::GateUp => "gate and up",
            Self::Silu => "silu",
            Self::Down => "down",
        }
    }
}

/// What the kernels write, allocated once. `[tokens, ...]` are for a chunk of a prompt.
struct Buffers {
    logits: Tensor,
    tokens: Tensor,
    times: Tensor,
    x: Tensor,
    normed: Tensor,
    qkv: Tensor,
    query: Tensor,
    attended: Tensor,
    gate_up: Tensor,
    activated: Tensor,
}

impl Graph {
    /// Allocates everything, for `weights` to be read later.
    fn new(
        config: &ModelConfig,
        gpu: Gpu,
        plan: DecodePlan,
        capacity: usize,
        chunk: usize,
        weights: &Weights,
    ) -> Result<Self> {
        let (shape, device, dtype) = (&config.shape, weights.device(), weights.dtype());
        let layers = (0..shape.num_hidden_layers)
            .map(|_| Layer::new(config, dtype, capacity, device))
            .collect::<Result<Vec<_>>>()?;
        let vocabulary = || Tensor::zeros((shape.vocab_size, shape.hidden_size), dtype, device);
        let embedding = vocabulary()?;
        let head = if shape.tie_word_embeddings { embedding.clone() } else { vocabulary()? };
        let norm = Tensor::zeros(shape.hidden_size, dtype, device)?;
        let rope = RopeTables::new(config, capacity, device)?;
        let buffers = Buffers::new(config, chunk, capacity, device)?;
        let query = shape.num_attention_heads * shape.head_dim;
        let bytes = |count: usize| Tensor::zeros(count, DType::U8, device);
        let table = layers::table(&layers, device)?;
        let x = Tensor::zeros(shape.hidden_size, DType::BF16, device)?;
        let key = shape.num_key_value_heads * shape.head_dim;
        // Words of eight bytes for two values, and of four for one.
        let (x1, x2) = (bytes(shape.hidden_size * 4)?, bytes(shape.hidden_size * 4)?);
        let (qkv, attended) = (bytes((query + 2 * key) * 4)?, bytes(query * 4)?);
        let activated = bytes(shape.intermediate_size * 4)?;
        let parts = bytes(plan::parts_bytes(shape, plan.blocks))?;
        let multiprocessors = Tensor::zeros(plan.blocks, DType::U32, device)?;
        let (bests, state) = (bytes(plan.blocks * plan::BEST_BYTES)?, bytes(plan::STATE_BYTES)?);
        let attention = AttentionShape::new(shape, capacity);
        let parameters = DecodeParameters {
            layers: Address::of(&table)?,
            embedding: Address::of(&embedding)?,
            head: Address::of(&head)?,
            final_norm: Address::of(&norm)?,
            cosines: Address::of(&rope.cos)?,
            sines: Address::of(&rope.sin)?,
            x: Address::of(&x)?,
            x1: Address::of(&x1)?,
            x2: Address::of(&x2)?,
            qkv: Address::of(&qkv)?,
            attended: Address::of(&attended)?,
            activated: Address::of(&activated)?,
            parts: Address::of(&parts)?,
            logits: Address::of(&buffers.logits)?,
            bests: Address::of(&bests)?,
            state: Address::of(&state)?,
            multiprocessors: Address::of(&multiprocessors)?,
            tokens: Address::of(&buffers.tokens)?,
            times: Address::of(&buffers.times)?,
            phases: Address::NULL,
            layer_count: shape.num_hidden_layers as i32,
            hidden: shape.hidden_size as i32,
            intermediate: shape.intermediate_size as i32,
            heads: shape.num_attention_heads as i32,
            kv_heads: shape.num_key_value_heads as i32,
            vocabulary: shape.vocab_size as i32,
            max_length: capacity as i32,
            split_qkv: plan.split_qkv as i32,
            split_output: plan.split_output as i32,
            split_gate_up: plan.split_gate_up as i32,
            split_down: plan.split_down as i32,
            split_head: plan.split_head as i32,
            epsilon: shape.rms_norm_eps as f32,
            scale_log2: attention.scale_log2(),
            team: plan.team as i32,
            second_region: plan.second_region as i32,
            steps: 0,
        };
        let held =
            vec![table, rope.cos, rope.sin, x, x1, x2, qkv, attended, activated, parts, bests, state, multiprocessors];
        Ok(Self {
            gpu,
            config: config.clone(),
            plan,
            layers,
            embedding,
            norm,
            head,
            buffers,
            parameters,
            _held: held,
            chunk,
            capacity,
            length: 0,
        })
    }

    /// Reads the weights.
    fn fill(&self, weights: &mut Weights) -> Result<()> {
        weights.fill("model.embed_tokens.weight", &self.embedding)?;
        for (index, layer) in self.layers.iter().enumerate() {
            layer.fill(index, &self.config, weights)?;
        }
        weights.fill("model.norm.weight", &self.norm)?;
        if self.config.shape.tie_word_embeddings {
            return Ok(());
        }
        weights.fill("lm_head.weight", &self.head)
    }

    /// Runs the decode kernel once, over nothing of importance: a driver may refuse it for reasons that no limit tells.
    fn try_launch(&self) -> Result<()> {
        self.gpu.decode(&self.parameters, &self.plan)?;
        self.gpu.synchronize()
    }

    /// Queues one chunk of a prompt, whose ids are at `tokens`. `queued` hears of each part, after it.
    fn pass(&self, tokens: Address, rows: Rows, queued: &mut Queued) -> Result<()> {
        let shape = &self.config.shape;
        let (gpu, epsilon, hidden) = (&self.gpu, shape.rms_norm_eps as f32, shape.hidden_size);
        let attention = AttentionShape::new(shape, self.capacity);
        let buffers = &self.buffers;
        let x = Address::of(&buffers.x)?;
        let normed = Address::of(&buffers.normed)?;
        let qkv = Address::of(&buffers.qkv)?;
        let query = Address::of(&buffers.query)?;
        let attended = Address::of(&buffers.attended)?;
        let gate_up = Address::of(&buffers.gate_up)?;
        let activated = Address::of(&buffers.activated)?;
        let target = RopeTarget { cosines: self.parameters.cosines, sines: self.parameters.sines, query, attention };
        gpu.embed(tokens, rows.count, Address::of(&self.embedding)?, x, hidden)?;
        queued(PrefillPart::Embedding)?;
        for layer in &self.layers {
            let layer = layer.view(shape)?;
            let LayerAddresses { keys, values, .. } = layer.vectors;
            let cache = PromptCache { shape: attention, chunk: self.chunk, query, keys, values, out: attended };
            gpu.norm(x, layer.norm1, epsilon, normed, rows.count, hidden)?;
            queued(PrefillPart::Norm)?;
            gpu.product(&layer.qkv, normed, qkv, rows.count, false)?;
            queued(PrefillPart::Qkv)?;
            gpu.rope(qkv, &layer.vectors, &target, rows)?;
            queued(PrefillPart::Rope)?;
            gpu.attention(&cache, rows)?;
            queued(PrefillPart::Attention)?;
            gpu.product(&layer.output, attended, x, rows.count, true)?;
            queued(PrefillPart::Output)?;
            gpu.norm(x, layer.norm2, epsilon, normed, rows.count, hidden)?;
            queued(PrefillPart::Norm)?;
            gpu.product(&layer.gate_up, normed, gate_up, rows.count, false)?;
            queued(PrefillPart::GateUp)?;
            gpu.silu(gate_up, activated, rows.count, shape.intermediate_size)?;
            queued(PrefillPart::Silu)?;
            gpu.product(&layer.down, activated, x, rows.count, true)?;
            queued(PrefillPart::Down)?;
        }
        Ok(())
    }

    /// Queues all chunks of `tokens`, behind what is in the cache. The number of rows in the last one.
    fn passes(&self, tokens: &[u32], queued: &mut Queued) -> Result<usize> {
        check_tokens(tokens, self.config.shape.vocab_size, self.length, self.capacity)?;
        let mut rows = Rows { count: 0, start: self.length };
        for chunk in tokens.chunks(self.chunk) {
            rows = Rows { count: chunk.len(), start: rows.start + rows.count };
            // Dropped before the GPU has read it, which is fine: memory is only reused in the stream's order.
            let ids = Tensor::from_slice(chunk, chunk.len(), self.embedding.device())?;
            self.pass(Address::of(&ids)?, rows, queued)?;
        }
        Ok(rows.count)
    }

    /// Queues the whole prompt and the choice of the token after it.
    fn queue_prompt(&mut self, tokens: &[u32]) -> Result<()> {
        // One launch instead of hundreds, which would take longer than the GPU's work.
        if let [token] = *tokens {
            return self.queue_step(token);
        }
        let count = self.passes(tokens, &mut |_| Ok(()))?;
        self.length += tokens.len();
        let last = Address::of(&self.buffers.x)?.row(count - 1, self.config.shape.hidden_size);
        self.gpu.begin_decode(last, &self.parameters, Start { position: self.length - 1, token: 0, step: 0 })?;
        self.gpu.decode(&self.parameters, &self.plan)
    }

    /// Queues a decode step for `token`, as the first of a loop.
    fn queue_step(&mut self, token: u32) -> Result<()> {
        check_tokens(&[token], self.config.shape.vocab_size, self.length, self.capacity)?;
        self.gpu.begin_decode(Address::NULL, &self.parameters, Start { position: self.length, token, step: 0 })?;
        self.queue_steps(1)
    }

    /// Queues `count` decode steps.
    fn queue_steps(&mut self, count: usize) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let steps = left.min(STEPS_A_LAUNCH);
            let parameters = DecodeParameters { steps: steps as i32, ..self.parameters };
            self.gpu.decode(&parameters, &self.plan)?;
            left -= steps;
        }
        self.length += count;
        Ok(())
    }
}

impl Buffers {
    fn new(config: &ModelConfig, chunk: usize, capacity: usize, device: &Device) -> Result<Self> {
        let shape = &config.shape;
        let query = shape.num_attention_heads * shape.head_dim;
        let key = shape.num_key_value_heads * shape.head_dim;
        let rows = |columns: usize| Tensor::zeros((chunk, columns), DType::BF16, device);
        Ok(Self {
            logits: Tensor::zeros(shape.vocab_size, DType::F32, device)?,
            tokens: Tensor::zeros(capacity, DType::U32, device)?,
            times: Tensor::zeros(capacity, DType::I64, device)?,
            x: rows(shape.hidden_size)?,
            normed: rows(shape.hidden_size)?,
            qkv: rows(query + 2 * key)?,
            query: rows(query)?,
            attended: rows(query)?,
            gate_up: rows(2 * shape.intermediate_size)?,
            activated: rows(shape.intermediate_size)?,
        })
    }
}

impl Forward for Graph {
    fn reset(&mut self) -> Result<()> {
        self.length = 0;
        Ok(())
    }

    fn prefill(&mut self, tokens: &[u32]) -> Result<Tensor> {
        self.queue_prompt(tokens)?;
        self.buffers.logits.copy()
    }

    fn step(&mut self, token: u32) -> Result<Tensor> {
        self.queue_step(token)?;
        self.buffers.logits.copy()
    }

    fn generate(&mut self, prompt: &[u32], count: usize) -> Result<Generated> {
        if count == 0 {
            return Ok(Generated::default());
        }
        // The last token is chosen but never processed.
        if prompt.len() + count - 1 > self.capacity {
            candle_core::bail!(
                "{} tokens don't fit into the KV cache, which was sized for {}",
                prompt.len() + count - 1,
                self.capacity
            );
        }
        let clock = self.gpu.clock()?;
        let start = Instant::now();
        self.reset()?;
        self.queue_prompt(prompt)?;
        self.queue_steps(count - 1)?;
        self.gpu.synchronize()?;
        let end_to_end = start.elapsed();
        let tokens = self.buffers.tokens.narrow(0, 0, count)?.to_vec1()?;
        let times: Vec<i64> = self.buffers.times.narrow(0, 0, count)?.to_vec1()?;
        let times: Vec<Duration> = times.into_iter().map(|time| clock.since(start, time)).collect();
        Ok(Generated { tokens, times, end_to_end })
    }

    fn profile(&mut self, context: usize) -> Result<Option<Profile>> {
        self.time_parts(context).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    #[test]
    #[ignore = "needs a CUDA GPU: cargo test --features cuda --lib -- --ignored"]
    fn a_launch_that_the_driver_refuses_is_an_obstacle() {
        let device = Device::new_cuda_with_stream(0).expect("a GPU");
        let config = ModelConfig::published(models::find("Qwen2.5-0.5B").unwrap(), 16);
        let mut ignored = |_, _| {};
        let mut weights = Weights::generated(0, &config, DType::BF16, &device, &mut ignored);
        let limits = gpu::limits(&device).unwrap();
        // More blocks that wait for each other than can run at once.
        let limits = Limits { blocks: 2 * limits.blocks, ..limits };
        let why = load_within(&limits, &config, &mut weights, 16, None).unwrap().err().expect("an obstacle");
        assert!(why.contains("can't be launched"), "{why}");
    }
}
