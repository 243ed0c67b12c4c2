//! What a device can do at most. It shows whether a card got slower, or the code.

use std::time::Instant;

use candle_core::{DType, Device, Tensor};

use super::loading::open_devices;
use crate::case::DeviceKind;
use crate::engine::{EngineError, ModelSpec};
use crate::results::Ceilings;

/// Far more than any cache holds.
const COPY_BYTES: usize = 2 << 30;
/// Rows and columns of a product that keeps every unit of a large card busy.
const PRODUCT_SIDE: usize = 8192;
/// The best of several: a ceiling is what is possible.
const TRIES: usize = 10;

/// Measures the GPU that `spec` names, of several the first: a large copy (every byte is read and written), and a large bf16 matrix product.
///
/// `None` on a CPU, whose caches make such limits meaningless for small models.
pub fn ceilings(spec: &ModelSpec) -> Result<Option<Ceilings>, EngineError> {
    match spec.device {
        DeviceKind::Cpu => Ok(None),
        DeviceKind::Cuda => Ok(Some(measure(&open_devices(spec)?[0], COPY_BYTES, PRODUCT_SIDE, DType::BF16)?)),
    }
}

fn measure(device: &Device, bytes: usize, side: usize, dtype: DType) -> candle_core::Result<Ceilings> {
    let source = Tensor::zeros(bytes / dtype.size_in_bytes(), dtype, device)?;
    let copy = best_seconds(device, || source.copy().map(drop))?;
    drop(source);
    // Random values: a product of equal ones takes less power and runs faster than any real one.
    let factor = Tensor::rand(-1_f32, 1_f32, (side, side), device)?.to_dtype(dtype)?;
    let product = best_seconds(device, || factor.matmul(&factor).map(drop))?;
    Ok(Ceilings {
        bandwidth_gb_s: 2.0 * bytes as f64 / copy / 1e9,
        matmul_tflop_s: 2.0 * (side as f64).powi(3) / product / 1e12,
    })
}

/// The shortest of several tries, after one that doesn't count.
fn best_seconds(device: &Device, mut work: impl FnMut() -> candle_core::Result<()>) -> candle_core::Result<f64> {
    work()?;
    device.synchronize()?;
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        let start = Instant::now();
        work()?;
        device.synchronize()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_device_has_ceilings() {
        let ceilings = measure(&Device::Cpu, 8 << 20, 128, DType::F32).unwrap();
        assert!(ceilings.bandwidth_gb_s > 0.01 && ceilings.bandwidth_gb_s < 10_000.0, "{ceilings:?}");
        assert!(ceilings.matmul_tflop_s > 1e-5 && ceilings.matmul_tflop_s < 100.0, "{ceilings:?}");
    }
}
