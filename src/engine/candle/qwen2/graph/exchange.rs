//! What the decode kernel's blocks tell each other through memory, and the state of its loop.

use candle_core::{DType, Device, Result, Tensor};

use super::decode_plan::{DecodePlan, Shape};
use super::layout::{Address, Best, DecodeParameters, HalfWord, PairWord, StepState};

/// The state has a line of the GPU's cache for itself.
const LINE: usize = 64;

/// Named as in kernels/decode.cuh. All zero in the beginning: no value of any layer is there.
pub struct Exchange {
    x: Tensor,
    x1: Tensor,
    x2: Tensor,
    qkv: Tensor,
    attended: Tensor,
    activated: Tensor,
    parts: Tensor,
    bests: Tensor,
    state: Tensor,
    multiprocessors: Tensor,
}

impl Exchange {
    pub fn new(shape: &Shape, plan: &DecodePlan, device: &Device) -> Result<Self> {
        let bytes = |count: usize| Tensor::zeros(count, DType::U8, device);
        let pairs = |values: usize| bytes(values / 2 * size_of::<PairWord>());
        Ok(Self {
            x: Tensor::zeros(shape.hidden, DType::BF16, device)?,
            x1: pairs(shape.hidden)?,
            x2: pairs(shape.hidden)?,
            qkv: pairs(shape.qkv())?,
            attended: pairs(shape.query())?,
            activated: bytes(shape.intermediate * size_of::<HalfWord>())?,
            parts: bytes(plan.parts_bytes)?,
            multiprocessors: Tensor::zeros(plan.blocks, DType::U32, device)?,
            bests: bytes(plan.blocks * size_of::<Best>())?,
            state: bytes(size_of::<StepState>().next_multiple_of(LINE))?,
        })
    }

    /// `parameters` with the addresses of all this.
    pub fn addresses(&self, parameters: DecodeParameters) -> Result<DecodeParameters> {
        Ok(DecodeParameters {
            x: Address::of(&self.x)?,
            x1: Address::of(&self.x1)?,
            x2: Address::of(&self.x2)?,
            qkv: Address::of(&self.qkv)?,
            attended: Address::of(&self.attended)?,
            activated: Address::of(&self.activated)?,
            parts: Address::of(&self.parts)?,
            bests: Address::of(&self.bests)?,
            state: Address::of(&self.state)?,
            multiprocessors: Address::of(&self.multiprocessors)?,
            ..parameters
        })
    }
}
