//! Weights that are integers in groups, and what they take.

use crate::case::Quantization;

/// How the weights of linear layers are packed: integers in groups that share a scale and a zero point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// Of an integer.
    pub bits: usize,
    /// Inputs of a group; `None`: all of a layer.
    pub group: Option<usize>,
    /// Also the output projection's, where it isn't the embedding.
    pub head: bool,
}

impl Packing {
    /// As Qwen publishes it.
    pub(super) fn published(quantization: Quantization) -> Option<Self> {
        let bits = match quantization {
            Quantization::None | Quantization::Gguf => return None,
            Quantization::GptqInt4 | Quantization::Awq => 4,
            Quantization::GptqInt8 => 8,
        };
        Some(Self { bits, group: Some(128), head: false })
    }

    /// Inputs of a group in a layer with so many.
    pub fn group_of(self, inputs: usize) -> usize {
        self.group.map_or(inputs, |group| group.min(inputs))
    }

    /// Bytes of a layer's integers, its scales of 16 bits, and its zero points, which have as many bits as a weight.
    pub fn bytes(self, inputs: u64, outputs: u64) -> u64 {
        let (bits, group) = (self.bits as u64, self.group_of(inputs as usize) as u64);
        outputs * (inputs * bits + inputs / group * (16 + bits)) / 8
    }
}
