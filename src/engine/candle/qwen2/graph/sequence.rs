//! The loaded model: what it holds on the GPU, and how prompts and decode steps are queued.

use std::time::{Duration, Instant};

use candle_core::{DType, Device, Result, Tensor};

use super::attention::PromptCache;
use super::decode_plan::{self, DecodePlan, Limits, Shape};
use super::exchange::Exchange;
use super::fitting;
use super::formats::Formats;
use super::geometry::{AttentionShape, DECODE_BLOCK, Matrix, Rows};
use super::gpu::{self, DeviceClock, Gpu, LayerAddresses, RopeTarget, Start};
use super::graph_error::GraphError;
use super::layers::{self, Layer, LayerView};
use super::layout::{Address, DecodeParameters};
use super::parts::PrefillPart;
use super::stacked::Stacked;
use crate::engine::candle::forward::{Forward, Generated, check_tokens};
use crate::engine::candle::qwen2::config::ModelConfig;
use crate::engine::candle::qwen2::rope::RopeTables;
use crate::engine::candle::qwen2::weights::{EMBEDDING, Weights};
use crate::engine::profile::Profile;
use crate::results::StepParts;

/// Decode steps in one launch.
pub(super) const STEPS_A_LAUNCH: usize = 32;

/// Loads a model for sequences of up to `capacity` tokens. Prompts go through in chunks of `chunk` tokens.
pub fn load(
    config: &ModelConfig,
    weights: &mut Weights,
    capacity: usize,
    chunk: Option<usize>,
) -> std::result::Result<Graph, GraphError> {
    let limits = gpu::limits(weights.device()).map_err(GraphError::Device)?;
    load_within(&limits, config, weights, capacity, chunk)
}

fn load_within(
    limits: &Limits,
    config: &ModelConfig,
    weights: &mut Weights,
    capacity: usize,
    chunk: Option<usize>,
) -> std::result::Result<Graph, GraphError> {
    if weights.dtype() != DType::BF16 {
        return Err(GraphError::Type(weights.dtype()));
    }
    let formats = fitting::formats(config, weights)?;
    let shape = Shape::from(&config.shape);
    let plan = DecodePlan::new(&shape, formats.products(), DECODE_BLOCK, limits)?;
    let gpu = Gpu::new(weights.device(), &shape, &plan).map_err(GraphError::Unloadable)?;
    let chunk = chunk.unwrap_or_else(|| decode_plan::default_chunk(&shape)).min(capacity);
    let share = Share { shape, first_token: 0, device: weights.device() };
    let graph = Graph::new(config, &share, formats, gpu, plan, capacity, chunk)?;
    // Before minutes of reading weights, and while another implementation still can have the memory.
    graph.try_launch().map_err(GraphError::Unlaunchable)?;
    graph.fill(weights)?;
    Ok(graph)
}

/// What a card has of a model.
pub(super) struct Share<'a> {
    /// Its own sizes.
    pub shape: Shape,
    /// Of those whose logits it computes.
    pub first_token: usize,
    pub device: &'a Device,
}

/// A loaded model, or a card's half of one, and its one sequence.
pub struct Graph {
    pub(super) shape: Shape,
    /// Of the matrices.
    pub(super) formats: Formats,
    epsilon: f32,
    /// The embedding is also the output projection.
    tied: bool,
    pub(super) gpu: Gpu,
    pub(super) plan: DecodePlan,
    pub(super) layers: Vec<Layer>,
    /// Of all tokens, also in a half.
    pub(super) embedding: Tensor,
    pub(super) norm: Tensor,
    /// `None`: the embedding, where the model ties them and its matrices are dense.
    pub(super) head: Option<Stacked>,
    pub(super) buffers: Buffers,
    pub(super) parameters: DecodeParameters,
    /// What the parameters point to, beside the layers and buffers.
    _held: (Tensor, RopeTables, Exchange),
    /// Most prompt tokens in one pass.
    pub(super) chunk: usize,
    pub(super) capacity: usize,
    /// Tokens in the cache.
    pub(super) length: usize,
}

/// Hears of a part of a prompt's pass once it is queued.
pub(super) type Queued<'a> = dyn FnMut(PrefillPart) -> Result<()> + 'a;

/// Where a product goes that is added to the residual stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Residual {
    /// Onto it.
    Added,
    /// A part of it, to a place of its own.
    Part(Address),
}

