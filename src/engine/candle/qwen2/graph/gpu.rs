//! The GPU as the graph implementation uses it: the kernels of `kernels/`, products by cuBLAS, and its clock.
//!
//! `unsafe` here (and in `attention`) is launching: the driver can't check that a kernel's arguments are what
//! its source says and that the addresses among them are of live memory of the right size. Each method below repeats one
//! kernel's signature, and takes addresses as `Address`, which only come from tensors that the caller keeps; all work is
//! on candle's one stream, so a tensor that is dropped is only reused by what comes after.

#![expect(unsafe_code, reason = "launches kernels")]

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Instant;

use candle_core::backend::BackendDevice;
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::cublas;
use candle_core::cuda_backend::cudarc::driver::{
    CudaEvent, CudaFunction, CudaModule, CudaStream, LaunchConfig, PushKernelArg, sys,
};
use candle_core::{CudaDevice, DType, Device, Result, Tensor};

use super::attention::{PromptAttention, PromptCache};
use super::decode_plan::{DecodePlan, Limits, Shape};
use super::geometry::{AttentionShape, DECODE_BLOCK, Matrix, Rows, allow_shared_bytes, load};
use super::layout::{Address, DecodeParameters, Peer};
use super::packer::Packer;
use super::sizes::{ELEMENTWISE_THREADS, Ring};

/// Of a block of the element-wise kernels.
const THREADS: u32 = ELEMENTWISE_THREADS as u32;

/// The loaded kernels and the stream they run on.
pub struct Gpu {
    device: CudaDevice,
    stream: Arc<CudaStream>,
    blas: Arc<cublas::CudaBlas>,
    decode: CudaFunction,
    /// Where another card decodes together with this one.
    peer: Option<Peer>,
    embed: CudaFunction,
    norm: CudaFunction,
    rope: CudaFunction,
    silu: CudaFunction,
    sum: CudaFunction,
    begin_decode: CudaFunction,
    stamp: CudaFunction,
    attention: PromptAttention,
    /// Where weights are packed.
    packer: Option<Packer>,
    time: Tensor,
}

impl Gpu {
    /// Loads the kernels for a model.
    pub fn new(device: &Device, shape: &Shape, plan: &DecodePlan) -> Result<Self> {
        let (head_dim, ring) = (shape.head_dim, plan.ring());
        let cuda = device.as_cuda_device()?.clone();
        let stream = cuda.cuda_stream();
        let prefill = load(&stream, include_bytes!(concat!(env!("OUT_DIR"), "/prefill.fatbin")))?;
        let function = |module: &Arc<CudaModule>, name: &str| module.load_function(name).w();
        let decode = decode_function(&stream, head_dim, ring)?;
        allow_shared_bytes(&decode, plan.shared_bytes)?;
        Ok(Self {
            blas: cuda.cublas_handle(),
            decode,
            peer: None,
            embed: function(&prefill, "prefill_embed")?,
            norm: function(&prefill, "prefill_norm")?,
            rope: function(&prefill, "prefill_rope")?,
            silu: function(&prefill, "prefill_silu")?,
            sum: function(&prefill, "prefill_sum")?,
            begin_decode: function(&prefill, "begin_decode")?,
            stamp: function(&prefill, "stamp")?,
            attention: PromptAttention::load(&stream, head_dim)?,
            packer: Packer::load(&stream, ring, shape, device)?,
            time: Tensor::zeros(1, DType::I64, device)?,
            stream,
            device: cuda,
        })
    }

    pub fn synchronize(&self) -> Result<()> {
        self.device.synchronize()
    }

    /// From now on decodes together with another card.
    pub fn pair(&mut self, peer: Peer, shape: &Shape, plan: &DecodePlan) -> Result<()> {
        let dense: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/decode_pair.fatbin"));
        let packed: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/decode_pair_packed.fatbin"));
        let blocks: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/decode_pair_blocks.fatbin"));
        let image = image_of(plan.ring(), [dense, packed, blocks]);
        let name = format!("{}_pair_{}", decode_name(plan.ring()), shape.head_dim);
        self.decode = load(&self.stream, image)?.load_function(&name).w()?;
        self.peer = Some(peer);
        allow_shared_bytes(&self.decode, plan.shared_bytes)
    }

    /// When all that is queued by now is done.
    pub fn queued(&self) -> Result<CudaEvent> {
        self.stream.record_event(None).w()
    }

    /// Runs decode steps, `parameters.steps` of them; the blocks wait for each other, so all must be resident.
    pub fn decode(&self, parameters: &DecodeParameters, plan: &DecodePlan) -> Result<()> {
        self.launch_decode(&self.decode, parameters, plan)
    }

