//! The program's plan of a decode launch for programs that are not Rust: kernels/build makes a static library of this.

#![allow(dead_code, reason = "the engine uses the rest")]

#[path = "../src/engine/candle/qwen2/graph/layout.rs"]
mod layout;
#[path = "../src/engine/candle/qwen2/graph/decode_plan.rs"]
mod decode_plan;
#[path = "../src/engine/candle/qwen2/graph/sizes.rs"]
mod sizes;
#[path = "../src/engine/candle/qwen2/graph/unfit.rs"]
mod unfit;

use layout::DecodeParameters;
use decode_plan::{DecodePlan, Limits, Shape};
use sizes::{DecodeBlock, Format, Kind};

/// `bits`: of a layer's weight; 16 are bf16, and 0 says that matrices are in blocks, of a `kind` or a `better` one. Fills `plan`, and `parameters` but for the addresses. False, with the reason on stderr, where the model can't be run.
#[unsafe(no_mangle)]
pub extern "C" fn plan_decode(
    capability: u32,
    bits: u32,
    kind: u32,
    better: u32,
    shape: &Shape,
    limits: &Limits,
    max_length: usize,
    epsilon: f32,
    plan: &mut DecodePlan,
    parameters: &mut DecodeParameters,
) -> bool {
    let format = match bits {
        4 => Format::Int4,
        8 => Format::Int8,
        _ => Format::Dense,
    };
    let kinds = [Kind::Q4_0, Kind::Q8_0, Kind::Q4K, Kind::Q6K];
    let named = |number: u32| kinds.into_iter().find(|kind| *kind as u32 == number);
    let formats = match named(kind) {
        None => [format, format, format, format, Format::Dense],
        Some(kind) => {
            let better = named(better).unwrap_or(kind);
            [kind, kind, kind, better, better].map(Format::Blocks)
        }
    };
    match DecodePlan::new(shape, formats, DecodeBlock::of(capability), limits) {
        Ok(found) => {
            *plan = found;
            *parameters = found.parameters(shape, max_length, epsilon);
            true
        }
        Err(why) => {
            eprintln!("the decode kernel can't run this: {why}");
            false
        }
    }
}