/// What the kernels write, allocated once. `[tokens, ...]` are for a chunk of a prompt.
pub(super) struct Buffers {
    pub(super) logits: Tensor,
    pub(super) tokens: Tensor,
    pub(super) times: Tensor,
    pub(super) x: Tensor,
    normed: Tensor,
    qkv: Tensor,
    query: Tensor,
    attended: Tensor,
    gate_up: Tensor,
    activated: Tensor,
}

impl Graph {
    /// Allocates everything, for weights to be read later.
    pub(super) fn new(
        config: &ModelConfig,
        share: &Share,
        formats: Formats,
        gpu: Gpu,
        plan: DecodePlan,
        capacity: usize,
        chunk: usize,
    ) -> Result<Self> {
        let (shape, device, dtype) = (share.shape, share.device, DType::BF16);
        let layers = formats.layers.iter().map(|layer| Layer::new(&shape, layer, capacity, device));
        let layers = layers.collect::<Result<Vec<_>>>()?;
        let tied = config.shape.tie_word_embeddings;
        let embedding = Tensor::zeros((config.shape.vocab_size, shape.hidden), dtype, device)?;
        let tied_head = Address::of(&embedding)?.row(share.first_token, shape.hidden);
        // A packed head is another matrix than the embedding, of which a step needs a single row.
        let own_head = !tied || formats.packs_head();
        let head = own_head.then(|| Stacked::new(&[(formats.head, shape.vocabulary)], shape.hidden, 1, device));
        let head = head.transpose()?;
        let norm = Tensor::zeros(shape.hidden, dtype, device)?;
        let rope = RopeTables::new(config, capacity, device)?;
        let buffers = Buffers::new(&shape, chunk, capacity, device)?;
        let table = layers::table(&layers, device)?;
        let exchange = Exchange::new(&shape, &plan, device)?;
        let epsilon = config.shape.rms_norm_eps as f32;
        let parameters = DecodeParameters {
            layers: Address::of(&table)?,
            embedding: Address::of(&embedding)?,
            head: head.as_ref().map_or(Ok(tied_head), Stacked::address)?,
            head_kind: formats.head.kind() as i32,
            final_norm: Address::of(&norm)?,
            cosines: Address::of(&rope.cos)?,
            sines: Address::of(&rope.sin)?,
            ..exchange.addresses(buffers.addresses(plan.parameters(&shape, capacity, epsilon))?)?
        };
        Ok(Self {
            shape,
            formats,
            epsilon,
            tied,
            gpu,
            plan,
            layers,
            embedding,
            norm,
            head,
            buffers,
            parameters,
            _held: (table, rope, exchange),
            chunk,
            capacity,
            length: 0,
        })
    }

    /// Reads the weights.
    fn fill(&self, weights: &mut Weights) -> Result<()> {
        self.fill_embedding(weights)?;
        for (index, layer) in self.layers.iter().enumerate() {
            layer.fill(index, &self.shape, self.gpu.packer(), weights)?;
        }
        weights.fill("model.norm.weight", &self.norm)?;
        let Some(head) = &self.head else { return Ok(()) };
        head.fill_rows(weights, self.gpu.packer(), self.head_name(), 0, self.shape.vocabulary)
    }

    pub(super) fn fill_embedding(&self, weights: &mut Weights) -> Result<()> {
        // Where it is the head too, a step reads all of it.
        let fill = if self.head.is_some() { Weights::fill_table } else { Weights::fill };
        fill(weights, EMBEDDING, &self.embedding)
    }

