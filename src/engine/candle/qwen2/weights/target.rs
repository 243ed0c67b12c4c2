//! Where weights go.

#[cfg(feature = "cuda")]
use std::cell::RefCell;

use candle_core::{DType, Device, Result, Tensor};

#[cfg(feature = "cuda")]
use super::staging::Staging;

/// What dense weights become.
pub struct Target {
    pub dtype: DType,
    pub device: Device,
    #[cfg(feature = "cuda")]
    staging: RefCell<Option<Staging>>,
}

impl Target {
    pub fn new(dtype: DType, device: &Device) -> Self {
        Self {
            dtype,
            device: device.clone(),
            #[cfg(feature = "cuda")]
            staging: RefCell::new(None),
        }
    }

    /// Writes the host's `bytes`, numbers of `dtype`, to `place` on the device, in its own type.
    pub fn fill(&self, place: &Tensor, bytes: &[u8], dtype: DType) -> Result<()> {
        #[cfg(feature = "cuda")]
        if self.device.is_cuda() {
            let mut staging = self.staging.borrow_mut();
            let staging = match &mut *staging {
                Some(staging) => staging,
                none => none.insert(Staging::new(&self.device)?),
            };
            return staging.fill(place, bytes, dtype);
        }
        let numbers = Tensor::from_raw_buffer(bytes, dtype, place.dims(), &self.device)?;
        place.slice_set(&numbers.to_dtype(place.dtype())?, 0, 0)
    }
}
