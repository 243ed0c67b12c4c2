//! How the kernels are launched: sizes that follow from a model's shape and the device. kernels/decode.cuh says what they
//! mean.

use candle_core::DType;

use crate::engine::candle::qwen2::config::ModelConfig;
use crate::models::Model;

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

const WARP: usize = 32;
/// Shared memory of all warps' rings: batches of a chunk (16 bytes) a lane of two rows.
const RING_BYTES: usize = DECODE_WARPS * DECODE_STAGES * 2 * WARP * 16;
/// Shared memory of the kernel's static variables, rounded up (`cuobjdump -res-usage`, without the 1024 that every
/// block reserves and the device's limit leaves out).
const STATIC_BYTES: usize = 1280;
/// Bytes of `struct DecodeLayer`: nine addresses.
const LAYER_BYTES: usize = 9 * 8;
/// Query heads that can share a key/value head.
const GROUP: usize = 8;
/// Pairs of outputs that one block of a team merges at a time.
const TOGETHER: usize = 4;

pub const DECODE_THREADS: u32 = (DECODE_WARPS * WARP) as u32;

/// What the device allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Blocks of the decode kernel that run at the same time: whole clusters.
    pub blocks: usize,
    /// Shared memory that one block can have.
    pub shared_bytes: usize,
    /// Kernels whose blocks wait for each other can be launched.
    pub cooperative: bool,
}

/// How the decode kernel is launched, and how its work is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodePlan {
    pub blocks: usize,
    pub shared_bytes: usize,
    /// Shared memory between the two places of staged vectors, in chunks of 16 bytes.
    pub second_region: usize,
    /// Blocks that share a key/value head's cache and merge what they find in shared memory.
    pub team: usize,
    /// How many warps share a row in each product.
    pub split_qkv: usize,
    pub split_output: usize,
    pub split_gate_up: usize,
    pub split_down: usize,
    pub split_head: usize,
}

impl DecodePlan {
    /// The error says in words why a model can't be run so.
    pub fn new(config: &ModelConfig, dtype: DType, limits: &Limits) -> Result<Self, String> {
        let shape = &config.shape;
        check(shape, dtype, limits)?;
        let query = shape.num_attention_heads * shape.head_dim;
        let qkv = (shape.num_attention_heads + 2 * shape.num_key_value_heads) * shape.head_dim;
        // Every block must have a part of every product: kernels/decode_words.cuh says why.
        let pairs = [qkv / 2, shape.hidden_size / 2, shape.intermediate_size, shape.vocab_size / 2];
        let blocks = pairs.into_iter().fold(limits.blocks, usize::min) / DECODE_CLUSTER * DECODE_CLUSTER;
        if blocks < shape.num_key_value_heads.max(1) {
            return Err(format!(
                "{blocks} blocks can share its work, too few for its {} key/value heads",
                shape.num_key_value_heads
            ));
        }
        let new = |rows: usize, inputs: usize| Product::new(rows / 2, inputs, blocks);
        let products = [
            new(qkv, shape.hidden_size),
            new(shape.hidden_size, query),
            new(2 * shape.intermediate_size, shape.hidden_size),
            new(shape.hidden_size, shape.intermediate_size),
            new(shape.vocab_size, shape.hidden_size),
        ];
        // Two places of staged vectors take turns; the second also takes what a team's blocks tell each other.
        let region = |turns: &[usize]| turns.iter().map(|turn| products[*turn].bytes(blocks)).max().unwrap_or(0);
        let (first, second) = (region(&[0, 2, 4]), region(&[1, 3]).max(team_bytes(shape.head_dim)));
        let table = (shape.num_hidden_layers * LAYER_BYTES).next_multiple_of(16);
        let shared_bytes = RING_BYTES + table + attention_bytes(shape.head_dim) + first + second;
        if shared_bytes + STATIC_BYTES > limits.shared_bytes {
            return Err(format!(
                "it needs {shared_bytes} bytes of shared memory a block and the GPU has {}",
                limits.shared_bytes
            ));
        }
        let team = team(shape, blocks);
        let [split_qkv, split_output, split_gate_up, split_down, split_head] = products.map(|product| product.split);
        Ok(Self {
            blocks,
            shared_bytes,
            second_region: first / 16,
            team,
            split_qkv,
            split_output,
            split_gate_up,
            split_down,
            split_head,
        })
    }
}

