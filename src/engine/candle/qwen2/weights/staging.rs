//! From the host's memory to a GPU's. All cores copy a piece into memory that the GPU reads by itself (pinned), while it
//! still takes the piece before. From any other memory one thread of the driver copies, at an eighth of that speed.
//!
//! `unsafe` here is for pinned memory, which the driver gives without content.

#![expect(unsafe_code, reason = "allocates pinned memory")]

use std::sync::Arc;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaEvent, CudaStream, PinnedHostSlice};
use candle_core::{DType, Device, Result, Tensor};
use rayon::prelude::*;

/// Bytes that are copied at a time: little beside the smallest model, and enough for all cores.
const PIECE: usize = 16 << 20;
/// Bytes that a core copies of them.
const PART: usize = 512 << 10;
/// Pieces on their way.
const SLOTS: usize = 3;

/// Pinned memory of a few pieces, which take turns.
pub struct Staging {
    device: Device,
    stream: Arc<CudaStream>,
    slots: Vec<Slot>,
    turn: usize,
}

struct Slot {
    memory: PinnedHostSlice<u8>,
    /// When the GPU has read it.
    taken: Option<CudaEvent>,
}

impl Staging {
    pub fn new(device: &Device) -> Result<Self> {
        let stream = device.as_cuda_device()?.cuda_stream();
        let slot = |_| {
            // SAFETY: nothing is read that wasn't written before; see `take`.
            let memory = unsafe { stream.context().alloc_pinned_with_flags(PIECE, 0) }.w()?;
            Ok(Slot { memory, taken: None })
        };
        let slots = (0..SLOTS).map(slot).collect::<Result<Vec<_>>>()?;
        Ok(Self { device: device.clone(), stream, slots, turn: 0 })
    }

    /// Writes `bytes`, numbers of `dtype`, to `place`, in its own type: piece by piece, so that little of the device is
    /// taken beside it.
    pub fn fill(&mut self, place: &Tensor, bytes: &[u8], dtype: DType) -> Result<()> {
        let place = place.flatten_all()?;
        let mut first = 0;
        for piece in bytes.chunks(PIECE) {
            let numbers = self.take(piece, dtype)?.to_dtype(place.dtype())?;
            place.slice_set(&numbers, 0, first)?;
            first += numbers.elem_count();
        }
        Ok(())
    }

    /// A piece on the device.
    fn take(&mut self, piece: &[u8], dtype: DType) -> Result<Tensor> {
        self.turn = (self.turn + 1) % SLOTS;
        let slot = &mut self.slots[self.turn];
        if let Some(taken) = slot.taken.take() {
            taken.synchronize().w()?;
        }
        let memory = &mut slot.memory.as_mut_slice().w()?[..piece.len()];
        memory.par_chunks_mut(PART).zip(piece.par_chunks(PART)).for_each(|(to, from)| to.copy_from_slice(from));
        let tensor = Tensor::from_raw_buffer(memory, dtype, &[piece.len() / dtype.size_in_bytes()], &self.device)?;
        slot.taken = Some(self.stream.record_event(None).w()?);
        Ok(tensor)
    }
}

impl Drop for Staging {
    /// Pinned memory may go when the GPU has read it.
    fn drop(&mut self) {
        if let Err(error) = self.stream.synchronize() {
            tracing::warn!("what was copied last may not have arrived: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    #[test]
    #[ignore = "needs a CUDA GPU: cargo test --features cuda --lib -- --ignored"]
    fn every_piece_arrives_where_it_belongs() {
        let device = Device::new_cuda_with_stream(0).expect("a GPU");
        // More pieces than slots, the last of them short.
        let count = (2 * SLOTS * PIECE + 1000) / 2;
        let number = |index: usize| (index % 2011) as f32;
        let bytes: Vec<u8> = (0..count).flat_map(|index| f16::from_f32(number(index)).to_le_bytes()).collect();
        let all = Tensor::zeros(count + 2, DType::BF16, &device).unwrap();
        Staging::new(&device).unwrap().fill(&all.narrow(0, 1, count).unwrap(), &bytes, DType::F16).unwrap();
        let found: Vec<bf16> = all.to_vec1().unwrap();
        assert!((0..count).all(|index| found[index + 1] == bf16::from_f32(number(index))));
        assert_eq!((found[0], found[count + 1]), (bf16::ZERO, bf16::ZERO));
    }
}
