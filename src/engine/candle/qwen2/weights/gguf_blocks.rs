//! Weights of a GGUF file. Matrices stay in its blocks; everything else becomes numbers of the model's type.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{DType, Device, Result, Tensor};

use super::format::{Format, counted};
use super::linear::LinearWeight;
use super::target::Target;
use crate::engine::EngineError;
use crate::engine::candle::qwen2::config::ModelConfig;
use crate::engine::candle::qwen2::gguf::{GgufError, GgufFiles, TensorInfo, TensorTypes, gguf_name};

/// A model's GGUF files, with the tensors that its shape asks for.
pub struct GgufBlocks {
    files: GgufFiles,
    types: TensorTypes,
}

impl GgufBlocks {
    /// Maps the model at `path`, a file or a directory.
    pub fn open(path: &Path, config: &ModelConfig) -> std::result::Result<Self, EngineError> {
        let files = GgufFiles::open(path)?;
        check(&files, config).map_err(|error| files.wrong(error))?;
        let types = TensorTypes::of_file(files.tensors(), config);
        Ok(Self { files, types })
    }

    fn find(&self, name: &str) -> Result<(&TensorInfo, &[u8])> {
        let known = self.files.tensor(&gguf_name(name));
        known.ok_or_else(|| candle_core::Error::Msg(format!("tensor {name} is missing")))
    }
}

impl Format for GgufBlocks {
    fn types(&self) -> Option<&TensorTypes> {
        Some(&self.types)
    }

    fn tensor(&self, name: &str, _: &[usize], target: &Target) -> Result<Tensor> {
        let (info, bytes) = self.find(name)?;
        match dense_type(info.kind) {
            Some(dtype) => Tensor::from_raw_buffer(bytes, dtype, &info.shape, &target.device)?.to_dtype(target.dtype),
            None => dequantized(info.kind, &info.shape, bytes, target),
        }
    }

    fn linear(&self, name: &str, outputs: usize, inputs: usize, target: &Target) -> Result<LinearWeight> {
        let name = format!("{name}.weight");
        let (info, bytes) = self.find(&name)?;
        if dense_type(info.kind).is_some() {
            return self.tensor(&name, &[outputs, inputs], target).map(LinearWeight::Dense);
        }
        let blocks = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, info.kind)?;
        Ok(LinearWeight::Blocks(Arc::new(QTensor::new(blocks, info.shape.clone())?)))
    }

    fn blocks(&self, name: &str, _: usize) -> Result<Cow<'_, [u8]>> {
        Ok(Cow::Borrowed(self.find(&format!("{name}.weight"))?.1))
    }

    fn packings(&self, config: &ModelConfig) -> BTreeMap<String, usize> {
        counted(TensorTypes::of_file(self.files.tensors(), config).names())
    }
}

/// Every tensor of the model is there in its shape, and no other that would change what it computes.
fn check(files: &GgufFiles, config: &ModelConfig) -> std::result::Result<(), GgufError> {
    // A tied model may carry its embedding twice.
    let mut known = BTreeSet::from(["output.weight".to_owned()]);
    for (name, expected) in config.tensors() {
        let tensor = gguf_name(&name);
        let Some((info, _)) = files.tensor(&tensor) else { return Err(GgufError::NoTensor(tensor)) };
        if info.shape != expected {
            return Err(GgufError::Shape { tensor, found: info.shape.clone(), expected });
        }
        known.insert(tensor);
    }
    match files.tensors().find(|(name, _)| !known.contains(*name)) {
        Some((name, _)) => Err(GgufError::Foreign(name.to_owned())),
        None => Ok(()),
    }
}

/// Of tensors that aren't in blocks.
fn dense_type(kind: GgmlDType) -> Option<DType> {
    match kind {
        GgmlDType::F32 => Some(DType::F32),
        GgmlDType::F16 => Some(DType::F16),
        GgmlDType::BF16 => Some(DType::BF16),
        _ => None,
    }
}

/// Piece by piece: the whole of the largest tensor in F32 takes more memory than the model has left over.
pub fn dequantized(kind: GgmlDType, shape: &[usize], bytes: &[u8], target: &Target) -> Result<Tensor> {
    const PIECE: usize = 8 << 20;
    let (block, size) = (kind.block_size(), kind.type_size());
    let place = Tensor::zeros(shape.iter().product::<usize>(), target.dtype, &target.device)?;
    for (index, piece) in bytes.chunks(PIECE / block * size).enumerate() {
        let blocks = QStorage::from_data(Cow::Borrowed(piece), &target.device, kind)?;
        let numbers = QTensor::new(blocks, piece.len() / size * block)?.dequantize(&target.device)?;
        place.slice_set(&numbers.to_dtype(target.dtype)?, 0, index * PIECE)?;
    }
    place.reshape(shape)
}
