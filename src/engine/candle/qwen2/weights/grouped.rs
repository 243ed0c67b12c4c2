//! Integers in groups, and the matrix that they stand for.

use std::ops::Deref;

use candle_core::{D, DType, Device, Layout, Result, Storage, Tensor, WithDType, bail};
use rayon::prelude::*;

use super::target::Target;

/// Values that are unpacked at a time, so that a product never holds a whole large matrix: 1 MiB on a CPU, whose cache
/// may hold them, and 64 MiB on a GPU.
const CPU_BLOCK: usize = 1 << 18;
const CUDA_BLOCK: usize = 1 << 24;

/// Integers of 4 or 8 bits. Those of a group share a scale and a zero point:
/// `W[o, i] = scale[o, g] * (code[o, i] - zero[o, g])` where `g = i / group`.
pub struct Grouped {
    /// Of an integer: 4 or 8.
    pub bits: usize,
    /// Inputs of a group: a multiple of 8.
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
    /// The whole matrix.
    pub fn matrix(&self, dtype: DType) -> Result<Tensor> {
        let matrix = self.rows(0, self.outputs())?.to_dtype(dtype)?;
        match &self.order {
            None => Ok(matrix),
            Some(order) => matrix.index_select(&inverse(order)?, 1),
        }
    }

    /// `x` `[tokens, inputs]` times the matrix, some outputs at a time: `[tokens, outputs]`.
    pub fn product(&self, x: &Tensor) -> Result<Tensor> {
        let block = if x.device().is_cpu() { CPU_BLOCK } else { CUDA_BLOCK };
        let outputs = self.outputs();
        let rows = (block / x.dim(D::Minus1)?).max(1);
        // The integers' columns have an order: it is cheaper to turn the vectors.
        let x = self.order.as_ref().map_or_else(|| Ok(x.clone()), |order| x.index_select(order, 1))?;
        let parts = (0..outputs).step_by(rows).map(|first| {
            let matrix = self.rows(first, rows.min(outputs - first))?.to_dtype(x.dtype())?;
            x.matmul(&matrix.t()?)
        });
        Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 1)
    }

    /// Bytes of the integers, of scales in 16 bits, and of zero points with as many bits as an integer: what has to be
    /// read to use them, whatever lies around them here.
    pub fn bytes(&self) -> u64 {
        (self.codes.elem_count() + self.scales.elem_count() * (16 + self.bits) / 8) as u64
    }

    pub fn to_device(&self, target: &Target) -> Result<Self> {
        let device = &target.device;
        Ok(Self {
            bits: self.bits,
            group: self.group,
            codes: on_device(&self.codes, target)?,
            scales: self.scales.to_device(device)?,
            zeros: self.zeros.to_device(device)?,
            order: self.order.as_ref().map(|order| order.to_device(device)).transpose()?,
        })
    }

    fn outputs(&self) -> usize {
        self.codes.dims().first().copied().unwrap_or(0)
    }

    /// The formula above for `count` outputs, in F32 and in the integers' order.
    fn rows(&self, first: usize, count: usize) -> Result<Tensor> {
        let narrow = |tensor: &Tensor| tensor.narrow(0, first, count);
        let rows = Rows {
            bits: self.bits,
            group: self.group,
            codes: narrow(&self.codes)?,
            scales: narrow(&self.scales)?,
            zeros: narrow(&self.zeros)?,
        };
        if self.codes.device().is_cpu() { rows.on_cpu() } else { rows.by_operations() }
    }
}

/// Some outputs of the integers.
struct Rows {
    bits: usize,
    group: usize,
    codes: Tensor,
    scales: Tensor,
    zeros: Tensor,
}

impl Rows {
    /// By candle's operations, on any device.
    fn by_operations(&self) -> Result<Tensor> {
        let codes = self.integers()?;
        let (outputs, inputs) = codes.dims2()?;
        let codes = codes.reshape((outputs, inputs / self.group, self.group))?;
        let zeros = self.zeros.to_dtype(DType::F32)?.unsqueeze(D::Minus1)?;
        let matrix = codes.broadcast_sub(&zeros)?.broadcast_mul(&self.scales.unsqueeze(D::Minus1)?)?;
        matrix.reshape((outputs, inputs))
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

    /// The same in one pass, which on a CPU is many times faster.
    fn on_cpu(&self) -> Result<Tensor> {
        let (outputs, groups) = self.scales.dims2()?;
        let inputs = groups * self.group;
        let mut matrix = vec![0.0; outputs * inputs];
        let (codes, scales, zeros) =
            (self.codes.storage_and_layout(), self.scales.storage_and_layout(), self.zeros.storage_and_layout());
        let codes = values::<u8>(&codes)?.par_chunks(self.group * self.bits / 8);
        let groups =
            matrix.par_chunks_mut(self.group).zip(codes).zip(values::<f32>(&scales)?).zip(values::<u8>(&zeros)?);
        let unpack = if self.bits == 4 { unpack_4 } else { unpack_8 };
        groups.with_min_len(64).for_each(|(((group, codes), scale), zero)| {
            unpack(group, codes, *scale, f32::from(*zero));
        });
        Tensor::from_vec(matrix, (outputs, inputs), &Device::Cpu)
    }
}

fn unpack_4(group: &mut [f32], codes: &[u8], scale: f32, zero: f32) {
    for (pair, byte) in group.chunks_exact_mut(2).zip(codes) {
        pair[0] = scale * (f32::from(byte & 15) - zero);
        pair[1] = scale * (f32::from(byte >> 4) - zero);
    }
}

fn unpack_8(group: &mut [f32], codes: &[u8], scale: f32, zero: f32) {
    for (value, code) in group.iter_mut().zip(codes) {
        *value = scale * (f32::from(*code) - zero);
    }
}

/// The values of a contiguous tensor on the CPU.
fn values<'a, T: WithDType>((storage, layout): &'a (impl Deref<Target = Storage>, &Layout)) -> Result<&'a [T]> {
    match (&**storage, layout.contiguous_offsets()) {
        (Storage::Cpu(storage), Some((start, end))) => Ok(&storage.as_slice::<T>()?[start..end]),
        _ => bail!("not in one piece on the CPU"),
    }
}