fn check(shape: &Model, dtype: DType, limits: &Limits) -> Result<(), String> {
    if dtype != DType::BF16 {
        return Err(format!("it computes in bf16, not in {dtype:?}"));
    }
    if !limits.cooperative {
        return Err("the GPU can't launch kernels whose blocks wait for each other".into());
    }
    if !matches!(shape.head_dim, 64 | 128) {
        return Err(format!("its heads have {} values; 64 or 128 are supported", shape.head_dim));
    }
    let group = shape.num_attention_heads / shape.num_key_value_heads;
    if group > GROUP {
        return Err(format!("{group} query heads share a key/value head; at most {GROUP} are supported"));
    }
    let multiples = [("hidden size", shape.hidden_size, 8), ("intermediate size", shape.intermediate_size, 8)];
    for (name, value, of) in multiples.into_iter().chain([("vocabulary", shape.vocab_size, 2)]) {
        if !value.is_multiple_of(of) {
            return Err(format!("its {name} ({value}) is not a multiple of {of}"));
        }
    }
    Ok(())
}

/// A matrix-vector product: pairs of rows, shared out over blocks and there over warps.
#[derive(Debug, Clone, Copy)]
struct Product {
    pairs: usize,
    inputs: usize,
    split: usize,
}

impl Product {
    /// With the smallest split that leaves the busiest warp about as few batches as any does: a greater one costs more
    /// sums.
    fn new(pairs: usize, inputs: usize, blocks: usize) -> Self {
        let batches = |product: &Self| product.rounds(blocks) * product.batches();
        let splits = || (0..=DECODE_WARPS.ilog2()).map(|power| Self { pairs, inputs, split: 1 << power });
        let fewest = splits().map(|product| batches(&product)).min().unwrap_or(0);
        let mut good = splits().filter(|product| batches(product) * 50 <= fewest * 51);
        good.next().unwrap_or(Self { pairs, inputs, split: 1 })
    }

    /// How often each warp of a block takes a new pair.
    fn rounds(&self, blocks: usize) -> usize {
        (self.pairs.div_ceil(blocks) * self.split).div_ceil(DECODE_WARPS)
    }

    /// Steps through a row.
    fn batches(&self) -> usize {
        (self.inputs / 8).div_ceil(WARP * self.split)
    }

    /// Shared memory for the input vector and the warps' sums.
    fn bytes(&self, blocks: usize) -> usize {
        self.batches() * WARP * self.split * 16 + self.rounds(blocks) * DECODE_WARPS * 8
    }
}

/// As many blocks of a cluster as leave one team or more for each key/value head, and share out its outputs evenly.
fn team(shape: &Model, blocks: usize) -> usize {
    let outputs = shape.num_attention_heads / shape.num_key_value_heads * shape.head_dim / 2;
    let fits = |team: &usize| blocks / team >= shape.num_key_value_heads && outputs.is_multiple_of(TOGETHER * team);
    (0..=DECODE_CLUSTER.ilog2()).rev().map(|power| 1 << power).find(fits).unwrap_or(1)
}

/// Shared memory of decode attention: tiles of keys and values (three at a time of small heads, one of large ones), and
/// the queries of a group with the new key and value.
fn attention_bytes(head_dim: usize) -> usize {
    let slots = if head_dim == 64 { 3 } else { 1 };
    let tile = 16 * head_dim * 2;
    DECODE_ATTENTION_WARPS * slots * 2 * tile + (GROUP + 2) * head_dim * 2
}

/// Shared memory of what a team's blocks tell each other: a group's outputs, and each block's maxima and sums.
fn team_bytes(head_dim: usize) -> usize {
    GROUP * (head_dim * 4 + DECODE_CLUSTER * 8)
}

