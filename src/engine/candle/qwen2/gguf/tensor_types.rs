//! Which type each matrix of a model has, and the bytes that follow from it.

use std::collections::BTreeMap;

use candle_core::quantized::GgmlDType;

use super::gguf_header::TensorInfo;
use super::gguf_type::type_name;
use super::mixture::Mixture;
use super::tensor_names::gguf_name;
use crate::case::Dtype;
use crate::engine::candle::qwen2::config::ModelConfig;

const EMBEDDING: &str = "model.embed_tokens.weight";

/// The types of matrices, by their names in checkpoints. Whatever has one dimension is in F32, and held in the model's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorTypes(BTreeMap<String, GgmlDType>);

impl TensorTypes {
    /// As llama.cpp's quantizer gives them.
    pub fn of_mixture(mixture: Mixture, config: &ModelConfig) -> Self {
        Self::of(config, |name, inputs| Some(mixture.type_of(name, inputs, &config.shape)))
    }

    /// Those of a file.
    pub fn of_file<'a>(tensors: impl Iterator<Item = (&'a str, &'a TensorInfo)>, config: &ModelConfig) -> Self {
        let kinds: BTreeMap<&str, GgmlDType> = tensors.map(|(name, info)| (name, info.kind)).collect();
        Self::of(config, |name, _| kinds.get(name).copied())
    }

    fn of(config: &ModelConfig, kind: impl Fn(&str, usize) -> Option<GgmlDType>) -> Self {
        let typed = |(name, shape): (String, Vec<usize>)| match shape[..] {
            [_, inputs] => Some((name.clone(), kind(&gguf_name(&name), inputs)?)),
            _ => None,
        };
        Self(config.tensors().into_iter().filter_map(typed).collect())
    }

    /// The name of each matrix's type.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.values().map(|kind| type_name(*kind).to_owned())
    }

    /// `None` where the tensor is no matrix.
    pub fn get(&self, name: &str) -> Option<GgmlDType> {
        self.0.get(name).copied()
    }

    /// The type of a tensor that is held in blocks: all quantized ones but the embedding.
    fn blocks(&self, name: &str) -> Option<GgmlDType> {
        self.get(name).filter(|kind| is_blocks(*kind) && name != EMBEDDING)
    }

    /// Bytes of a tensor with so many values, which is held in `dense` if it isn't in blocks.
    pub fn held(&self, name: &str, values: u64, dense: Dtype) -> u64 {
        match self.blocks(name) {
            Some(kind) => values / kind.block_size() as u64 * kind.type_size() as u64,
            None => values * dense.size(),
        }
    }

    /// What isn't in blocks is held in `dense`, and so is the embedding.
    pub fn bytes(&self, config: &ModelConfig, dense: Dtype) -> ModelBytes {
        let mut bytes = ModelBytes::default();
        for (name, shape) in config.tensors() {
            let values = shape.iter().product::<usize>() as u64;
            let (blocks, held) = (self.blocks(&name), self.held(&name, values, dense));
            bytes.held += held;
            bytes.read += if name == EMBEDDING && !config.shape.tie_word_embeddings { 0 } else { held };
            let packed = if blocks.is_some() { values } else { 0 };
            bytes.packed += packed;
            bytes.largest = bytes.largest.max(packed);
            if name.starts_with("model.layers.") {
                bytes.largest_of_layers = bytes.largest_of_layers.max(packed);
            }
        }
        bytes
    }
}

/// What a model takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelBytes {
    /// Bytes of all of it.
    pub held: u64,
    /// Those that a decode step reads: all but an untied embedding.
    pub read: u64,
    /// Values in blocks.
    pub packed: u64,
    /// Values of the largest matrix in blocks.
    pub largest: u64,
    /// The same without the output projection.
    pub largest_of_layers: u64,
}

/// Is it a quantized type?
pub fn is_blocks(kind: GgmlDType) -> bool {
    !matches!(kind, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    /// The published files have 0.49 GB (q4_k_m of 0.5B) and 4.68 GB (of 7B) for all of the model, its vocabulary included.
    #[test]
    fn bytes_are_near_those_of_the_published_files() {
        let bytes = |id: &str| {
            let config = ModelConfig::published(models::find(id).unwrap(), 1);
            let mixture = Mixture::named("q4_k_m").unwrap();
            TensorTypes::of_mixture(mixture, &config).bytes(&config, Dtype::Bf16)
        };
        let embedding = |rows: u64, hidden: u64| rows * hidden * 2;
        let of_7b = bytes("Qwen/Qwen2.5-7B-Instruct-GGUF");
        assert_eq!(of_7b.held - of_7b.read, embedding(152_064, 3584));
        assert_eq!(of_7b.largest, 152_064 * 3584);
        // The file has the embedding in Q4_K.
        let file = of_7b.read + embedding(152_064, 3584) * 144 / 512;
        assert!((4.6e9..4.76e9).contains(&(file as f64)), "{file}");
        let of_half = bytes("Qwen/Qwen2.5-0.5B-Instruct-GGUF");
        assert_eq!(of_half.held, of_half.read);
    }
}