/// Bytes that are on the CPU, on the device of `target`: most of what a model has.
fn on_device(bytes: &Tensor, target: &Target) -> Result<Tensor> {
    if target.device.is_cpu() {
        return Ok(bytes.clone());
    }
    let place = Tensor::zeros(bytes.dims(), DType::U8, &target.device)?;
    target.fill(&place, values(&bytes.storage_and_layout())?, DType::U8)?;
    Ok(place)
}

/// Where each input's column is.
fn inverse(order: &Tensor) -> Result<Tensor> {
    let inputs: Vec<u32> = order.to_vec1()?;
    let mut columns: Vec<u32> = (0..inputs.len() as u32).collect();
    columns.sort_by_key(|column| inputs[*column as usize]);
    Tensor::new(columns, order.device())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two outputs, 16 inputs in two groups, whose columns lie in another order.
    fn grouped(bits: usize) -> Grouped {
        let cpu = Device::Cpu;
        let columns: Vec<u8> = (0..32 * bits as u32 / 8).map(|byte| (byte * 37 + 11) as u8).collect();
        let order: Vec<u32> = (0..16).map(|column| column * 5 % 16).collect();
        Grouped {
            bits,
            group: 8,
            codes: Tensor::from_vec(columns, (2, 2 * bits), &cpu).unwrap(),
            scales: Tensor::from_slice(&[1.0_f32, 0.5, 2.0, 0.25], (2, 2), &cpu).unwrap(),
            zeros: Tensor::from_slice(&[1_u8, 4, 8, 16], (2, 2), &cpu).unwrap(),
            order: Some(Tensor::from_vec(order, 16, &cpu).unwrap()),
        }
    }

    /// By hand: the formula, code by code.
    fn expected(grouped: &Grouped) -> Vec<Vec<f32>> {
        let codes: Vec<Vec<u8>> = grouped.codes.to_vec2().unwrap();
        let scales: Vec<Vec<f32>> = grouped.scales.to_vec2().unwrap();
        let zeros: Vec<Vec<u8>> = grouped.zeros.to_vec2().unwrap();
        let mut matrix = vec![vec![f32::NAN; 16]; 2];
        for (output, row) in matrix.iter_mut().enumerate() {
            for column in 0..16 {
                let code = match grouped.bits {
                    8 => codes[output][column],
                    _ => codes[output][column / 2] >> (4 * (column % 2)) & 15,
                };
                let (scale, zero) = (scales[output][column / 8], zeros[output][column / 8]);
                row[column * 5 % 16] = scale * (f32::from(code) - f32::from(zero));
            }
        }
        matrix
    }

    #[test]
    fn integers_become_the_numbers_of_the_formula() {
        for bits in [4, 8] {
            let grouped = grouped(bits);
            let matrix = grouped.matrix(DType::F32).unwrap();
            assert_eq!(matrix.to_vec2::<f32>().unwrap(), expected(&grouped), "{bits} bits");
            let x = Tensor::eye(16, DType::F32, &Device::Cpu).unwrap();
            let product = grouped.product(&x).unwrap().t().unwrap();
            assert_eq!(product.to_vec2::<f32>().unwrap(), expected(&grouped), "{bits} bits");
        }
    }

    /// What a GPU runs, here on the CPU.
    #[test]
    fn operations_find_the_same_numbers() {
        for bits in [4, 8] {
            let Grouped { group, codes, scales, zeros, .. } = grouped(bits);
            let rows = Rows { bits, group, codes, scales, zeros };
            let values = |matrix: Result<Tensor>| matrix.unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(values(rows.by_operations()), values(rows.on_cpu()), "{bits} bits");
        }
    }
}
