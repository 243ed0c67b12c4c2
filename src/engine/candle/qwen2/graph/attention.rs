//! Flash attention of a prompt's rows: on compute capability 9.0 with its bulk copies and asynchronous products, else with
//! what every GPU since 8.0 has.
//!
//! `unsafe` here is launching, as in `gpu`, and describing tensors to the driver, which reads nothing of them.

#![expect(unsafe_code, reason = "launches kernels, and describes tensors to the driver")]

use std::ffi::c_void;
use std::sync::Arc;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaStream, DeviceRepr, LaunchConfig, PushKernelArg, sys,
};
use candle_core::{Result, bail};

use super::geometry::{AttentionShape, COMPUTE_CAPABILITY, Rows, allow_shared_bytes, load};
use super::layout::Address;
use super::sizes::PromptBlock;

/// The kernel that this build has for its GPU.
pub enum PromptAttention {
    Portable(CudaFunction),
    Hopper(CudaFunction),
}

/// A chunk's queries, a layer's cache, and where the result goes.
pub struct PromptCache {
    pub shape: AttentionShape,
    /// Rows that `query` and `out` have room for.
    pub chunk: usize,
    pub query: Address,
    pub keys: Address,
    pub values: Address,
    pub out: Address,
}

impl PromptAttention {
    pub fn load(stream: &Arc<CudaStream>, head_dim: usize) -> Result<Self> {
        let function = |image: &[u8], name: &str| load(stream, image)?.load_function(&format!("{name}_{head_dim}")).w();
        if COMPUTE_CAPABILITY == 90 {
            let image = include_bytes!(concat!(env!("OUT_DIR"), "/prefill_attention_90.fatbin"));
            let function = function(image, "prefill_attention_90")?;
            allow_shared_bytes(&function, PromptBlock::HOPPER.shared_bytes(head_dim))?;
            return Ok(Self::Hopper(function));
        }
        let image = include_bytes!(concat!(env!("OUT_DIR"), "/prefill_attention.fatbin"));
        let function = function(image, "prefill_attention")?;
        allow_shared_bytes(&function, PromptBlock::PORTABLE.shared_bytes(head_dim))?;
        Ok(Self::Portable(function))
    }

    pub fn launch(&self, stream: &CudaStream, cache: &PromptCache, rows: Rows) -> Result<()> {
        let [heads, kv_heads, head_dim, max_length] = cache.shape.numbers();
        let (count, start, group) = (rows.count as i32, rows.start as i32, heads / kv_heads);
        let scale = cache.shape.scale_log2;
        let config = |block: PromptBlock| LaunchConfig {
            grid_dim: (heads as u32, rows.count.div_ceil(block.tile) as u32, 1),
            block_dim: (block.threads as u32, 1, 1),
            shared_mem_bytes: block.shared_bytes(head_dim as usize) as u32,
        };
        match self {
            Self::Portable(function) => {
                let mut launch = stream.launch_builder(function);
                launch.arg(&cache.query).arg(&cache.keys).arg(&cache.values).arg(&cache.out).arg(&count).arg(&start);
                launch.arg(&heads).arg(&group).arg(&max_length).arg(&scale);
                // SAFETY: see the module's head.
                unsafe { launch.launch(config(PromptBlock::PORTABLE)) }.w()?;
            }
            Self::Hopper(function) => {
                let maps = Maps::of(cache)?;
                let mut launch = stream.launch_builder(function);
                launch.arg(&maps.query).arg(&maps.keys).arg(&maps.values).arg(&cache.out);
                launch.arg(&count).arg(&start).arg(&heads).arg(&group).arg(&scale);
                // SAFETY: see the module's head.
                unsafe { launch.launch(config(PromptBlock::HOPPER)) }.w()?;
            }
        }
        Ok(())
    }
}

/// A cache's tensors as the bulk copy engine wants them described.
struct Maps {
    query: TensorMap,
    keys: TensorMap,
    values: TensorMap,
}

impl Maps {
    fn of(cache: &PromptCache) -> Result<Self> {
        let AttentionShape { heads, kv_heads, head_dim, max_length, .. } = cache.shape;
        let cached = |address| {
            let outer = [(max_length, head_dim), (kv_heads, max_length * head_dim)];
            TensorMap::new(address, head_dim, outer, [PromptBlock::HOPPER.tile, 1])
        };
        let rows = [(heads, head_dim), (cache.chunk, heads * head_dim)];
        Ok(Self {
            query: TensorMap::new(cache.query, head_dim, rows, [1, PromptBlock::HOPPER.tile])?,
            keys: cached(cache.keys)?,
            values: cached(cache.values)?,
        })
    }
}

/// How the bulk copy engine finds boxes of a three-dimensional bf16 tensor.
#[repr(transparent)]
struct TensorMap(sys::CUtensorMap);

// SAFETY: 128 opaque bytes that the driver filled, as the kernel's parameter expects.
unsafe impl DeviceRepr for TensorMap {}

impl TensorMap {
    /// Of `columns` contiguous values in two more dimensions of (size, distance in values); copied in boxes of 64 columns
    /// by `boxes`.
    fn new(address: Address, columns: usize, outer: [(usize, usize); 2], boxes: [usize; 2]) -> Result<Self> {
        let sizes = [columns as u64, outer[0].0 as u64, outer[1].0 as u64];
        let strides = outer.map(|(_, distance)| (distance * 2) as u64);
        let boxes = [64, boxes[0] as u32, boxes[1] as u32];
        let steps = [1_u32; 3];
        let mut map = std::mem::MaybeUninit::<sys::CUtensorMap>::zeroed();
        // SAFETY: all arrays have the lengths that three dimensions ask for, and the driver fills the map.
        let result = unsafe {
            sys::cuTensorMapEncodeTiled(
                map.as_mut_ptr(),
                sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
                3,
                address.pointer().cast::<c_void>(),
                sizes.as_ptr(),
                strides.as_ptr(),
                boxes.as_ptr(),
                steps.as_ptr(),
                sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
                sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
                sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
            )
        };
        if let Err(error) = result.result() {
            bail!("a tensor can't be described to the GPU: {error}");
        }
        // SAFETY: zeroed, then filled; both are valid for plain bytes.
        Ok(Self(unsafe { map.assume_init() }))
    }
}
