//! How the kernels are launched: sizes that follow from a model's shape and the device. kernels/decode.cuh says what they
//! mean.

use super::layout::{Address, DecodeLayer, DecodeParameters, crossing};
use super::sizes::{
    DecodeBlock, Format, GROUP, Kind, LINE, PACKED_GROUP, Ring, STATIC_BYTES, SUMMED, TOGETHER, part_bytes,
};
use super::unfit::Unfit;

crossing! {
    /// A model's sizes, as the kernels see it.
    struct Shape {
        hidden: usize,
        intermediate: usize,
        layers: usize,
        heads: usize,
        kv_heads: usize,
        head_dim: usize,
        vocabulary: usize,
    }
}

impl Shape {
    /// Values of all query heads.
    pub const fn query(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Values of all key heads, or of all value heads.
    pub const fn key(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    pub const fn qkv(&self) -> usize {
        self.query() + 2 * self.key()
    }

    /// What turns a product of query and key into a power of two's exponent.
    pub fn scale_log2(&self) -> f32 {
        std::f32::consts::LOG2_E / (self.head_dim as f32).sqrt()
    }

    /// Rows and inputs of a step's products: query/key/value, output, gate and up, down, head.
    pub const fn products(&self) -> [(usize, usize); 5] {
        [
            (self.qkv(), self.hidden),
            (self.hidden, self.query()),
            (2 * self.intermediate, self.hidden),
            (self.hidden, self.intermediate),
            (self.vocabulary, self.hidden),
        ]
    }

    /// Query heads that share a key/value head.
    pub const fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

crossing! {
    /// What the device allows.
    struct Limits {
        /// Blocks of the decode kernel that run at the same time: whole clusters.
        blocks: usize,
        /// Shared memory that one block can have.
        shared_bytes: usize,
        /// Kernels whose blocks wait for each other can be launched.
        cooperative: bool,
    }
}

crossing! {
    /// How the decode kernel is launched, and how its work is shared out.
    struct DecodePlan {
        blocks: usize,
        /// Of `Ring`.
        ring: usize,
        shared_bytes: usize,
        /// Shared memory between the two places of staged vectors, in chunks of 16 bytes.
        second_region: usize,
        /// Shared memory between the second place and what a team's blocks tell each other, in chunks of 16 bytes.
        team_region: usize,
        /// Blocks that share a key/value head's cache and merge what they find in shared memory.
        team: usize,
        /// Global memory of attention before its parts are merged.
        parts_bytes: usize,
        /// How many warps share a row in each product.
        split_qkv: usize,
        split_output: usize,
        split_gate_up: usize,
        split_down: usize,
        split_head: usize,
        /// Where two cards decode together: pairs that a block finishes of a residual product, at most, and so many that
        /// its inbox begins with a line of the cache.
        slots: usize,
        /// What a card is told by the other.
        inbox_bytes: usize,
    }
}

impl DecodePlan {
    /// For matrices of these formats, by product. Where a product's differ from layer to layer: the one with the shortest
    /// batches.
    pub fn new(shape: &Shape, formats: [Format; 5], block: DecodeBlock, limits: &Limits) -> Result<Self, Unfit> {
        check(shape, &formats, limits)?;
        let blocks = blocks(shape, block, limits);
        if blocks < shape.kv_heads.max(1) {
            return Err(Unfit::FewBlocks { blocks, kv_heads: shape.kv_heads });
        }
        let products = shape.products();
        let rings = Ring::of(&formats, shape.head_dim);
        let products: [Product; 5] =
            std::array::from_fn(|index| Product::new(products[index], (formats[index], rings[0]), blocks, block));
        let Regions { first, second, team } = Regions::of(&products, blocks, block.team_bytes(shape.head_dim));
        let table = (shape.layers * size_of::<DecodeLayer>()).next_multiple_of(LINE);
        let beside_ring = table + block.attention_bytes(shape.head_dim) + first + second;
        let bytes = |ring: &Ring| block.ring_bytes(*ring, shape.head_dim) + beside_ring;
        let available = limits.shared_bytes;
        let fits = |ring: &&Ring| bytes(ring) + STATIC_BYTES <= available;
        let Some(ring) = rings.iter().find(fits) else {
            let needed = rings.iter().map(bytes).min().unwrap_or(0);
            return Err(Unfit::SharedMemory { needed, available });
        };
        let [split_qkv, split_output, split_gate_up, split_down, split_head] = products.map(|product| product.split);
        let slots = (shape.hidden / 2).div_ceil(blocks).next_multiple_of(8);
        Ok(Self {
            blocks,
            ring: *ring as usize,
            shared_bytes: bytes(ring),
            second_region: first / 16,
            team_region: team / 16,
            team: self::team(shape, block, blocks),
            parts_bytes: shape.heads * (blocks / shape.kv_heads) * part_bytes(shape.head_dim),
            split_qkv,
            split_output,
            split_gate_up,
            split_down,
            split_head,
            slots,
            inbox_bytes: 2 * blocks * (slots + 1) * 16,
        })
    }

    pub const fn ring(&self) -> Ring {
        Ring::numbered(self.ring)
    }

    /// The kernel's parameters, for a cache of `max_length` positions; all addresses are still to come.
    pub fn parameters(&self, shape: &Shape, max_length: usize, epsilon: f32) -> DecodeParameters {
        let none = Address::NULL;
        DecodeParameters {
            layers: none,
            embedding: none,
            head: none,
            final_norm: none,
            cosines: none,
            sines: none,
            x: none,
            x1: none,
            x2: none,
            qkv: none,
            attended: none,
            activated: none,
            parts: none,
            logits: none,
            bests: none,
            state: none,
            multiprocessors: none,
            tokens: none,
            times: none,
            phases: none,
            layer_count: shape.layers as i32,
            hidden: shape.hidden as i32,
            intermediate: shape.intermediate as i32,
            heads: shape.heads as i32,
            kv_heads: shape.kv_heads as i32,
            vocabulary: shape.vocabulary as i32,
            max_length: max_length as i32,
            split_qkv: self.split_qkv as i32,
            split_output: self.split_output as i32,
            split_gate_up: self.split_gate_up as i32,
            split_down: self.split_down as i32,
            split_head: self.split_head as i32,
            epsilon,
            scale_log2: shape.scale_log2(),
            team: self.team as i32,
            second_region: self.second_region as i32,
            team_region: self.team_region as i32,
            steps: 0,
            head_kind: 0,
            stamps_every: 0,
            stamps: none,
        }
    }
}

fn check(shape: &Shape, formats: &[Format; 5], limits: &Limits) -> Result<(), Unfit> {
    if limits.cooperative { check_shape(shape, formats) } else { Err(Unfit::NotCooperative) }
}

/// What has to be so on any GPU.
fn check_shape(shape: &Shape, formats: &[Format; 5]) -> Result<(), Unfit> {
    if !matches!(shape.head_dim, 64 | 128) {
        return Err(Unfit::HeadDim(shape.head_dim));
    }
    if shape.group() > GROUP {
        return Err(Unfit::Group(shape.group()));
    }
    let [qkv, output, gate_up, down, head] = formats.map(Format::row_multiple);
    let multiples = [
        ("hidden size", shape.hidden, qkv.max(gate_up).max(head)),
        ("intermediate size", shape.intermediate, down),
        ("query size", shape.query(), output),
        ("vocabulary", shape.vocabulary, 2),
    ];
    for (name, value, of) in multiples {
        if !value.is_multiple_of(of) {
            return Err(Unfit::NoMultiple { name, value, of });
        }
    }
    Ok(())
}

/// Whole clusters, and so few that every block has a part of every product: kernels/decode_words.cuh says why.
fn blocks(shape: &Shape, block: DecodeBlock, limits: &Limits) -> usize {
    let pairs = shape.products().map(|(rows, _)| rows / 2);
    pairs.into_iter().fold(limits.blocks, usize::min) / block.cluster * block.cluster
}

/// Two places of staged vectors take turns, in bytes. What a team's blocks tell each other is in the second, behind the
/// vector of the output product: a block may stage that one for its whole cluster while another still reads what it was
/// told. The longer vector of the down product comes only when all have.
struct Regions {
    first: usize,
    second: usize,
    /// From the second's start to the team's.
    team: usize,
}

impl Regions {
    fn of(products: &[Product; 5], blocks: usize, team_bytes: usize) -> Self {
        let [qkv, output, gate_up, down, head] = products.map(|product| product.bytes(blocks));
        let team = output.next_multiple_of(16);
        Self { first: qkv.max(gate_up).max(head), second: down.max(team + team_bytes), team }
    }
}

/// A matrix-vector product: pairs of rows, shared out over blocks and there over warps.
#[derive(Debug, Clone, Copy)]
struct Product {
    pairs: usize,
    inputs: usize,
    format: Format,
    ring: Ring,
    split: usize,
    /// Of a block.
    warps: usize,
}

impl Product {
    /// With the smallest split that leaves the busiest warp about as few batches as any does: a greater one costs more
    /// sums.
    fn new((rows, inputs): (usize, usize), (format, ring): (Format, Ring), blocks: usize, block: DecodeBlock) -> Self {
        let (pairs, warps) = (rows / 2, block.warps);
        let batches = |product: &Self| product.rounds(blocks) * product.batches();
        let splits = || (0..=warps.ilog2()).map(|power| Self { pairs, inputs, format, ring, split: 1 << power, warps });
        let fewest = splits().map(|product| batches(&product)).min().unwrap_or(0);
        let mut good = splits().filter(|product| batches(product) * 50 <= fewest * 51);
        good.next().unwrap_or(Self { pairs, inputs, format, ring, split: 1, warps })
    }

    /// How often each warp of a block takes a new pair.
    fn rounds(&self, blocks: usize) -> usize {
        (self.pairs.div_ceil(blocks) * self.split).div_ceil(self.warps)
    }

    /// Batches of a row.
    fn row_batches(&self) -> usize {
        self.inputs.div_ceil(self.format.batch_inputs())
    }

    /// Steps through a row.
    fn batches(&self) -> usize {
        self.row_batches().div_ceil(self.split)
    }

    /// Shared memory for the input vector and the warps' sums.
    fn bytes(&self, blocks: usize) -> usize {
        self.vector_bytes() + self.rounds(blocks) * self.warps * 8
    }

    /// Padded to whole batches. Behind it are the sums of its groups, where weights are packed.
    fn vector_bytes(&self) -> usize {
        let (inputs, summed) = match (self.ring, self.format) {
            // To whole batches of any kind.
            (Ring::Blocks | Ring::ShortBlocks, _) => {
                (self.inputs.next_multiple_of(Format::Blocks(Kind::Q4_0).batch_inputs()), SUMMED)
            }
            (_, Format::Dense) => return self.batches() * self.split * self.format.batch_inputs() * 2,
            _ => (self.row_batches() * self.format.batch_inputs(), PACKED_GROUP),
        };
        inputs * 2 + inputs / summed * 4
    }
}

/// As many blocks of a cluster as leave one team or more for each key/value head, and share out its outputs evenly.
fn team(shape: &Shape, block: DecodeBlock, blocks: usize) -> usize {
    let outputs = shape.group() * shape.head_dim / 2;
    let fits = |team: &usize| blocks / team >= shape.kv_heads && outputs.is_multiple_of(TOGETHER * team);
    (0..=block.cluster.ilog2()).rev().map(|power| 1 << power).find(fits).unwrap_or(1)
}

/// Prompt tokens in one pass: as many as fill the GPU, within a bounded size of the buffers.
pub fn default_chunk(shape: &Shape) -> usize {
    const MOST_BYTES: usize = 640 << 20;
    const MOST_TOKENS: usize = 8192;
    const STEP: usize = 512;
    (MOST_BYTES / (row_values(shape) * 2) / STEP * STEP).clamp(STEP, MOST_TOKENS)
}

/// Bytes of the buffers of a sequence of `capacity` tokens, with `parts` parts of the residual stream, and of its tables of
/// cosines and sines.
pub fn buffer_bytes(shape: &Shape, capacity: usize, parts: usize) -> usize {
    let chunk = default_chunk(shape).min(capacity);
    chunk * (row_values(shape) + parts * shape.hidden) * 2 + capacity * shape.head_dim * size_of::<f32>()
}

/// Values of all prefill buffers for one token.
fn row_values(shape: &Shape) -> usize {
    2 * shape.hidden + 3 * shape.query() + 2 * shape.key() + 3 * shape.intermediate
}
