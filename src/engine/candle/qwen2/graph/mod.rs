//! The `graph` implementation: Qwen2's forward pass in kernels of our own, for NVIDIA GPUs in bf16.
//!
//! Decoding is one persistent kernel that runs many steps in one launch and chooses the tokens itself; a prompt goes
//! through in chunks, with cuBLAS for its products. Buffers are allocated once, and the host waits once a request.
//!
//! `sizes`, `layout`, `decode_plan`, `parts`, `stamped` and `unpacking` only compute, so their tests run also where there is
//! neither a GPU nor a CUDA toolkit.

#![cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "only tested"))]

#[cfg(test)]
mod build_tests;
mod decode_plan;
#[cfg(test)]
mod decode_plan_tests;
mod formats;
mod graph_error;
#[allow(dead_code, reason = "build/header.rs uses the rest")]
mod layout;
mod parts;
#[allow(dead_code, reason = "build/header.rs uses the rest")]
mod sizes;
mod stamped;
mod unfit;
mod unpacking;

#[cfg(feature = "cuda")]
mod attention;
#[cfg(feature = "cuda")]
mod exchange;
#[cfg(any(feature = "cuda", test))]
mod fitting;
#[cfg(feature = "cuda")]
mod geometry;
#[cfg(feature = "cuda")]
mod gpu;
mod halves;
#[cfg(feature = "cuda")]
mod halves_to_fill;
#[cfg(feature = "cuda")]
mod layers;
#[cfg(feature = "cuda")]
mod packer;
#[cfg(feature = "cuda")]
mod sequence;
#[cfg(feature = "cuda")]
mod stacked;
#[cfg(feature = "cuda")]
mod timing;
#[cfg(feature = "cuda")]
mod two_cards;

pub use graph_error::GraphError;
#[cfg(feature = "cuda")]
pub use sequence::load;
#[cfg(feature = "cuda")]
pub use two_cards::load_on_two;

use decode_plan::{DecodePlan, Limits};
use sizes::{DecodeBlock, Format};

use super::gguf::TensorTypes;
use crate::models::Model;

pub use decode_plan::Shape;
pub use formats::Formats;
pub use unfit::Unfit;

/// The formats of a model's matrices, as far as its shape tells, and the types of a GGUF model's.
pub fn formats(model: &Model, types: Option<&TensorTypes>) -> Result<Formats, Unfit> {
    match (types, model.packing) {
        (Some(types), _) => Formats::of_types(types, model),
        (None, None) => Ok(Formats::uniform(model.num_hidden_layers, Format::Dense)),
        (None, Some(packing)) => Ok(Formats::uniform(model.num_hidden_layers, Format::of_packing(packing, model)?)),
    }
}

/// No GPU that the kernels were built for allows more.
const H100: Limits = Limits { blocks: 120, shared_bytes: 232_448, cooperative: true };

/// Why the kernels can't run a model on so many cards of any kind, as far as its shape tells, and the types of a GGUF model's
/// matrices.
pub fn unfit(model: &Model, types: Option<&TensorTypes>, cards: usize) -> Option<Unfit> {
    let fits = || {
        let formats = formats(model, types)?;
        let whole = Shape::from(model);
        let plan = |shape| DecodePlan::new(&shape, formats.products(), DecodeBlock::of(90), &H100);
        if cards <= 1 { plan(whole) } else { plan(halves::half(&whole)?).map_err(halves::of_a_half) }
    };
    fits().err()
}

/// Bytes that each of so many cards takes for what isn't weights, cache or logits of a sequence of `capacity` tokens.
pub fn buffer_bytes(model: &Model, capacity: usize, cards: usize) -> usize {
    // On two its part of the residual stream, twice: one may still be read while the next is written.
    let parts = if cards > 1 { 2 } else { 0 };
    decode_plan::buffer_bytes(&of_each(model, cards), capacity, parts)
}

/// Bytes that each of so many cards takes for packed weights that are unpacked.
pub fn unpacked_bytes(model: &Model, cards: usize) -> usize {
    unpacking::most_values(&of_each(model, cards)) * size_of::<u16>()
}

/// The sizes of what each of so many cards has.
fn of_each(model: &Model, cards: usize) -> Shape {
    let whole = Shape::from(model);
    if cards > 1 { halves::half(&whole).unwrap_or(whole) } else { whole }
}

impl From<&Model> for Shape {
    fn from(model: &Model) -> Self {
        Self {
            hidden: model.hidden_size,
            intermediate: model.intermediate_size,
            layers: model.num_hidden_layers,
            heads: model.num_attention_heads,
            kv_heads: model.num_key_value_heads,
            head_dim: model.head_dim,
            vocabulary: model.vocab_size,
        }
    }
}
