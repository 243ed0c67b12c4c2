//! Weights of a GGUF file. Matrices stay in its blocks; everything else becomes numbers of the model's type.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{DType, Device, Result, Tensor};

use super::{Format, LinearWeight, Target};
use crate::engine::EngineError;
use crate::engine::candle::qwen2::config::ModelConfig;
use crate::engine::candle::qwen2::gguf::{GgufError, GgufFiles, TensorInfo};

/// The names of a layer's tensors in checkpoints and in GGUF.
const LAYER: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];
/// Those outside of the layers.
const OUTSIDE: [(&str, &str); 3] =
    [("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output")];

/// A model's GGUF files, with the tensors that its shape asks for.
pub struct GgufBlocks {
    files: GgufFiles,
}

impl GgufBlocks {
    /// Maps the model at `path`, a file or a directory.
    pub fn open(path: &Path, config: &ModelConfig) -> std::result::Result<Self, EngineError> {
        let files = GgufFiles::open(path)?;
        check(&files, config).map_err(|error| files.wrong(error))?;
        Ok(Self { files })
    }

    fn find(&self, name: &str) -> Result<(&TensorInfo, &[u8])> {
        let known = self.files.tensor(&gguf_name(name));
        known.ok_or_else(|| candle_core::Error::Msg(format!("tensor {name} is missing")))
    }
}

impl Format for GgufBlocks {
    fn tensor(&self, name: &str, _: &[usize], target: &Target) -> Result<Tensor> {
        let (info, bytes) = self.find(name)?;
        match dense_type(info.kind) {
            Some(dtype) => Tensor::from_raw_buffer(bytes, dtype, &info.shape, &target.device)?.to_dtype(target.dtype),
            None => dequantized(info, bytes, target),
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

/// `model.layers.3.mlp.up_proj.weight` is `blk.3.ffn_up.weight`.
fn gguf_name(name: &str) -> String {
    let renamed = |names: &[(&str, &str)], part: &str| {
        let (place, kind) = part.rsplit_once('.')?;
        let (_, short) = names.iter().find(|(long, _)| *long == place)?;
        Some(format!("{short}.{kind}"))
    };
    let in_layer = name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
    match in_layer {
        Some((index, part)) => renamed(&LAYER, part).map(|part| format!("blk.{index}.{part}")),
        None => renamed(&OUTSIDE, name),
    }
    .unwrap_or_else(|| name.to_owned())
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
fn dequantized(info: &TensorInfo, bytes: &[u8], target: &Target) -> Result<Tensor> {
    const PIECE: usize = 8 << 20;
    let (block, size) = (info.kind.block_size(), info.kind.type_size());
    let place = Tensor::zeros(info.shape.iter().product::<usize>(), target.dtype, &target.device)?;
    for (index, piece) in bytes.chunks(PIECE / block * size).enumerate() {
        let blocks = QStorage::from_data(Cow::Borrowed(piece), &target.device, info.kind)?;
        let numbers = QTensor::new(blocks, piece.len() / size * block)?.dequantize(&target.device)?;
        place.slice_set(&numbers.to_dtype(target.dtype)?, 0, index * PIECE)?;
    }
    place.reshape(info.shape.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    #[test]
    fn every_tensor_has_a_name_in_gguf() {
        let config = ModelConfig::published(models::find("Qwen/Qwen2.5-7B-Instruct").unwrap(), 1);
        let names: BTreeSet<_> = config.tensors().iter().map(|(name, _)| gguf_name(name)).collect();
        assert_eq!(names.len(), config.tensors().len());
        assert!(names.iter().all(|name| !name.starts_with("model.") && !name.contains("_proj")), "{names:?}");
        for name in ["token_embd.weight", "output.weight", "output_norm.weight", "blk.27.attn_q.bias"] {
            assert!(names.contains(name), "{name}");
        }
    }
}