    /// The same by a kernel whose blocks stamp.
    pub fn decode_stamped(&self, kernel: &Stamping, parameters: &DecodeParameters, plan: &DecodePlan) -> Result<()> {
        self.launch_decode(&kernel.0, parameters, plan)
    }

    fn launch_decode(&self, kernel: &CudaFunction, parameters: &DecodeParameters, plan: &DecodePlan) -> Result<()> {
        let config = decode_launch(plan.blocks, plan.shared_bytes);
        let mut launch = self.stream.launch_builder(kernel);
        launch.arg(parameters);
        if let Some(peer) = &self.peer {
            launch.arg(peer);
        }
        // SAFETY: see the module's head.
        unsafe { launch.launch_cooperative(config) }.w()?;
        Ok(())
    }

    /// Loads that kernel, which nothing else needs.
    pub fn stamping(&self, shape: &Shape, plan: &DecodePlan) -> Result<Stamping> {
        let image: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/decode_stamped.fatbin"));
        let name = format!("{}_{}_stamped", decode_name(plan.ring()), shape.head_dim);
        let kernel = load(&self.stream, image)?.load_function(&name).w()?;
        allow_shared_bytes(&kernel, plan.shared_bytes)?;
        Ok(Stamping(kernel))
    }

    /// `x[i] = embedding[tokens[i]]`
    pub fn embed(&self, tokens: Address, count: usize, embedding: Address, x: Address, hidden: usize) -> Result<()> {
        let hidden = hidden as i32;
        let mut launch = self.stream.launch_builder(&self.embed);
        launch.arg(&tokens).arg(&embedding).arg(&x).arg(&hidden);
        // SAFETY: see the module's head.
        unsafe { launch.launch(block_a_row(count)) }.w()?;
        Ok(())
    }

    /// `out = x / rms(x) * weight`, row by row.
    pub fn norm(
        &self,
        x: Address,
        weight: Address,
        epsilon: f32,
        out: Address,
        count: usize,
        hidden: usize,
    ) -> Result<()> {
        let hidden = hidden as i32;
        let mut launch = self.stream.launch_builder(&self.norm);
        launch.arg(&x).arg(&weight).arg(&epsilon).arg(&out).arg(&hidden);
        // SAFETY: see the module's head.
        unsafe { launch.launch(block_a_row(count)) }.w()?;
        Ok(())
    }

    /// Bias and rotary encoding; keys and values go to the cache.
    pub fn rope(&self, qkv: Address, layer: &LayerAddresses, to: &RopeTarget, rows: Rows) -> Result<()> {
        let start = rows.start as i32;
        let [heads, kv_heads, head_dim, max_length] = to.attention.numbers();
        let mut launch = self.stream.launch_builder(&self.rope);
        launch.arg(&qkv).arg(&layer.bias).arg(&to.cosines).arg(&to.sines).arg(&to.query);
        launch.arg(&layer.keys).arg(&layer.values).arg(&start).arg(&heads).arg(&kv_heads).arg(&head_dim);
        launch.arg(&max_length);
        // SAFETY: see the module's head.
        unsafe { launch.launch(block_a_row(rows.count)) }.w()?;
        Ok(())
    }

    /// Causal attention of a chunk's rows over the cache.
    pub fn attention(&self, layer: &PromptCache, rows: Rows) -> Result<()> {
        self.attention.launch(&self.stream, layer, rows)
    }

    /// `out = silu(gate) * up`, where a row of `gate_up` is the gate's then the up projection's.
    pub fn silu(&self, gate_up: Address, out: Address, count: usize, intermediate: usize) -> Result<()> {
        let config = chunk_a_thread(count, intermediate);
        let intermediate = intermediate as i32;
        let mut launch = self.stream.launch_builder(&self.silu);
        launch.arg(&gate_up).arg(&out).arg(&intermediate);
        // SAFETY: see the module's head.
        unsafe { launch.launch(config) }.w()?;
        Ok(())
    }

    /// `x += first + second`, of which one may be on the other card.
    pub fn sum(&self, x: Address, [first, second]: [Address; 2], count: usize, hidden: usize) -> Result<()> {
        let config = chunk_a_thread(count, hidden);
        let hidden = hidden as i32;
        let mut launch = self.stream.launch_builder(&self.sum);
        launch.arg(&x).arg(&first).arg(&second).arg(&hidden);
        // SAFETY: see the module's head.
        unsafe { launch.launch(config) }.w()?;
        Ok(())
    }

