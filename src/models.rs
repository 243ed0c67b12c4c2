//! The 42 models of the Qwen2.5 collection: ids, shapes, and what follows from a shape.
//!
//! The numbers are those of the published config.json files.

mod checkpoint_size;
mod packing;

use std::sync::LazyLock;

pub use self::packing::Packing;
use crate::case::{Dtype, Quantization};

/// A model's id and shape: one of the collection, or a directory's.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The hub's id, such as `Qwen/Qwen2.5-0.5B-Instruct`.
    pub id: String,
    /// How the published weights are quantized.
    pub quantization: Quantization,
    /// Of weights that are integers in groups; `None` for others.
    pub packing: Option<Packing>,
    /// The type of the published weights; `None` for GGUF, where each file has its own.
    pub torch_dtype: Option<Dtype>,
    /// Values of a token between layers.
    pub hidden_size: usize,
    /// Values of a token inside the MLP.
    pub intermediate_size: usize,
    /// Layers, each attention and an MLP.
    pub num_hidden_layers: usize,
    /// Query heads of a layer.
    pub num_attention_heads: usize,
    /// Key and value heads of a layer: several query heads share one (GQA, arXiv 2305.13245).
    pub num_key_value_heads: usize,
    /// Values of a token in one head.
    pub head_dim: usize,
    /// Rows of the embedding: token ids are below it.
    pub vocab_size: usize,
    /// The embedding is also the output projection.
    pub tie_word_embeddings: bool,
    /// Tokens without a stretched (YaRN) position encoding.
    pub max_position_embeddings: usize,
    /// Base of the rotation's frequencies (RoPE, arXiv 2104.09864).
    pub rope_theta: f64,
    /// What is added to the mean square before its root is taken (RMSNorm, arXiv 1910.07467).
    pub rms_norm_eps: f64,
}

/// The Instruct model of each size; the other five variants differ little from it (see [`variant`]).
struct Size {
    name: &'static str,
    hidden: usize,
    intermediate: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    vocab: usize,
    tied: bool,
    base_max_position: usize,
    base_eps: f64,
}

#[rustfmt::skip]
const SIZES: [Size; 7] = [
    Size { name: "0.5B", hidden:  896, intermediate:  4864, layers: 24, heads: 14, kv_heads: 2, head_dim:  64, vocab: 151_936, tied: true,  base_max_position:  32_768, base_eps: 1e-6 },
    Size { name: "1.5B", hidden: 1536, intermediate:  8960, layers: 28, heads: 12, kv_heads: 2, head_dim: 128, vocab: 151_936, tied: true,  base_max_position: 131_072, base_eps: 1e-6 },
    Size { name: "3B",   hidden: 2048, intermediate: 11008, layers: 36, heads: 16, kv_heads: 2, head_dim: 128, vocab: 151_936, tied: true,  base_max_position:  32_768, base_eps: 1e-6 },
    Size { name: "7B",   hidden: 3584, intermediate: 18944, layers: 28, heads: 28, kv_heads: 4, head_dim: 128, vocab: 152_064, tied: false, base_max_position: 131_072, base_eps: 1e-6 },
    Size { name: "14B",  hidden: 5120, intermediate: 13824, layers: 48, heads: 40, kv_heads: 8, head_dim: 128, vocab: 152_064, tied: false, base_max_position: 131_072, base_eps: 1e-5 },
    Size { name: "32B",  hidden: 5120, intermediate: 27648, layers: 64, heads: 40, kv_heads: 8, head_dim: 128, vocab: 152_064, tied: false, base_max_position: 131_072, base_eps: 1e-5 },
    Size { name: "72B",  hidden: 8192, intermediate: 29568, layers: 80, heads: 64, kv_heads: 8, head_dim: 128, vocab: 152_064, tied: false, base_max_position: 131_072, base_eps: 1e-5 },
];

/// The suffix of each variant's id, its quantization and the type of its weights.
const VARIANTS: [(&str, Quantization, Option<Dtype>); 6] = [
    ("", Quantization::None, Some(Dtype::Bf16)),
    ("-Instruct", Quantization::None, Some(Dtype::Bf16)),
    ("-Instruct-GPTQ-Int4", Quantization::GptqInt4, Some(Dtype::F16)),
    ("-Instruct-GPTQ-Int8", Quantization::GptqInt8, Some(Dtype::F16)),
    ("-Instruct-AWQ", Quantization::Awq, Some(Dtype::F16)),
    ("-Instruct-GGUF", Quantization::Gguf, None),
];

static MODELS: LazyLock<Vec<Model>> = LazyLock::new(|| {
    SIZES
        .iter()
        .flat_map(|size| {
            VARIANTS.iter().map(move |&(suffix, quantization, dtype)| variant(size, suffix, quantization, dtype))
        })
        .collect()
});

fn variant(size: &Size, suffix: &str, quantization: Quantization, torch_dtype: Option<Dtype>) -> Model {
    let base = suffix.is_empty();
    // The group-quantized 72B checkpoints are padded with zeros to a multiple of the group.
    let padded = size.name == "72B" && !matches!(quantization, Quantization::None | Quantization::Gguf);
    Model {
        id: format!("Qwen/Qwen2.5-{}{suffix}", size.name),
        quantization,
        packing: Packing::published(quantization),
        torch_dtype,
        hidden_size: size.hidden,
        intermediate_size: if padded { 29_696 } else { size.intermediate },
        num_hidden_layers: size.layers,
        num_attention_heads: size.heads,
        num_key_value_heads: size.kv_heads,
        head_dim: size.head_dim,
        vocab_size: size.vocab,
        tie_word_embeddings: size.tied,
        max_position_embeddings: if base { size.base_max_position } else { 32_768 },
        rope_theta: 1e6,
        rms_norm_eps: if base { size.base_eps } else { 1e-6 },
    }
}

