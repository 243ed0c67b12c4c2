//! The GPU: opening it for candle, and its memory pool's high-water mark.
//!
//! `unsafe` here is for calls of the driver that cudarc leaves unchecked: candle's stream is a device's only one, so no
//! events are needed between its tensors; the memory pool lives as long as the device; and its attributes are 64-bit
//! numbers, read and written as such.

#![expect(unsafe_code, reason = "calls the driver")]

use candle_core::cuda_backend::cudarc::driver::{CudaContext, result, sys};
use candle_core::{Device, Error};

use crate::device::{Gpus, Ordinals, uuid_of};
use crate::engine::EngineError;

/// CUDA's numbers of `gpus` in this process, by their UUIDs; `None` where it doesn't tell one.
pub fn ordinals(gpus: &Gpus) -> Option<Ordinals> {
    let Gpus::Known(cards) = gpus else { return None };
    let count = CudaContext::device_count().ok()?;
    let uuids: Vec<Option<String>> = (0..count).map(uuid).collect();
    let place = |uuid: &String| uuids.iter().position(|other| other.as_ref() == Some(uuid));
    cards.iter().map(|card| place(&card.uuid).map(|place| place as u32)).collect()
}

fn uuid(ordinal: i32) -> Option<String> {
    let id = result::device::get_uuid(result::device::get(ordinal).ok()?).ok()?;
    // C's characters are signed on some machines.
    Some(uuid_of(id.bytes.map(|byte| byte.to_ne_bytes()[0])))
}

/// The GPU that CUDA calls `gpu` in this process, with one stream of its own.
pub fn open(gpu: u32) -> Result<Device, EngineError> {
    let device = Device::new_cuda_with_stream(gpu as usize)
        .map_err(|error| EngineError::Failed(format!("GPU {gpu} can't be opened: {error}")))?;
    let cuda = device.as_cuda_device()?;
    // SAFETY: no tensor exists yet, and all of this device will live on this one stream.
    unsafe { cuda.disable_event_tracking() };
    if let Some(pool) = Pool::of(&device) {
        // Freed memory stays in the pool: by default every synchronisation gives it back to the driver.
        pool.set(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, u64::MAX);
    }
    Ok(device)
}

/// What `source` does next waits for all that `target` has to do by now. A copy between the two is done in the target's
/// order: without this, the source could free the memory that is copied, and write into it, too early.
pub fn wait_for(source: &Device, target: &Device) -> candle_core::Result<()> {
    let (source, target) = (source.as_cuda_device()?.cuda_stream(), target.as_cuda_device()?.cuda_stream());
    let copied = target.record_event(None).map_err(Error::wrap)?;
    source.wait(&copied).map_err(Error::wrap)
}

/// Lets each device read and write the other's memory pool; why that is impossible.
pub fn share_memory([first, second]: &[Device; 2]) -> Result<(), String> {
    reach(first, second).and_then(|()| reach(second, first))
}

/// `from` can read and write the memory of `to`.
fn reach(from: &Device, to: &Device) -> Result<(), String> {
    let number = |device: &Device| match device.as_cuda_device() {
        Ok(cuda) => Ok(cuda.cuda_stream().context().cu_device()),
        Err(error) => Err(error.to_string()),
    };
    let (from, owner, mut can) = (number(from)?, number(to)?, 0);
    // SAFETY: both are devices that the driver gave, and it writes a number.
    let asked = unsafe { sys::cuDeviceCanAccessPeer(&raw mut can, from, owner) };
    if asked.result().is_err() || can == 0 {
        return Err(format!("GPU {from} can't reach the memory of GPU {owner}"));
    }
    let pool = Pool::of(to).ok_or_else(|| format!("GPU {owner} has no memory pool to share"))?;
    pool.share_with(from).map_err(|error| format!("GPU {owner} doesn't share its memory with GPU {from}: {error}"))
}

/// Gives back to the driver what loading used and freed: it would count as the model's memory.
pub fn give_back_unused(device: &Device) {
    let Some(pool) = Pool::of(device) else { return };
    pool.trim();
    let mib = |attribute| pool.get(attribute).unwrap_or_default() >> 20;
    tracing::debug!(
        "loaded: the allocator uses {} MiB, used {} MiB at most, and holds {} MiB",
        mib(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT),
        mib(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH),
        mib(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT),
    );
}

/// Most bytes in use since the last reset: candle allocates from the device's default pool.
pub fn peak_used(device: &Device) -> Option<u64> {
    Pool::of(device)?.get(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)
}

pub fn reset_peak(device: &Device) {
    if let Some(pool) = Pool::of(device) {
        pool.set(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0);
    }
}

/// A device's default memory pool; it lives as long as the device.
struct Pool(sys::CUmemoryPool);

impl Pool {
    /// `None` on a CPU, and where the driver has no pools.
    fn of(device: &Device) -> Option<Self> {
        let stream = device.as_cuda_device().ok()?.cuda_stream();
        let context = stream.context();
        if !context.has_async_alloc() {
            return None;
        }
        context.bind_to_thread().ok()?;
        // SAFETY: the device is one that the driver gave.
        unsafe { result::device::get_default_mem_pool(context.cu_device()) }.ok().map(Self)
    }

    fn get(&self, attribute: sys::CUmemPool_attribute) -> Option<u64> {
        let mut value = 0_u64;
        // SAFETY: the pool is valid, and this attribute is a 64-bit number.
        unsafe { result::mem_pool::get_attribute(self.0, attribute, (&raw mut value).cast()) }.ok()?;
        Some(value)
    }

    /// Frees what is not in use.
    fn trim(&self) {
        // SAFETY: the pool is valid.
        if let Err(error) = unsafe { result::mem_pool::trim_to(self.0, 0) } {
            tracing::warn!("the GPU's memory pool can't be trimmed: {error}");
        }
    }

    /// A device, by the driver's number, can read and write what is in the pool, now and later.
    fn share_with(&self, device: sys::CUdevice) -> Result<(), result::DriverError> {
        // SAFETY: numbers, of which zeros are valid.
        let mut access: sys::CUmemAccessDesc = unsafe { std::mem::zeroed() };
        access.location.type_ = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE;
        access.flags = sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
        let number = (&raw mut access.location).cast::<sys::CUdevice>().wrapping_add(1);
        // SAFETY: the number follows the type; in newer headers it is in a union there.
        unsafe { number.write(device) };
        // SAFETY: the pool is valid, and the driver reads one description.
        unsafe { sys::cuMemPoolSetAccess(self.0, &raw const access, 1) }.result()
    }

    /// What a driver refuses stays as it was.
    fn set(&self, attribute: sys::CUmemPool_attribute, mut value: u64) {
        // SAFETY: the pool is valid, and this attribute is a 64-bit number.
        if let Err(error) = unsafe { result::mem_pool::set_attribute(self.0, attribute, (&raw mut value).cast()) } {
            tracing::warn!("the GPU's memory pool refused {attribute:?}: {error}");
        }
    }
}