    /// Of the output projection.
    pub(super) const fn head_name(&self) -> &'static str {
        if self.tied { "model.embed_tokens" } else { "lm_head" }
    }

    /// Runs the decode kernel once, on data that nobody uses: a driver may refuse it for reasons that no limit shows.
    fn try_launch(&self) -> Result<()> {
        self.gpu.decode(&self.parameters, &self.plan)?;
        self.gpu.synchronize()
    }

    /// Queues one chunk of a prompt, whose ids are at `tokens`. `queued` hears of each part, after it.
    fn pass(&self, tokens: Address, rows: Rows, queued: &mut Queued) -> Result<()> {
        self.embed(tokens, rows)?;
        queued(PrefillPart::Embedding)?;
        for layer in &self.layers {
            let layer = layer.view()?;
            self.attend(&layer, rows, Residual::Added, queued)?;
            self.activate(&layer, rows, Residual::Added, queued)?;
        }
        Ok(())
    }

    /// Queues what begins a chunk.
    pub(super) fn embed(&self, tokens: Address, rows: Rows) -> Result<()> {
        let x = Address::of(&self.buffers.x)?;
        self.gpu.embed(tokens, rows.count, Address::of(&self.embedding)?, x, self.shape.hidden)
    }

    /// Queues a layer's attention, up to its output product.
    pub(super) fn attend(&self, layer: &LayerView, rows: Rows, to: Residual, queued: &mut Queued) -> Result<()> {
        let (gpu, buffers) = (&self.gpu, &self.buffers);
        let [qkv, query] = [Address::of(&buffers.qkv)?, Address::of(&buffers.query)?];
        let out = Address::of(&buffers.attended)?;
        let attention = AttentionShape::new(&self.shape, self.capacity);
        let target = RopeTarget { cosines: self.parameters.cosines, sines: self.parameters.sines, query, attention };
        let LayerAddresses { keys, values, .. } = layer.vectors;
        let cache = PromptCache { shape: attention, chunk: self.chunk, query, keys, values, out };
        let normed = self.norm(layer.norm1, rows)?;
        queued(PrefillPart::Norm)?;
        gpu.product(&layer.qkv, normed, qkv, rows.count, false)?;
        queued(PrefillPart::Qkv)?;
        gpu.rope(qkv, &layer.vectors, &target, rows)?;
        queued(PrefillPart::Rope)?;
        gpu.attention(&cache, rows)?;
        queued(PrefillPart::Attention)?;
        self.residual(&layer.output, out, rows, to)?;
        queued(PrefillPart::Output)
    }

    /// Queues a layer's MLP, up to its down product.
    pub(super) fn activate(&self, layer: &LayerView, rows: Rows, to: Residual, queued: &mut Queued) -> Result<()> {
        let (gpu, buffers) = (&self.gpu, &self.buffers);
        let [gate_up, activated] = [Address::of(&buffers.gate_up)?, Address::of(&buffers.activated)?];
        let normed = self.norm(layer.norm2, rows)?;
        queued(PrefillPart::Norm)?;
        gpu.product(&layer.gate_up, normed, gate_up, rows.count, false)?;
        queued(PrefillPart::GateUp)?;
        gpu.silu(gate_up, activated, rows.count, self.shape.intermediate)?;
        queued(PrefillPart::Silu)?;
        self.residual(&layer.down, activated, rows, to)?;
        queued(PrefillPart::Down)
    }

    /// Where the norm of the residual stream is.
    fn norm(&self, weight: Address, rows: Rows) -> Result<Address> {
        let [x, normed] = [Address::of(&self.buffers.x)?, Address::of(&self.buffers.normed)?];
        self.gpu.norm(x, weight, self.epsilon, normed, rows.count, self.shape.hidden)?;
        Ok(normed)
    }

    fn residual(&self, weight: &[Matrix], input: Address, rows: Rows, to: Residual) -> Result<()> {
        match to {
            Residual::Added => self.gpu.product(weight, input, Address::of(&self.buffers.x)?, rows.count, true),
            Residual::Part(place) => self.gpu.product(weight, input, place, rows.count, false),
        }
    }

    /// Queues all chunks of `tokens`, behind what is in the cache. The number of rows in the last one.
    pub(super) fn passes(&self, tokens: &[u32], queued: &mut Queued) -> Result<usize> {
        check_tokens(tokens, self.shape.vocabulary, self.length, self.capacity)?;
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
    pub(super) fn queue_prompt(&mut self, tokens: &[u32]) -> Result<()> {
        // One launch instead of hundreds, which would take longer than the GPU's work.
        if let [token] = *tokens {
            return self.queue_step(token);
        }
        let count = self.passes(tokens, &mut |_| Ok(()))?;
        self.length += tokens.len();
        self.choose(count)
    }

    /// Queues a decode step for `token`, as the first of a loop.
    fn queue_step(&mut self, token: u32) -> Result<()> {
        check_tokens(&[token], self.embedding.dim(0)?, self.length, self.capacity)?;
        self.begin_steps(token)?;
        self.queue_steps(1)
    }

    /// Queues what begins a loop of decode steps.
    pub(super) fn begin_steps(&self, token: u32) -> Result<()> {
        self.gpu.begin_decode(Address::NULL, &self.parameters, Start { position: self.length, token, step: 0 })
    }

    /// Queues the choice of the token after a prompt, whose last chunk had `count` rows.
    pub(super) fn choose(&self, count: usize) -> Result<()> {
        let last = Address::of(&self.buffers.x)?.row(count - 1, self.shape.hidden);
        self.gpu.begin_decode(last, &self.parameters, Start { position: self.length - 1, token: 0, step: 0 })?;
        self.gpu.decode(&self.parameters, &self.plan)
    }

    /// Refuses a prompt and generated tokens that don't fit: the last is chosen but never processed.
    pub(super) fn check_length(&self, prompt: &[u32], count: usize) -> Result<()> {
        let length = prompt.len() + count - 1;
        if length > self.capacity {
            candle_core::bail!("{length} tokens don't fit into the KV cache, which was sized for {}", self.capacity);
        }
        Ok(())
    }

    /// The tokens that were chosen, and when after `start`.
    pub(super) fn generated(
        &self,
        count: usize,
        clock: &DeviceClock,
        start: Instant,
    ) -> Result<(Vec<u32>, Vec<Duration>)> {
        let tokens = self.buffers.tokens.narrow(0, 0, count)?.to_vec1()?;
        let times: Vec<i64> = self.buffers.times.narrow(0, 0, count)?.to_vec1()?;
        Ok((tokens, times.into_iter().map(|time| clock.since(start, time)).collect()))
    }

    /// Queues `count` decode steps.
    fn queue_steps(&mut self, count: usize) -> Result<()> {
        launches(count).try_for_each(|steps| self.launch(steps))
    }

    /// Queues decode steps of one launch.
    pub(super) fn launch(&mut self, steps: usize) -> Result<()> {
        let parameters = DecodeParameters { steps: steps as i32, ..self.parameters };
        self.gpu.decode(&parameters, &self.plan)?;
        self.length += steps;
        Ok(())
    }
}

