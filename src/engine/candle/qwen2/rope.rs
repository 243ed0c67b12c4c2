//! Rotary position encoding: tables of cosine and sine in F32, whatever the model's type.
//!
//! The frequencies are transformers' (`modeling_rope_utils.py`, 5.23), with the same steps in F32: at position 33000
//! the last bit of a frequency is already a visible angle.

use candle_core::{Device, Result, Tensor};

use super::config::{ModelConfig, Yarn};

/// Cosine and sine by position, each `[positions, head_dim / 2]`, F32.
pub struct RopeTables {
    pub cos: Tensor,
    pub sin: Tensor,
}

impl RopeTables {
    /// For positions 0 to `positions` - 1. Angles are computed in F32, as transformers does, their cosines in F64.
    pub fn new(config: &ModelConfig, positions: usize, device: &Device) -> Result<Self> {
        let frequencies = frequencies(config);
        let scale = config.yarn.as_ref().map_or(1.0, |yarn| yarn.attention_factor as f32);
        let angles = (0..positions).flat_map(|position| frequencies.iter().map(move |f| position as f32 * f));
        let (cos, sin): (Vec<f32>, Vec<f32>) = angles
            .map(|angle| {
                let (sin, cos) = f64::from(angle).sin_cos();
                (cos as f32 * scale, sin as f32 * scale)
            })
            .unzip();
        let shape = (positions, frequencies.len());
        Ok(Self { cos: Tensor::from_vec(cos, shape, device)?, sin: Tensor::from_vec(sin, shape, device)? })
    }

    /// The same on `device`.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        Ok(Self { cos: self.cos.to_device(device)?, sin: self.sin.to_device(device)? })
    }

    /// Rotates `x` `[heads, sequence, head_dim]` (F32, contiguous), whose first position is `offset`.
    pub fn apply(&self, x: &Tensor, offset: usize) -> Result<Tensor> {
        let length = x.dim(1)?;
        let cos = self.cos.narrow(0, offset, length)?;
        let sin = self.sin.narrow(0, offset, length)?;
        candle_nn::rotary_emb::rope(&x.unsqueeze(0)?, &cos, &sin)?.squeeze(0)
    }
}

/// Radians a position for each pair of dimensions (the inverse frequencies of the papers).
fn frequencies(config: &ModelConfig) -> Vec<f32> {
    let (dim, theta) = (config.shape.head_dim, config.shape.rope_theta);
    let wavelengths = (0..dim / 2).map(|pair| {
        let exponent = (2 * pair) as f32 / dim as f32;
        f64::from(theta as f32).powf(f64::from(exponent)) as f32
    });
    match &config.yarn {
        None => wavelengths.map(|wavelength| 1.0 / wavelength).collect(),
        Some(yarn) => {
            let (low, high) = interpolated_range(yarn, dim, theta);
            wavelengths
                .enumerate()
                .map(|(pair, wavelength)| {
                    // 0: turns often, keeps its frequency. 1: turns seldom, is stretched by the factor.
                    let stretched = ((pair as f32 - low) / (high - low)).clamp(0.0, 1.0);
                    let kept = 1.0 - stretched;
                    let interpolated = 1.0 / (yarn.factor as f32 * wavelength);
                    interpolated * (1.0 - kept) + 1.0 / wavelength * kept
                })
                .collect()
        }
    }
}

/// The pairs of dimensions between which frequencies go over from kept to stretched.
fn interpolated_range(yarn: &Yarn, dim: usize, theta: f64) -> (f32, f32) {
    // The dimension that turns `rotations` times over the original context.
    let dimension = |rotations: f64| {
        dim as f64 * (yarn.original_max_position / (rotations * 2.0 * std::f64::consts::PI)).ln() / (2.0 * theta.ln())
    };
    let (mut low, mut high) = (dimension(yarn.beta_fast), dimension(yarn.beta_slow));
    if yarn.truncate {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(dim as f64 - 1.0));
    if low == high {
        high += 0.001;
    }
    (low as f32, high as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    /// Qwen2.5's documented YaRN, head_dim 128: pairs up to 23 keep their frequency, from 40 on it is a quarter.
    /// dimension(r) = 128 ln(32768 / (2 pi r)) / (2 ln 1e6): r = 32 gives 23.6, r = 1 gives 39.7.
    #[test]
    fn yarn_stretches_the_slow_dimensions() {
        let model = models::find("Qwen/Qwen2.5-7B-Instruct").unwrap();
        let plain = frequencies(&ModelConfig::published(model, 1));
        let stretched = frequencies(&ModelConfig::published(model, 131_072));
        assert_eq!(plain[..=23], stretched[..=23]);
        assert!(stretched[24] < plain[24]);
        for pair in 40..64 {
            assert!((stretched[pair] * 4.0 / plain[pair] - 1.0).abs() < 1e-6, "pair {pair}");
        }
        // 0.1 ln 4 + 1
        assert!((Yarn::published().attention_factor - 1.138_629_436).abs() < 1e-9);
    }
}
