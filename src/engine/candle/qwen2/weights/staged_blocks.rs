//! GGUF's blocks on their way to a GPU, some at a time, from where they lie in the file.

use std::borrow::Cow;

use candle_core::{DType, Result, Tensor};

use super::target::Target;

/// A matrix in blocks, on the host.
pub struct StagedBlocks<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) target: &'a Target,
}

impl StagedBlocks<'_> {
    /// How many there are.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
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