/// The steps of each launch, of `count` in all.
pub(super) fn launches(count: usize) -> impl Iterator<Item = usize> {
    (0..count).step_by(STEPS_A_LAUNCH).map(move |before| STEPS_A_LAUNCH.min(count - before))
}

impl Buffers {
    fn new(shape: &Shape, chunk: usize, capacity: usize, device: &Device) -> Result<Self> {
        let rows = |columns: usize| Tensor::zeros((chunk, columns), DType::BF16, device);
        Ok(Self {
            logits: Tensor::zeros(shape.vocabulary, DType::F32, device)?,
            tokens: Tensor::zeros(capacity, DType::U32, device)?,
            times: Tensor::zeros(capacity, DType::I64, device)?,
            x: rows(shape.hidden)?,
            normed: rows(shape.hidden)?,
            qkv: rows(shape.qkv())?,
            query: rows(shape.query())?,
            attended: rows(shape.query())?,
            gate_up: rows(2 * shape.intermediate)?,
            activated: rows(shape.intermediate)?,
        })
    }

    /// `parameters` with the addresses of what decoding leaves for the host.
    fn addresses(&self, parameters: DecodeParameters) -> Result<DecodeParameters> {
        Ok(DecodeParameters {
            logits: Address::of(&self.logits)?,
            tokens: Address::of(&self.tokens)?,
            times: Address::of(&self.times)?,
            ..parameters
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
        self.check_length(prompt, count)?;
        let clock = self.gpu.clock()?;
        let start = Instant::now();
        self.reset()?;
        self.queue_prompt(prompt)?;
        self.queue_steps(count - 1)?;
        self.gpu.synchronize()?;
        let end_to_end = start.elapsed();
        let (tokens, times) = self.generated(count, &clock, start)?;
        Ok(Generated { tokens, times, end_to_end, last_logits: self.buffers.logits.to_vec1()? })
    }

    fn profile(&mut self, context: usize) -> Result<Option<Profile>> {
        self.time_parts(context).map(Some)
    }

    fn step_parts(&mut self, prompt: &[u32], count: usize) -> Result<Option<StepParts>> {
        self.stamp_generation(prompt, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::candle::qwen2::weights::Source;
    use crate::models;

    #[test]
    #[ignore = "needs a CUDA GPU: cargo test --features cuda --lib -- --ignored"]
    fn a_launch_that_the_driver_refuses_is_an_obstacle() {
        let device = Device::new_cuda_with_stream(0).expect("a GPU");
        let config = ModelConfig::published(models::find("Qwen2.5-0.5B").unwrap(), 16);
        let mut ignored = |_, _| {};
        let source = Source::generated(0, &config, None).unwrap();
        let mut weights = Weights::new(source, &config, DType::BF16, &device, &mut ignored);
        let limits = gpu::limits(&device).unwrap();
        // More blocks that wait for each other than can run at once.
        let limits = Limits { blocks: 2 * limits.blocks, ..limits };
        let why = load_within(&limits, &config, &mut weights, 16, None).err().expect("an obstacle");
        assert!(matches!(why, GraphError::Unlaunchable(_)), "{why}");
    }
}
