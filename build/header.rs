//! kernels/'s header `sizes.h`: the sizes that they share with who launches them as macros, and for every struct that
//! crosses an assertion that it has the same bytes on both sides.

use super::decode_plan::{DecodePlan, Limits, Shape};
use super::layout::{Best, DecodeLayer, DecodeParameters, Layout, PairWord, Peer, StepState};
use super::sizes::{DecodeBlock, ELEMENTWISE_THREADS, PromptBlock};

/// The supported heads.
const HEAD_DIMS: [usize; 2] = [64, 128];

/// Of all structs that cross.
const LAYOUTS: [Layout; 9] = [
    DecodeParameters::LAYOUT,
    DecodeLayer::LAYOUT,
    StepState::LAYOUT,
    Best::LAYOUT,
    PairWord::LAYOUT,
    Peer::LAYOUT,
    Shape::LAYOUT,
    Limits::LAYOUT,
    DecodePlan::LAYOUT,
];

/// The header's text for a compute capability, such as 90.
pub fn header(capability: u32) -> String {
    let block = DecodeBlock::of(capability);
    let mut text =
        "// Made by build/header.rs from sizes.rs and layout.rs of src/engine/candle/qwen2/graph/.\n#pragma once\n"
            .to_owned();
    let mut define = |name: &str, value: usize| text += &format!("#define {name} {value}\n");
    define("COMPUTE_CAPABILITY", capability as usize);
    define("ELEMENTWISE_THREADS", ELEMENTWISE_THREADS);
    for (name, value) in block.constants() {
        define(name, value);
    }
    for head_dim in HEAD_DIMS {
        for (name, value) in block.constants_of(head_dim) {
            define(&format!("{name}_{head_dim}"), value);
        }
    }
    for (name, block) in [("PREFILL", PromptBlock::PORTABLE), ("PREFILL_90", PromptBlock::HOPPER)] {
        define(&format!("{name}_THREADS"), block.threads);
        define(&format!("{name}_TILE"), block.tile);
        for head_dim in HEAD_DIMS {
            define(&format!("{name}_BYTES_{head_dim}"), block.shared_bytes(head_dim));
        }
    }
    text + &LAYOUTS.map(|layout| assertion(&layout)).concat()
}

/// `ASSERT_LAYOUT_Name`, to stand behind the struct.
fn assertion(layout: &Layout) -> String {
    let Layout { name, bytes, fields } = layout;
    let fields = fields.iter().map(|(field, offset)| {
        format!(
            "    static_assert(offsetof({name}, {field}) == {offset}, \"layout.rs has {name}.{field} elsewhere\"); \\\n"
        )
    });
    let fields: String = fields.collect();
    format!(
        "#define ASSERT_LAYOUT_{name} \\\n{fields}    static_assert(sizeof({name}) == {bytes}, \"{name} is larger or smaller in layout.rs\")\n"
    )
}
