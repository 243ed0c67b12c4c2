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
use sizes::{DecodeBlock, Format};

/// `bits`: of a layer's weight; 16 are bf16. Fills `plan`, and `parameters` but for the addresses. False, with the reason on stderr, where the model can't be run.
#[unsafe(no_mangle)]
pub extern "C" fn plan_decode(
    capability: u32,
    bits: u32,
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
    match DecodePlan::new(shape, [format, format, format, format, Format::Dense], DecodeBlock::of(capability), limits) {
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
