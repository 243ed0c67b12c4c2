//! Which format the kernels use for a model's matrices, if they have one.

use super::sizes::{Format, PACKED_GROUP};
use super::unfit::Unfit;
use crate::case::Quantization;
use crate::engine::candle::qwen2::config::ModelConfig;
use crate::engine::candle::qwen2::weights::Weights;

/// Of the layers' matrices, as `weights` has them.
pub fn format(config: &ModelConfig, weights: &Weights) -> Result<Format, Unfit> {
    if config.shape.quantization == Quantization::Gguf {
        return Err(Unfit::Blocks);
    }
    let Some(grouping) = config.grouping else { return Ok(Format::Dense) };
    if grouping.mixed {
        return Err(Unfit::Mixed);
    }
    if weights.packs_head() {
        return Err(Unfit::PackedHead);
    }
    if weights.reorders_inputs() {
        return Err(Unfit::Order);
    }
    let shape = &config.shape;
    let query = shape.num_attention_heads * shape.head_dim;
    for inputs in [shape.hidden_size, query, shape.intermediate_size] {
        let group = grouping.packing.group_of(inputs);
        if !group.is_multiple_of(PACKED_GROUP) {
            return Err(Unfit::GroupOfInputs(group));
        }
    }
    Ok(if grouping.packing.bits == 4 { Format::Int4 } else { Format::Int8 })
}