    /// Sets the decode loop's scalars; its hidden state becomes `row`, unless that is null.
    pub fn begin_decode(&self, row: Address, parameters: &DecodeParameters, at: Start) -> Result<()> {
        let (position, step) = (at.position as i32, at.step as i32);
        let mut launch = self.stream.launch_builder(&self.begin_decode);
        launch.arg(&row).arg(&parameters.x).arg(&parameters.state).arg(&position).arg(&at.token).arg(&step);
        launch.arg(&parameters.hidden);
        // SAFETY: see the module's head.
        unsafe { launch.launch(block_a_row(1)) }.w()?;
        Ok(())
    }

    /// Of packed weights; `None` where they are dense.
    pub fn packer(&self) -> Option<&Packer> {
        self.packer.as_ref()
    }

    /// `out [count, outputs] = x [count, inputs] * weight [outputs, inputs]^T`, added to `out` where `onto` is set. `weight`:
    /// its parts, one below the other.
    pub fn product(&self, weight: &[Matrix], x: Address, out: Address, count: usize, onto: bool) -> Result<()> {
        let stride = weight.iter().map(|part| part.outputs).sum();
        let mut before = 0;
        for part in weight {
            let columns = |first: usize| Columns { address: out.row(1, before + first), stride };
            match &self.packer {
                None => self.dense_product(part, x, columns(0), count, onto)?,
                Some(packer) => {
                    packer
                        .each_block(part, |first, block| self.dense_product(block, x, columns(first), count, onto))?;
                }
            }
            before += part.outputs;
        }
        Ok(())
    }

    /// The same with some of the columns of `out`.
    fn dense_product(&self, weight: &Matrix, x: Address, out: Columns, count: usize, onto: bool) -> Result<()> {
        use cublas::sys::{cublasComputeType_t, cublasGemmAlgo_t, cublasOperation_t, cudaDataType};
        let (alpha, beta) = (1.0_f32, if onto { 1.0_f32 } else { 0.0 });
        let (outputs, inputs) = (weight.outputs as i32, weight.inputs as i32);
        // Of several cards another may have been the last that was used.
        self.stream.context().bind_to_thread().w()?;
        // cuBLAS counts columns first: to it these are out^T = weight * x^T.
        // SAFETY: the three matrices have the sizes given, by the callers' contract in the module's head.
        unsafe {
            cublas::result::gemm_ex(
                *self.blas.handle(),
                cublasOperation_t::CUBLAS_OP_T,
                cublasOperation_t::CUBLAS_OP_N,
                outputs,
                count as i32,
                inputs,
                (&raw const alpha).cast::<c_void>(),
                weight.address.pointer(),
                cudaDataType::CUDA_R_16BF,
                inputs,
                x.pointer(),
                cudaDataType::CUDA_R_16BF,
                inputs,
                (&raw const beta).cast::<c_void>(),
                out.address.pointer(),
                cudaDataType::CUDA_R_16BF,
                out.stride as i32,
                cublasComputeType_t::CUBLAS_COMPUTE_32F,
                cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        }
        .w()
    }

    /// Runs `work`, which calls its argument after each part that it has queued; the parts with the GPU's time for each, in
    /// seconds.
    pub fn timed<T, R>(
        &self,
        work: impl FnOnce(&mut dyn FnMut(T) -> Result<()>) -> Result<R>,
    ) -> Result<Vec<(T, f64)>> {
        let record = || {
            let flags = sys::CUevent_flags::CU_EVENT_DEFAULT;
            self.stream.record_event(Some(flags)).w()
        };
        let mut last = record()?;
        let mut spans = Vec::new();
        work(&mut |part| {
            let now = record()?;
            spans.push((part, std::mem::replace(&mut last, now)));
            Ok(())
        })?;
        self.synchronize()?;
        let ends: Vec<_> = spans.iter().skip(1).map(|(_, start)| start).chain([&last]).collect();
        let seconds = spans.iter().zip(ends).map(|((_, start), end)| Ok(f64::from(start.elapsed_ms(end).w()?) * 1e-3));
        let seconds = seconds.collect::<Result<Vec<_>>>()?;
        Ok(spans.into_iter().map(|(part, _)| part).zip(seconds).collect())
    }

    /// What the GPU's clock showed when the host's showed `Instant`: the closest of a few round trips.
    pub fn clock(&self) -> Result<DeviceClock> {
        let time = Address::of(&self.time)?;
        let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (1, 1, 1), shared_mem_bytes: 0 };
        let mut best = None;
        for _ in 0..4 {
            self.synchronize()?;
            let sent = Instant::now();
            // SAFETY: see the module's head.
            unsafe { self.stream.launch_builder(&self.stamp).arg(&time).launch(config) }.w()?;
            self.synchronize()?;
            let round_trip = sent.elapsed();
            let device: i64 = self.time.to_vec1()?[0];
            if best.as_ref().is_none_or(|(shortest, _)| round_trip < *shortest) {
                best = Some((round_trip, DeviceClock { host: sent + round_trip / 2, device }));
            }
        }
        best.map(|(_, clock)| clock).ok_or_else(|| candle_core::Error::msg("the GPU's clock can't be read"))
    }
}