/// Bytes of attention before its parts are merged: a word of eight bytes for two outputs, and two more.
pub fn parts_bytes(shape: &Model, blocks: usize) -> usize {
    shape.num_attention_heads * (blocks / shape.num_key_value_heads) * (shape.head_dim / 2 + 2) * 8
}

/// Bytes of `struct StepState`, rounded up.
pub const STATE_BYTES: usize = 64;
/// Bytes of `struct Best`.
pub const BEST_BYTES: usize = 8;

/// The shape of attention.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Positions that the cache has room for.
    pub max_length: usize,
}

impl AttentionShape {
    pub fn new(shape: &Model, max_length: usize) -> Self {
        Self {
            heads: shape.num_attention_heads,
            kv_heads: shape.num_key_value_heads,
            head_dim: shape.head_dim,
            max_length,
        }
    }

    /// As the kernels take them: heads, key/value heads, values of a head, positions.
    pub fn numbers(&self) -> [i32; 4] {
        [self.heads, self.kv_heads, self.head_dim, self.max_length].map(|number| number as i32)
    }

    /// What turns a product of query and key into a power of two's exponent.
    pub fn scale_log2(&self) -> f32 {
        std::f32::consts::LOG2_E / (self.head_dim as f32).sqrt()
    }
}

/// Prompt tokens in one pass: as many as fill the GPU, within a bounded size of the buffers.
pub fn default_chunk(shape: &Model) -> usize {
    const MOST_BYTES: usize = 640 << 20;
    const MOST_TOKENS: usize = 8192;
    const STEP: usize = 512;
    (MOST_BYTES / (row_values(shape) * 2) / STEP * STEP).clamp(STEP, MOST_TOKENS)
}

/// Values of all prefill buffers for one token.
fn row_values(shape: &Model) -> usize {
    let query = shape.num_attention_heads * shape.head_dim;
    let key = shape.num_key_value_heads * shape.head_dim;
    2 * shape.hidden_size + 3 * query + 2 * key + 3 * shape.intermediate_size
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    const H100: Limits = Limits { blocks: 120, shared_bytes: 232_448, cooperative: true };

    /// A block has no room for the longest vectors (those of the intermediate size) beside its rings and tiles.
    #[test]
    fn models_up_to_32b_fit() {
        for model in models::all() {
            let config = ModelConfig::published(model, 1);
            match DecodePlan::new(&config, DType::BF16, &H100) {
                Ok(plan) => assert!(plan.shared_bytes + STATIC_BYTES <= H100.shared_bytes),
                Err(why) => {
                    assert!(model.num_hidden_layers > 64, "{}: {why}", model.id);
                    assert!(why.contains("shared memory"), "{}: {why}", model.id);
                }
            }
        }
    }

    #[test]
    fn long_rows_are_shared_where_there_are_few() {
        let plan = |id| DecodePlan::new(&ModelConfig::published(models::find(id).unwrap(), 1), DType::BF16, &H100);
        let small = plan("Qwen2.5-0.5B").unwrap();
        assert_eq!((small.split_down, small.split_head), (4, 1), "448 pairs of 4864; 75968 of 896");
        assert_eq!(plan("Qwen2.5-3B").unwrap().split_head, 1, "a little more work a warp, and many fewer sums");
    }

    #[test]
    fn teams_leave_one_for_each_head() {
        let shape = models::find("Qwen2.5-7B").unwrap();
        assert_eq!(team(shape, 120), DECODE_CLUSTER);
        assert_eq!(team(shape, 16), DECODE_CLUSTER.min(4), "four key/value heads");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let config = ModelConfig::published(models::find("Qwen2.5-7B").unwrap(), 1);
        let small = Limits { shared_bytes: 100_000, ..H100 };
        assert!(DecodePlan::new(&config, DType::BF16, &small).unwrap_err().contains("shared memory"));
        assert!(DecodePlan::new(&config, DType::F16, &H100).unwrap_err().contains("bf16"));
        let none = Limits { blocks: 0, ..H100 };
        assert!(DecodePlan::new(&config, DType::BF16, &none).unwrap_err().contains("key/value heads"));
    }
}
