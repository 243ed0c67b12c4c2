//! Weights as they are: safetensors of floating-point numbers, by the names of the published checkpoints.
//!
//! `unsafe` here is memory-mapping: the files must not be changed while they are read, as for every loader of
//! safetensors. They are only read during loading.

#![expect(unsafe_code, reason = "maps files into memory")]

use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{Result, Tensor};

use super::{Format, Target};
use crate::engine::EngineError;
use crate::engine::candle::candle_error::message;
use crate::engine::candle::qwen2::checkpoint;

/// The safetensors of a directory.
pub struct SafetensorFiles {
    tensors: MmapedSafetensors,
    directory: PathBuf,
}

impl SafetensorFiles {
    /// Maps the files of `directory`, after a look at whether they are whole.
    pub fn open(directory: &Path) -> std::result::Result<Self, EngineError> {
        let files = checkpoint::files(directory)?;
        // SAFETY: see the module's head.
        let tensors = unsafe { MmapedSafetensors::multi(&files) }
            .map_err(|error| EngineError::Failed(format!("weights: {}", message(&error))))?;
        Ok(Self { tensors, directory: directory.to_owned() })
    }
}

impl Format for SafetensorFiles {
    fn tensor(&self, name: &str, shape: &[usize], target: &Target) -> Result<Tensor> {
        let context = |error| candle_core::Error::Msg(format!("{}: tensor {name} {error}", self.directory.display()));
        let view = self.tensors.get(name).map_err(|_| context("is missing".to_owned()))?;
        if view.shape() != shape {
            return Err(context(format!("has the shape {:?}, config.json asks for {shape:?}", view.shape())));
        }
        let tensor = self
            .tensors
            .load(name, &target.device)
            .map_err(|error| context(format!("can't be read: {}", message(&error))))?;
        if !tensor.dtype().is_float() {
            return Err(context(format!("has the type {:?}, expected floating-point numbers", tensor.dtype())));
        }
        tensor.to_dtype(target.dtype)
    }
}
