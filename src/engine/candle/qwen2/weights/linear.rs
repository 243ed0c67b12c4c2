//! The weight of a linear layer, as its format holds it, and the matrix that it stands for.

use std::sync::Arc;

use candle_core::quantized::{QStorage, QTensor};
use candle_core::{D, DType, Device, Result, Tensor};

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

    /// The same weight on `device`.
    pub fn to_device(self, device: &Device) -> Result<Self> {
        Ok(match self {
            Self::Dense(matrix) => Self::Dense(matrix.to_device(device)?),
            Self::Grouped(grouped) => Self::Grouped(grouped.to_device(device)?),
            Self::Blocks(blocks) => Self::Blocks(blocks_on(device, blocks)?),
        })
    }
}

fn blocks_on(device: &Device, blocks: Arc<QTensor>) -> Result<Arc<QTensor>> {
    if blocks.device().same_device(device) {
        return Ok(blocks);
    }
    let storage = QStorage::from_data(blocks.data()?, device, blocks.dtype())?;
    Ok(Arc::new(QTensor::new(storage, blocks.shape().clone())?))
}

/// Integers of 4 or 8 bits. Those of a group share a scale and a zero point:
/// `W[o, i] = scale[o, g] * (code[o, i] - zero[o, g])` where `g = i / group`.
pub struct Grouped {
    /// Of an integer: 4 or 8.
    pub bits: usize,
    /// Inputs of a group.
    pub group: usize,
    /// U8 `[outputs, inputs * bits / 8]`; the earlier input in the lower bits.
    pub codes: Tensor,
    /// F32 `[outputs, inputs / group]`: numbers of the file's type.
    pub scales: Tensor,
    /// U8 `[outputs, inputs / group]`.
    pub zeros: Tensor,
    /// U32 `[inputs]`: the input that a column of `codes` belongs to, where they don't lie in the order of inputs.
    pub order: Option<Tensor>,
}

impl Grouped {
    /// The formula above, in F32.
    fn matrix(&self, dtype: DType) -> Result<Tensor> {
        let codes = self.integers()?;
        let (outputs, inputs) = codes.dims2()?;
        let groups = inputs / self.group;
        let codes = codes.reshape((outputs, groups, self.group))?;
        let zeros = self.zeros.to_dtype(DType::F32)?.unsqueeze(D::Minus1)?;
        let matrix = codes.broadcast_sub(&zeros)?.broadcast_mul(&self.scales.unsqueeze(D::Minus1)?)?;
        let matrix = matrix.reshape((outputs, inputs))?.to_dtype(dtype)?;
        match &self.order {
            None => Ok(matrix),
            Some(order) => matrix.index_select(&order.arg_sort_last_dim(true)?, 1),
        }
    }

    /// F32 `[outputs, inputs]`
    fn integers(&self) -> Result<Tensor> {
        let bytes = self.codes.to_dtype(DType::F32)?;
        if self.bits == 8 {
            return Ok(bytes);
        }
        let high = (&bytes / 16.0)?.floor()?;
        let low = (&bytes - (&high * 16.0)?)?;
        Tensor::stack(&[low, high], D::Minus1)?.flatten_from(1)
    }

    fn to_device(&self, device: &Device) -> Result<Self> {
        Ok(Self {
            bits: self.bits,
            group: self.group,
            codes: self.codes.to_device(device)?,
            scales: self.scales.to_device(device)?,
            zeros: self.zeros.to_device(device)?,
            order: self.order.as_ref().map(|order| order.to_device(device)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two outputs, four inputs in two groups, whose columns lie in another order.
    #[test]
    fn integers_become_the_numbers_of_the_formula() {
        let cpu = Device::Cpu;
        let tensor = |values: &[f32]| Tensor::from_slice(values, (2, 2), &cpu).unwrap();
        let grouped = Grouped {
            bits: 4,
            group: 2,
            codes: Tensor::from_slice(&[0x21_u8, 0x43, 0xF0, 0x88], (2, 2), &cpu).unwrap(),
            scales: tensor(&[1.0, 0.5, 2.0, 0.25]),
            zeros: Tensor::from_slice(&[1_u8, 4, 8, 16], (2, 2), &cpu).unwrap(),
            order: None,
        };
        let matrix = |grouped: &Grouped| grouped.matrix(DType::F32).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(matrix(&grouped), [[0.0, 1.0, -0.5, 0.0], [-16.0, 14.0, -2.0, -2.0]]);
        let order = Some(Tensor::from_slice(&[2_u32, 0, 3, 1], 4, &cpu).unwrap());
        assert_eq!(matrix(&Grouped { order, ..grouped }), [[1.0, 0.0, 0.0, -0.5], [14.0, -2.0, -16.0, -2.0]]);
    }
}