/// The decode kernel whose blocks stamp.
pub struct Stamping(CudaFunction);

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct DeviceClock {
    host: Instant,
    device: i64,
}

impl DeviceClock {
    /// From `start` on the host's clock to `device` nanoseconds on the GPU's.
    pub fn since(&self, start: Instant, device: i64) -> std::time::Duration {
        let lead = start.duration_since(self.host).as_nanos() as i64;
        std::time::Duration::from_nanos((device - self.device - lead).max(0) as u64)
    }
}

/// Where decoding goes on.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    pub position: usize,
    pub token: u32,
    pub step: usize,
}

/// Neighbouring columns of a matrix with `stride` of them.
#[derive(Debug, Clone, Copy)]
struct Columns {
    address: Address,
    stride: usize,
}

/// Where a layer's vectors and its cache lie.
#[derive(Debug, Clone, Copy)]
pub struct LayerAddresses {
    pub bias: Address,
    pub keys: Address,
    pub values: Address,
}

/// Where rotated queries go, and by what they are rotated.
#[derive(Debug, Clone, Copy)]
pub struct RopeTarget {
    pub cosines: Address,
    pub sines: Address,
    pub query: Address,
    pub attention: AttentionShape,
}

/// One block of `THREADS` for each of `count` rows.
fn block_a_row(count: usize) -> LaunchConfig {
    LaunchConfig { grid_dim: (count as u32, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 }
}

/// A thread for each eight values of `count` rows.
fn chunk_a_thread(count: usize, values: usize) -> LaunchConfig {
    let blocks = (values / 8).div_ceil(THREADS as usize) as u32;
    LaunchConfig { grid_dim: (blocks, count as u32, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 }
}

fn decode_function(stream: &CudaStream, head_dim: usize, ring: Ring) -> Result<CudaFunction> {
    let dense: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/decode.fatbin"));
    let packed: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/decode_packed.fatbin"));
    let blocks: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/decode_blocks.fatbin"));
    load(stream, image_of(ring, [dense, packed, blocks]))?
        .load_function(&format!("{}_{head_dim}", decode_name(ring)))
        .w()
}

/// That with the kernels of `ring`.
const fn image_of(ring: Ring, [dense, packed, blocks]: [&[u8]; 3]) -> &[u8] {
    match ring {
        Ring::Dense | Ring::ShortDense => dense,
        Ring::Int4 | Ring::Int8 => packed,
        Ring::Blocks | Ring::ShortBlocks => blocks,
    }
}

fn decode_name(ring: Ring) -> &'static str {
    match ring {
        Ring::Dense => "decode",
        Ring::ShortDense => "decode_short",
        Ring::Int4 => "decode_int4",
        Ring::Int8 => "decode_int8",
        Ring::Blocks => "decode_blocks",
        Ring::ShortBlocks => "decode_short_blocks",
    }
}

fn decode_launch(blocks: usize, shared_bytes: usize) -> LaunchConfig {
    LaunchConfig {
        grid_dim: (blocks as u32, 1, 1),
        block_dim: (DECODE_BLOCK.threads() as u32, 1, 1),
        shared_mem_bytes: shared_bytes as u32,
    }
}

/// What the planning needs to know of the device.
pub fn limits(device: &Device) -> Result<Limits> {
    let cuda = device.as_cuda_device()?;
    let stream = cuda.cuda_stream();
    let attribute = |which| stream.context().attribute(which).w();
    use sys::CUdevice_attribute as Attribute;
    let multiprocessors = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)? as usize;
    let shared_bytes = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)? as usize;
    Ok(Limits {
        blocks: if DECODE_BLOCK.cluster == 1 { multiprocessors } else { clustered_blocks(&stream, shared_bytes)? },
        shared_bytes,
        cooperative: attribute(Attribute::CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH)? != 0,
    })
}

/// How many blocks run at once in whole clusters, one on a multiprocessor: a cluster's are neighbours, so that some
/// multiprocessors are left over.
fn clustered_blocks(stream: &CudaStream, shared_bytes: usize) -> Result<usize> {
    // Half of what a block can have and a little more: no second block has room beside it.
    let shared_bytes = shared_bytes / 2 + 2048;
    let decode = decode_function(stream, 64, Ring::Dense)?;
    allow_shared_bytes(&decode, shared_bytes)?;
    let clusters =
        decode.occupancy_max_active_clusters(decode_launch(DECODE_BLOCK.cluster, shared_bytes), stream).w()?;
    Ok(clusters as usize * DECODE_BLOCK.cluster)
}
