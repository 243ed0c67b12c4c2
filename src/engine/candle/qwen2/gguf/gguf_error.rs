//! What can be wrong with a GGUF file, going on from its name.

use crate::engine::candle::qwen2::config_error::ConfigError;

/// Why a GGUF file can't be read, or isn't the model's.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    #[error("is not a GGUF file")]
    NotGguf,
    #[error("is a GGUF file of version {0}; 2 and 3 are read")]
    Version(u32),
    #[error("is a GGUF file for big-endian machines; little-endian ones are read")]
    BigEndian,
    #[error("ends within its header, after {0} bytes")]
    HeaderEnds(usize),
    #[error("has a header of more than {} MB", .0 / 1_000_000)]
    LongHeader(usize),
    #[error("has {count} {what}; at most {most} are read")]
    Many { what: &'static str, count: u64, most: u64 },
    #[error("has a {what} of {length} bytes; at most {most} are read")]
    LongName { what: &'static str, length: u64, most: u64 },
    #[error("has the {what} {name:?} twice")]
    Twice { what: &'static str, name: String },
    #[error("has the unknown type {kind} of metadata at {key:?}")]
    ValueType { key: String, kind: u32 },
    #[error("has lists within a list at {0:?}, which no model has")]
    NestedList(String),
    #[error("has the general.alignment {0}; it must be a power of two from 8 to 65536")]
    Alignment(u64),
    #[error(
        "has the tensor {tensor:?} in {kind}, which is not supported; Q4_0 to Q8_0, Q2_K to Q6_K, F16, BF16 and F32 are"
    )]
    TensorType { tensor: String, kind: String },
    #[error(
        "has the tensor {tensor:?} with the dimensions {dimensions:?}: none may be 0, and rows are whole blocks of {block}"
    )]
    Dimensions { tensor: String, dimensions: Vec<u64>, block: usize },
    #[error("has the tensor {tensor:?} at {offset}, which is no multiple of its alignment {alignment}")]
    Unaligned { tensor: String, offset: u64, alignment: u64 },
    #[error("is cut off: it has {size} bytes, and its tensor {tensor:?} ends at {end}")]
    CutOff { tensor: String, end: u64, size: usize },
    #[error("has the tensors {0:?} and {1:?} in the same place")]
    Overlap(String, String),
    #[error("is part {number} of {count} by its split.no and split.count, and part {place} of {places} by its name")]
    WrongPart { number: u64, count: u64, place: usize, places: usize },
    #[error("and the other parts have {found} tensors; its split.tensors.count is {expected}")]
    PartsMiss { found: usize, expected: u64 },
    #[error("has no {0}")]
    Missing(String),
    #[error("has a {key} that is {value}; {expected}")]
    Value { key: String, value: String, expected: &'static str },
    #[error("says what can't be: {0}")]
    Config(#[from] ConfigError),
    #[error("has {key} = {value}, and {other} says {expected}")]
    Disagrees { key: &'static str, value: String, other: &'static str, expected: String },
    #[error("has no tensor {0:?}")]
    NoTensor(String),
    #[error("has the tensor {0:?}, which no Qwen2 model has")]
    Foreign(String),
    #[error("has the tensor {tensor:?} with the shape {found:?}; the model asks for {expected:?}")]
    Shape { tensor: String, found: Vec<usize>, expected: Vec<usize> },
}

impl GgufError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::HeaderEnds(_) | Self::CutOff { .. } => "download it again",
            Self::WrongPart { .. } => "give it the name that these numbers say, as NAME-00001-of-00003.gguf",
            Self::PartsMiss { .. } => "take all parts from one place",
            Self::TensorType { .. } => "use a file of another quantization, such as q4_k_m or q8_0",
            Self::Disagrees { .. } => "use the files of one model",
            Self::Version(_) | Self::BigEndian => "convert the model again with llama.cpp's convert_hf_to_gguf.py",
            _ => "use a Qwen2.5 model's GGUF file, as llama.cpp writes it",
        }
    }
}
