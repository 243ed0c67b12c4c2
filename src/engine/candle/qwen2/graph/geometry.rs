//! What launching any of the kernels takes: what they were compiled for, addresses, and shapes as they want them.
//!
//! `unsafe` here says that types are plain numbers, as kernels' parameters must be.

#![expect(unsafe_code, reason = "says which types are plain numbers")]

use std::ffi::c_void;
use std::sync::Arc;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaFunction, CudaModule, CudaStream, DevicePtr, DeviceRepr, sys};
use candle_core::cuda_backend::cudarc::nvrtc::Ptx;
use candle_core::{DType, Result, Storage, Tensor, bail};
use half::bf16;

use super::decode_plan::Shape;
use super::layout::{Address, DecodeParameters, Peer};
use super::sizes::{DecodeBlock, Format};

/// What this build's kernels are compiled for, such as 90.
pub const COMPUTE_CAPABILITY: u32 = match u32::from_str_radix(env!("BENCH_DIFF_COMPUTE_CAPABILITY"), 10) {
    Ok(capability) => capability,
    Err(_) => panic!("build/kernels.rs sets a number"),
};
pub const DECODE_BLOCK: DecodeBlock = DecodeBlock::of(COMPUTE_CAPABILITY);

// SAFETY: a 64-bit number, as device pointers are.
unsafe impl DeviceRepr for Address {}

impl Address {
    /// Of a contiguous tensor.
    pub fn of(tensor: &Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let Storage::Cuda(storage) = &*storage else { bail!("a tensor of the graph implementation is not on the GPU") };
        if !layout.is_contiguous() {
            bail!("a tensor of the graph implementation is not contiguous");
        }
        let stream = storage.device.cuda_stream();
        let base = match tensor.dtype() {
            DType::BF16 => storage.as_cuda_slice::<bf16>()?.device_ptr(&stream).0,
            DType::F32 => storage.as_cuda_slice::<f32>()?.device_ptr(&stream).0,
            DType::U32 => storage.as_cuda_slice::<u32>()?.device_ptr(&stream).0,
            DType::I64 => storage.as_cuda_slice::<i64>()?.device_ptr(&stream).0,
            DType::U8 => storage.as_cuda_slice::<u8>()?.device_ptr(&stream).0,
            other => bail!("the graph implementation has no {other:?} tensors"),
        };
        Ok(Self(base + (layout.start_offset() * tensor.dtype().size_in_bytes()) as u64))
    }

    /// Row `row` of a bf16 matrix with `columns` columns.
    pub fn row(self, row: usize, columns: usize) -> Self {
        Self(self.0 + (row * columns * size_of::<bf16>()) as u64)
    }

    /// So many bytes further.
    pub fn byte(self, offset: usize) -> Self {
        Self(self.0 + offset as u64)
    }

    pub fn pointer(self) -> *mut c_void {
        self.0 as *mut c_void
    }
}

// SAFETY: `repr(C)`, numbers only; the compiler of the kernels has compared it with their own struct.
unsafe impl DeviceRepr for DecodeParameters {}
// SAFETY: the same.
unsafe impl DeviceRepr for Peer {}

/// A weight matrix, `[outputs, inputs]`, or rows of one.
#[derive(Debug, Clone, Copy)]
pub struct Matrix {
    pub format: Format,
    pub address: Address,
    pub outputs: usize,
    pub inputs: usize,
    /// Between the rows of a pair: packed ones lie together.
    pub distance: usize,
}

/// The rows of a chunk of a prompt and where they stand in the sequence.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    pub count: usize,
    /// Position of the first.
    pub start: usize,
}

/// The shape of attention.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Positions that the cache has room for.
    pub max_length: usize,
    /// See [`Shape::scale_log2`].
    pub scale_log2: f32,
}

impl AttentionShape {
    pub fn new(shape: &Shape, max_length: usize) -> Self {
        Self {
            heads: shape.heads,
            kv_heads: shape.kv_heads,
            head_dim: shape.head_dim,
            max_length,
            scale_log2: shape.scale_log2(),
        }
    }

    /// As the kernels take them: heads, key/value heads, values of a head, positions.
    pub fn numbers(&self) -> [i32; 4] {
        [self.heads, self.kv_heads, self.head_dim, self.max_length].map(|number| number as i32)
    }
}

/// More than 48 KiB of shared memory a block has to be asked for.
pub fn allow_shared_bytes(function: &CudaFunction, bytes: usize) -> Result<()> {
    let limit = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    function.set_attribute(limit, bytes as i32).w()
}

/// The kernels of a compiled source.
pub fn load(stream: &CudaStream, image: &[u8]) -> Result<Arc<CudaModule>> {
    stream.context().load_module(Ptx::from_binary(image.to_vec())).w()
}
