//! From one device to another.

use candle_core::{Device, Result, Tensor};

/// `x` on `device`; nothing is copied if it is there already.
pub fn moved(x: &Tensor, device: &Device) -> Result<Tensor> {
    if x.device().same_device(device) {
        return Ok(x.clone());
    }
    let there = x.to_device(device)?;
    #[cfg(feature = "cuda")]
    super::cuda::wait_for(x.device(), device)?;
    Ok(there)
}
