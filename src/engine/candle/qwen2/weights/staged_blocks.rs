//! GGUF's blocks on their way to a GPU, some at a time, from where they lie in the file.

use std::borrow::Cow;

use candle_core::{DType, Result, Tensor};

use super::target::Target;

/// A matrix in blocks, on the host.
pub struct StagedBlocks<'a> {
    bytes: Cow<'a, [u8]>,
    target: &'a Target,
}

impl<'a> StagedBlocks<'a> {
    /// Of these bytes of a file.
    pub const fn new(bytes: Cow<'a, [u8]>, target: &'a Target) -> Self {
        Self { bytes, target }
    }

    /// As they are in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Pieces of `length` bytes (the last may be shorter), U8 on the device. Each is there until it is dropped.
    pub fn pieces(&self, length: usize) -> impl Iterator<Item = Result<Tensor>> {
        self.bytes.chunks(length).map(|piece| {
            let place = Tensor::zeros(piece.len(), DType::U8, &self.target.device)?;
            self.target.fill(&place, piece, DType::U8)?;
            Ok(place)
        })
    }
}
