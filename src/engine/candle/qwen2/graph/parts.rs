//! The parts of a step: what each must read or compute, and what its kinds of work are.

use super::decode_plan::Shape;
use super::formats::Formats;

/// The kinds of work in a prompt's pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefillPart {
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
    pub const ALL: [Self; 9] = [
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

    pub const fn name(self) -> &'static str {
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

/// Bytes that a decode step reads, over all layers.
pub struct DecodeBytes {
    qkv: f64,
    cache: f64,
    output: f64,
    gate_up: f64,
    down: f64,
    head: f64,
}

impl DecodeBytes {
    /// As the matrices lie in the kernels' memory.
    pub fn new(shape: &Shape, formats: &Formats, context: usize) -> Self {
        let [qkv, output, gate_up, down, head] = formats.bytes(shape).map(|bytes| bytes as f64);
        let cache = (2 * shape.layers * 2 * shape.key() * context) as f64;
        Self { qkv, cache, output, gate_up, down, head }
    }

    /// In the order of a stamped step's parts.
    pub fn by_part(&self) -> [f64; 7] {
        [self.qkv, self.cache, self.output, self.gate_up, self.down, self.head, 0.0]
    }
}

/// Operations of a prefill of `tokens`, over all layers.
pub struct PrefillOperations<'a> {
    tokens: usize,
    shape: &'a Shape,
}

impl<'a> PrefillOperations<'a> {
    pub fn new(shape: &'a Shape, tokens: usize) -> Self {
        Self { tokens, shape }
    }

    pub fn of(&self, part: PrefillPart) -> f64 {
        let shape = self.shape;
        let product =
            |rows: usize, columns: usize| 2.0 * shape.layers as f64 * self.tokens as f64 * rows as f64 * columns as f64;
        match part {
            PrefillPart::Qkv => product(shape.qkv(), shape.hidden),
            PrefillPart::Attention => product(self.tokens, shape.query()),
            PrefillPart::Output => product(shape.hidden, shape.query()),
            PrefillPart::GateUp => product(2 * shape.intermediate, shape.hidden),
            PrefillPart::Down => product(shape.hidden, shape.intermediate),
            PrefillPart::Embedding | PrefillPart::Norm | PrefillPart::Rope | PrefillPart::Silu => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::candle::qwen2::graph::sizes::Format;

    #[test]
    fn the_parts_read_what_a_step_must() {
        let shape = crate::models::find("Qwen2.5-0.5B").unwrap();
        let bytes =
            DecodeBytes::new(&Shape::from(shape), &Formats::uniform(shape.num_hidden_layers, Format::Dense), 1000);
        let weights = bytes.qkv + bytes.output + bytes.gate_up + bytes.down + bytes.head;
        // Biases and norms are left out.
        let all = shape.decode_weight_bytes(crate::case::Dtype::Bf16) as f64;
        assert!(weights < all && weights > 0.999 * all, "{weights} of {all}");
        assert_eq!(bytes.cache, 1000.0 * shape.kv_bytes_per_token(crate::case::Dtype::Bf16) as f64);
    }

    /// The kernel's own layout: what it reads is a little more than the integers and their scales are.
    #[test]
    fn packed_parts_are_counted_as_they_lie() {
        for (id, format) in
            [("Qwen2.5-7B-Instruct-GPTQ-Int4", Format::Int4), ("Qwen2.5-3B-Instruct-GPTQ-Int8", Format::Int8)]
        {
            let shape = crate::models::find(id).unwrap();
            let bytes = DecodeBytes::new(&Shape::from(shape), &Formats::uniform(shape.num_hidden_layers, format), 1);
            let weights = bytes.qkv + bytes.output + bytes.gate_up + bytes.down + bytes.head;
            let all = shape.decode_weight_bytes(crate::case::Dtype::Bf16) as f64;
            assert!(weights > 0.999 * all && weights < 1.025 * all, "{id}: {weights} of {all}");
        }
    }
}
