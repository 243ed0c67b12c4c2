//! The KV cache of one layer: allocated once, written in place.

use candle_core::{DType, Device, Result, Tensor};

/// Keys and values, each `[kv_heads, capacity, head_dim]`.
pub struct LayerCache {
    keys: Tensor,
    values: Tensor,
}

impl LayerCache {
    /// An empty one for `capacity` tokens.
    pub fn new(kv_heads: usize, capacity: usize, head_dim: usize, dtype: DType, device: &Device) -> Result<Self> {
        let new = || Tensor::zeros((kv_heads, capacity, head_dim), dtype, device);
        Ok(Self { keys: new()?, values: new()? })
    }

    /// Writes keys and values `[kv_heads, length, head_dim]` behind the first `past` positions; gives all
    /// `past + length` of them, as views.
    pub fn append(&self, keys: &Tensor, values: &Tensor, past: usize) -> Result<(Tensor, Tensor)> {
        let length = past + keys.dim(1)?;
        self.keys.slice_set(&keys.contiguous()?, 1, past)?;
        self.values.slice_set(&values.contiguous()?, 1, past)?;
        Ok((self.keys.narrow(1, 0, length)?, self.values.narrow(1, 0, length)?))
    }
}