/// Every model of the collection, small to large.
pub fn all() -> &'static [Model] {
    &MODELS
}

/// The model with the hub's `id`; `Qwen/` may be left out.
pub fn find(id: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.id == id || model.id.strip_prefix("Qwen/") == Some(id))
}

/// How the name of a model, or of its directory, says that the weights are quantized: the collection's do, and copies of
/// them are named alike.
pub fn quantization_in_name(name: &str) -> Option<Quantization> {
    let name = name.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let quantized = |(suffix, quantization, _): &&(&str, Quantization, _)| {
        let ending = suffix.strip_prefix("-Instruct").unwrap_or_default();
        *quantization != Quantization::None && name.ends_with(ending)
    };
    match find(name) {
        Some(model) => Some(model.quantization),
        None => VARIANTS.iter().find(quantized).map(|(_, quantization, _)| *quantization),
    }
}

impl Dtype {
    /// Bytes of one value.
    pub fn size(self) -> u64 {
        match self {
            Self::Bf16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

impl Model {
    /// Values of all query heads of a token: `num_attention_heads x head_dim`.
    pub fn query_values(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Values of all key heads of a token, or of all value heads: `num_key_value_heads x head_dim`.
    pub fn key_values(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    /// Values of the seven matrices, three biases and two norms of one layer.
    fn layer_parameters(&self) -> u64 {
        let (hidden, intermediate) = (self.hidden_size as u64, self.intermediate_size as u64);
        let (query, key) = (self.query_values() as u64, self.key_values() as u64);
        let attention = (hidden + 1) * (query + 2 * key) + query * hidden;
        attention + 3 * hidden * intermediate + 2 * hidden
    }

    /// Number of weights, a tied embedding counted once.
    pub fn parameters(&self) -> u64 {
        let embeddings = if self.tie_word_embeddings { 1 } else { 2 };
        let embedding = (self.vocab_size * self.hidden_size) as u64;
        embeddings * embedding + self.num_hidden_layers as u64 * self.layer_parameters() + self.hidden_size as u64
    }

    /// Bytes of keys and values of one token, over all layers.
    pub fn kv_bytes_per_token(&self, dtype: Dtype) -> u64 {
        (2 * self.num_hidden_layers * self.key_values()) as u64 * dtype.size()
    }

    /// Floating-point operations of the matrix products for one prompt token (no output projection: prefill needs
    /// the last position's only).
    pub fn flops_per_token(&self) -> u64 {
        2 * self.num_hidden_layers as u64 * self.layer_parameters()
    }

    /// Floating-point operations of causal attention over a prompt of S tokens, divided by S^2: half of the
    /// two products of S x S x head_dim a head.
    pub fn attention_flops_per_token_squared(&self) -> u64 {
        2 * (self.num_hidden_layers * self.query_values()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes that the model cards give, in billions of parameters.
    #[test]
    fn parameters_match_the_model_cards() {
        let cards =
            [("0.5B", 0.49), ("1.5B", 1.54), ("3B", 3.09), ("7B", 7.61), ("14B", 14.7), ("32B", 32.5), ("72B", 72.7)];
        for (size, billions) in cards {
            let model = find(&format!("Qwen/Qwen2.5-{size}-Instruct")).unwrap();
            let counted = model.parameters() as f64 / 1e9;
            assert!((counted / billions - 1.0).abs() < 0.011, "{size}: {counted} != {billions}");
        }
    }

    #[test]
    fn the_collection_has_42_models() {
        assert_eq!(all().len(), 42);
        assert_eq!(find("Qwen2.5-72B-Instruct-AWQ").unwrap().intermediate_size, 29_696);
        assert_eq!(find("Qwen/Qwen2.5-14B").unwrap().rms_norm_eps, 1e-5);
        assert!(find("qwen/qwen2.5-14b").is_none(), "the hub's ids have their case");
    }

    #[test]
    fn names_say_how_weights_are_quantized() {
        assert_eq!(quantization_in_name("Qwen/Qwen2.5-7B-Instruct-AWQ"), Some(Quantization::Awq));
        assert_eq!(quantization_in_name("Qwen2.5-7B-Instruct"), Some(Quantization::None));
        assert_eq!(quantization_in_name("./my-tune-GPTQ-Int8/"), Some(Quantization::GptqInt8));
        assert_eq!(quantization_in_name("my-tune"), None);
    }

    /// 0.5B: 24 layers x 2 heads x 64 x (key and value) x 2 bytes = 12 KiB a token; weights 494 M x 2.
    #[test]
    fn bytes_of_the_smallest() {
        let model = find("Qwen/Qwen2.5-0.5B").unwrap();
        assert_eq!(model.kv_bytes_per_token(Dtype::Bf16), 12_288);
        assert_eq!(model.weight_bytes(Dtype::Bf16), 2 * 494_032_768);
    }
}
