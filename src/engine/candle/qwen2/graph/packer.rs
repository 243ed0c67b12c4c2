//! Packed weights on the GPU: brought into the decode kernel's order once, and back to bf16, a block of rows at a time, for
//! a prompt's products.
//!
//! `unsafe` here is launching, as in `gpu`.

#![expect(unsafe_code, reason = "launches kernels")]

use std::sync::Arc;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaFunction, CudaStream, LaunchConfig, PushKernelArg};
use candle_core::{DType, Device, Result, Tensor, bail};

use super::decode_plan::Shape;
use super::geometry::{Matrix, load};
use super::layout::Address;
use super::sizes::{ELEMENTWISE_THREADS, Format, Kind, Ring, WARP};
use super::unpacking::{self, MOST_ROWS, block_rows};
use crate::engine::candle::qwen2::weights::{Grouped, StagedBlocks};

/// Of a file's blocks that are on the GPU at a time, beside those that are packed.
const MOST_BLOCK_BYTES: usize = 64 << 20;

pub struct Packer {
    formats: Vec<Functions>,
    stream: Arc<CudaStream>,
    /// The rows that are unpacked now.
    rows: Tensor,
}

/// The kernels of a format.
struct Functions {
    format: Format,
    pack: CudaFunction,
    unpack: CudaFunction,
}

impl Packer {
    /// `None` for dense weights.
    pub fn load(stream: &Arc<CudaStream>, ring: Ring, shape: &Shape, device: &Device) -> Result<Option<Self>> {
        let packed: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/packed.fatbin"));
        let blocks: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/blocks.fatbin"));
        let (image, formats): (_, &[_]) = match ring {
            Ring::Dense | Ring::ShortDense => return Ok(None),
            Ring::Int4 => (packed, &[(Format::Int4, "int4")]),
            Ring::Int8 => (packed, &[(Format::Int8, "int8")]),
            Ring::Blocks | Ring::ShortBlocks => (
                blocks,
                &[
                    (Format::Blocks(Kind::Q4_0), "q4_0"),
                    (Format::Blocks(Kind::Q8_0), "q8_0"),
                    (Format::Blocks(Kind::Q4K), "q4_k"),
                    (Format::Blocks(Kind::Q6K), "q6_k"),
                ],
            ),
        };
        let module = load(stream, image)?;
        let function = |verb: &str, name: &str| module.load_function(&format!("{verb}_{name}")).w();
        let functions = formats.iter().map(|&(format, name)| {
            Ok(Functions { format, pack: function("pack", name)?, unpack: function("unpack", name)? })
        });
        Ok(Some(Self {
            formats: functions.collect::<Result<_>>()?,
            stream: stream.clone(),
            rows: Tensor::zeros(unpacking::most_values(shape), DType::BF16, device)?,
        }))
    }

    /// Writes a projection's weights, which are on the device, to rows `first` and following of `to`.
    pub fn pack(&self, weight: &Grouped, to: &Matrix, first: usize) -> Result<()> {
        let outputs = weight.codes.dim(0)?;
        let [columns, group, first, distance] =
            [to.inputs, weight.group, first, to.distance].map(|number| number as i32);
        let (codes, scales, zeros) =
            (Address::of(&weight.codes)?, Address::of(&weight.scales)?, Address::of(&weight.zeros)?);
        let mut launch = self.stream.launch_builder(&self.functions(to.format)?.pack);
        launch.arg(&codes).arg(&scales).arg(&zeros).arg(&to.address);
        launch.arg(&columns).arg(&group).arg(&first).arg(&distance);
        // SAFETY: see `gpu`. The three tensors may be dropped before the GPU has read them, which is fine: memory is only
        // reused in the stream's order.
        unsafe { launch.launch(thread_a_piece(to.format, outputs, to.inputs)) }.w()?;
        Ok(())
    }

    /// The same of `outputs` rows of blocks on the host, some at a time.
    pub fn pack_blocks(&self, blocks: &StagedBlocks, to: &Matrix, first: usize, outputs: usize) -> Result<()> {
        let (inputs, distance) = (to.inputs as i32, to.distance as i32);
        let row_bytes = blocks.bytes().len() / outputs;
        let rows = (MOST_BLOCK_BYTES / row_bytes).clamp(1, MOST_ROWS);
        for (index, piece) in blocks.pieces(rows * row_bytes).enumerate() {
            let piece = piece?;
            let (from, first) = (Address::of(&piece)?, (first + index * rows) as i32);
            let mut launch = self.stream.launch_builder(&self.functions(to.format)?.pack);
            launch.arg(&from).arg(&to.address).arg(&inputs).arg(&first).arg(&distance);
            // SAFETY: as above.
            unsafe { launch.launch(thread_a_piece(to.format, piece.elem_count() / row_bytes, to.inputs)) }.w()?;
        }
        Ok(())
    }

    /// Calls `work` with each block of rows of a matrix in bf16: its first row, and the block.
    pub fn each_block(&self, weight: &Matrix, mut work: impl FnMut(usize, &Matrix) -> Result<()>) -> Result<()> {
        let Matrix { outputs, inputs, .. } = *weight;
        let rows = block_rows(outputs, inputs);
        for first in (0..outputs).step_by(rows) {
            let count = rows.min(outputs - first);
            let block = Matrix { address: Address::of(&self.rows)?, outputs: count, format: Format::Dense, ..*weight };
            self.unpack(weight, first, &block)?;
            work(first, &block)?;
        }
        Ok(())
    }

    fn unpack(&self, weight: &Matrix, first: usize, block: &Matrix) -> Result<()> {
        let [inputs, first, distance] = [weight.inputs, first, weight.distance].map(|number| number as i32);
        let mut launch = self.stream.launch_builder(&self.functions(weight.format)?.unpack);
        launch.arg(&weight.address).arg(&block.address).arg(&inputs).arg(&first).arg(&distance);
        // SAFETY: see `gpu`.
        unsafe { launch.launch(thread_a_piece(weight.format, block.outputs, weight.inputs)) }.w()?;
        Ok(())
    }

    fn functions(&self, format: Format) -> Result<&Functions> {
        match self.formats.iter().find(|functions| functions.format == format) {
            Some(functions) => Ok(functions),
            None => bail!("no kernels pack {format:?}"),
        }
    }
}

/// A thread for each 16 bytes of weights.
fn thread_a_piece(format: Format, rows: usize, inputs: usize) -> LaunchConfig {
    let pieces = inputs / (format.batch_inputs() / WARP);
    LaunchConfig {
        grid_dim: (pieces.div_ceil(ELEMENTWISE_THREADS) as u32, rows as u32, 1),
        block_dim: (ELEMENTWISE_THREADS as u32, 1, 1),
        shared_mem_bytes: 0,
    }
}
