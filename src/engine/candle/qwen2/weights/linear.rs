//! The weight of a linear layer, as its format holds it.

use std::sync::Arc;

use candle_core::quantized::{QStorage, QTensor};
use candle_core::{DType, Device, Result, Tensor};

use super::grouped::Grouped;
use super::target::Target;

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

    /// The same weight on the device of `target`.
    pub fn to_device(&self, target: &Target) -> Result<Self> {
        Ok(match self {
            Self::Dense(matrix) => Self::Dense(matrix.to_device(&target.device)?),
            Self::Grouped(grouped) => Self::Grouped(grouped.to_device(target)?),
            Self::Blocks(blocks) => Self::Blocks(blocks_on(&target.device, blocks)?),
        })
    }
}

fn blocks_on(device: &Device, blocks: &Arc<QTensor>) -> Result<Arc<QTensor>> {
    if blocks.device().same_device(device) {
        return Ok(Arc::clone(blocks));
    }
    let storage = QStorage::from_data(blocks.data()?, device, blocks.dtype())?;
    Ok(Arc::new(QTensor::new(storage, blocks.shape().clone())?))
}
