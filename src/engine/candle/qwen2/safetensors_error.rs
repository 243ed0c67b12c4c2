//! What can be wrong with a safetensors file, going on from its name.

use crate::engine::json_fields::FieldError;
use crate::plural::counted;

/// Why a safetensors file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SafetensorsError {
    #[error("is not a safetensors file (it has {0} bytes)")]
    NotSafetensors(u64),
    #[error("is cut off: it has {size} bytes, and its header alone {header}")]
    HeaderCutOff { size: u64, header: u64 },
    #[error("is cut off: it has {size} of {end} bytes")]
    CutOff { size: u64, end: u64 },
    #[error("has a header that can't be read: {0}")]
    Header(#[from] FieldError),
    #[error("has a tensor with a name of {name} bytes and a shape of {}, as no model has", counted(*dimensions, "number"))]
    Many { name: usize, dimensions: usize },
    #[error("has the tensor {0:?} with data_offsets that aren't its begin and its end")]
    Offsets(String),
    #[error("has the tensor {tensor:?} with {}, and its shape {shape:?} of {dtype} takes another number", counted(*length as usize, "byte"))]
    Length { tensor: String, length: u64, dtype: String, shape: Vec<u64> },
    #[error("has the tensors {0:?} and {1:?} in the same place")]
    Overlap(String, String),
    #[error("has {} before the tensor {tensor:?} that are no tensor's", counted(*bytes as usize, "byte"))]
    Hole { tensor: String, bytes: u64 },
    #[error("has {} at its end that are no tensor's", counted(*.0 as usize, "byte"))]
    Rest(u64),
}

impl SafetensorsError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotSafetensors(_) | Self::HeaderCutOff { .. } | Self::CutOff { .. } | Self::Rest(_) => {
                "download it again"
            }
            _ => "download it again, or save the model anew",
        }
    }
}
