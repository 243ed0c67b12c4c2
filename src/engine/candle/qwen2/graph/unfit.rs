//! Why a model can't be launched so. build.rs takes this file too, so it uses nothing but the standard library.

use std::fmt::{self, Display};

use super::sizes::{GROUP, PACKED_GROUP};

/// What of the model, or of the GPU, stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The GPU can't launch kernels whose blocks wait for each other.
    NotCooperative,
    HeadDim(usize),
    /// So many query heads share a key/value head.
    Group(usize),
    NoMultiple {
        name: &'static str,
        value: usize,
        of: usize,
    },
    /// So much is a half, which one of two cards has.
    HalfNoMultiple {
        name: &'static str,
        half: usize,
        of: usize,
    },
    /// Matrices have another type of GGUF than the kernels read.
    Type {
        /// What GGUF calls them.
        part: &'static str,
        kind: &'static str,
    },
    /// The gate and the up projection of a layer have different types.
    GateUp,
    /// Layers are quantized in different ways.
    Mixed,
    /// The output projection is quantized.
    PackedHead,
    /// Weights are sorted by groups of inputs that don't lie together.
    Order,
    /// So many inputs share a scale.
    GroupOfInputs(usize),
    /// Two cards can't have as many each.
    Odd {
        name: &'static str,
        value: usize,
    },
    FewBlocks {
        blocks: usize,
        kv_heads: usize,
    },
    /// Bytes of a block.
    SharedMemory {
        needed: usize,
        available: usize,
    },
}

impl Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCooperative => f.write_str("the GPU can't launch kernels whose blocks wait for each other"),
            Self::HeadDim(values) => write!(f, "its heads have {values} values; 64 or 128 are supported"),
            Self::Group(heads) => {
                write!(f, "{heads} query heads share a key/value head; at most {GROUP} are supported")
            }
            Self::NoMultiple { name, value, of } => write!(f, "its {name} ({value}) is not a multiple of {of}"),
            Self::HalfNoMultiple { name, half, of } => {
                write!(f, "half of its {name} ({half}), which a GPU of two has, is not a multiple of {of}")
            }
            Self::Type { part, kind } => {
                write!(f, "its {part} matrices are {kind}; Q4_0, Q8_0, Q4_K and Q6_K are supported")
            }
            Self::GateUp => f.write_str("its ffn_gate and ffn_up matrices have different types"),
            Self::Mixed => f.write_str("its layers are quantized in different ways"),
            Self::PackedHead => f.write_str("its output projection (lm_head) is quantized"),
            Self::Order => f.write_str("inputs of a group don't lie together (desc_act, g_idx)"),
            Self::GroupOfInputs(inputs) => {
                write!(f, "{inputs} inputs share a scale; only multiples of {PACKED_GROUP} are supported")
            }
            Self::Odd { name, value } => write!(f, "its {name} ({value}) can't be shared out evenly over two GPUs"),
            Self::FewBlocks { blocks, kv_heads } => {
                write!(f, "{blocks} blocks can share its work, too few for its {kv_heads} key/value heads")
            }
            Self::SharedMemory { needed, available } => {
                write!(f, "it needs {needed} bytes of shared memory a block, of {available} at most")
            }
        }
    }
}

impl std::error::Error for Unfit {}
