//! Packed weights on the GPU: brought into the decode kernel's order once, and back to bf16, a block of rows at a time, for
//! a prompt's products.
//!
//! `unsafe` here is launching, as in `gpu`.

#![expect(unsafe_code, reason = "launches kernels")]

use std::sync::Arc;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaFunction, CudaStream, LaunchConfig, PushKernelArg};
use candle_core::{DType, Device, Result, Tensor};

use super::decode_plan::Shape;
use super::geometry::{Matrix, load};
use super::layout::Address;
use super::sizes::{ELEMENTWISE_THREADS, Format, MOST_UNPACKED_BYTES};
use crate::engine::candle::qwen2::weights::Grouped;

/// Of one format.
pub struct Packer {
    bits: usize,
    pack: CudaFunction,
    unpack: CudaFunction,
    stream: Arc<CudaStream>,
    /// The rows that are unpacked now.
    rows: Tensor,
}

impl Packer {
    /// `None` for dense weights.
    pub fn load(stream: &Arc<CudaStream>, format: Format, shape: &Shape, device: &Device) -> Result<Option<Self>> {
        let Some(bits) = format.bits() else { return Ok(None) };
        let module = load(stream, include_bytes!(concat!(env!("OUT_DIR"), "/packed.fatbin")))?;
        let function = |name: &str| module.load_function(&format!("{name}_int{bits}")).w();
        let largest =
            shape.products().into_iter().take(4).map(|(rows, inputs)| block_rows(rows, inputs) * inputs).max();
        Ok(Some(Self {
            bits,
            pack: function("pack")?,
            unpack: function("unpack")?,
            stream: stream.clone(),
            rows: Tensor::zeros(largest.unwrap_or(0), DType::BF16, device)?,
        }))
    }

    /// Writes a projection's weights, which are on the device, to rows `first` and following of a matrix whose pairs are `distance` apart.
    pub fn pack(&self, weight: &Grouped, place: &Tensor, first: usize, distance: usize) -> Result<()> {
        let (outputs, width) = weight.codes.dims2()?;
        let inputs = width * 8 / self.bits;
        let [columns, group, first, distance] = [inputs, weight.group, first, distance].map(|number| number as i32);
        let (codes, scales, zeros) =
            (Address::of(&weight.codes)?, Address::of(&weight.scales)?, Address::of(&weight.zeros)?);
        let packed = Address::of(place)?;
        let mut launch = self.stream.launch_builder(&self.pack);
        launch.arg(&codes).arg(&scales).arg(&zeros).arg(&packed).arg(&columns).arg(&group).arg(&first).arg(&distance);
        // SAFETY: see `gpu`. The three tensors may be dropped before the GPU has read them, which is fine: memory is only
        // reused in the stream's order.
        unsafe { launch.launch(self.thread_a_piece(outputs, inputs)) }.w()?;
        Ok(())
    }

    /// Calls `work` with each block of rows of a matrix in bf16: its first row, and the block.
    pub fn each_block(&self, weight: &Matrix, mut work: impl FnMut(usize, &Matrix) -> Result<()>) -> Result<()> {
        let Matrix { outputs, inputs, distance, .. } = *weight;
        let rows = block_rows(outputs, inputs);
        for first in (0..outputs).step_by(rows) {
            let count = rows.min(outputs - first);
            let block = Matrix { address: Address::of(&self.rows)?, outputs: count, inputs, distance };
            self.unpack(weight, first, &block)?;
            work(first, &block)?;
        }
        Ok(())
    }

    fn unpack(&self, weight: &Matrix, first: usize, block: &Matrix) -> Result<()> {
        let [inputs, first, distance] = [weight.inputs, first, weight.distance].map(|number| number as i32);
        let mut launch = self.stream.launch_builder(&self.unpack);
        launch.arg(&weight.address).arg(&block.address).arg(&inputs).arg(&first).arg(&distance);
        // SAFETY: see `gpu`.
        unsafe { launch.launch(self.thread_a_piece(block.outputs, weight.inputs)) }.w()?;
        Ok(())
    }

    /// A thread for each 16 bytes of weights.
    fn thread_a_piece(&self, rows: usize, inputs: usize) -> LaunchConfig {
        let pieces = inputs * self.bits / 8 / 16;
        let blocks = pieces.div_ceil(ELEMENTWISE_THREADS) as u32;
        LaunchConfig {
            grid_dim: (blocks, rows as u32, 1),
            block_dim: (ELEMENTWISE_THREADS as u32, 1, 1),
            shared_mem_bytes: 0,
        }
    }
}

/// Equal blocks, of rows that fill tensor cores' tiles.
fn block_rows(rows: usize, inputs: usize) -> usize {
    const TILE: usize = 256;
    rows.div_ceil((rows * inputs * 2).div_ceil(MOST_UNPACKED_BYTES)).next_multiple_of(TILE).min(rows)
}
