//! The weight of a linear layer, as its format holds it.

use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{DType, Device, Result, Tensor};

use super::grouped::Grouped;

/// A weight `[outputs, inputs]`.
pub enum LinearWeight {
    /// Numbers of the model's type.
    Dense(Tensor),
    /// Integers in groups (GPTQ, AWQ).
    Grouped(Grouped),
    /// GGUF's blocks.
    Blocks(Arc<QTensor>),
}

impl LinearWeight {
    /// The whole matrix in `dtype`, on the device where the weight is. Computed anew unless it is dense.
    pub fn matrix(&self, dtype: DType) -> Result<Tensor> {
        match self {
            Self::Dense(matrix) => matrix.to_dtype(dtype),
            Self::Grouped(grouped) => grouped.matrix(dtype),
            Self::Blocks(blocks) => blocks.dequantize(&blocks.device())?.to_dtype(dtype),
        }
    }

    /// `x` `[tokens, inputs]` times the matrix: `[tokens, outputs]`.
    pub fn product(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(_) | Self::Blocks(_) => x.matmul(&self.matrix(x.dtype())?.t()?),
            Self::Grouped(grouped) => grouped.product(x),
        }
    }

    /// Bytes of a weight that isn't dense.
    pub fn packed_bytes(&self) -> Option<u64> {
        match self {
            Self::Dense(_) => None,
            Self::Grouped(grouped) => Some(grouped.bytes()),
            Self::Blocks(blocks) => Some(blocks.storage_size_in_bytes() as u64),
        }
    }

    /// The same weight on `device`. Blocks stay where they were read to.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        Ok(match self {
            Self::Dense(matrix) => Self::Dense(matrix.to_device(device)?),
            Self::Grouped(grouped) => Self::Grouped(grouped.to_device(device)?),
            Self::Blocks(blocks) => Self::Blocks(blocks.clone()),
        })
    }
}
