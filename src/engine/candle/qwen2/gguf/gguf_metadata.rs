//! A model's shape and position encoding, as the metadata of its GGUF file say.

use std::collections::BTreeMap;

use super::gguf_error::GgufError;
use super::gguf_header::TensorInfo;
use super::gguf_type::{mixture, type_name};
use super::gguf_value::Metadata;
use super::mixture::Mixture;
use crate::case::Quantization;
use crate::engine::candle::qwen2::config::{ModelConfig, Yarn};
use crate::models::Model;

const ARCHITECTURE: &str = "general.architecture";
/// What llama.cpp takes where a file has none.
const USUAL_THETA: f64 = 10_000.0;
/// Numbers of YaRN that are read only as they usually are.
const YARN: [(&str, f64); 6] = [
    ("attn_factor", 1.0),
    ("yarn_attn_factor", 1.0),
    ("yarn_ext_factor", 1.0),
    ("yarn_beta_fast", 32.0),
    ("yarn_beta_slow", 1.0),
    ("yarn_log_multiplier", 0.0),
];

/// `vocabulary` are the rows of the embedding, which is also the output projection if it is `tied`.
pub fn config(
    metadata: &Metadata,
    vocabulary: Option<usize>,
    tied: bool,
    name: String,
) -> Result<ModelConfig, GgufError> {
    match metadata.text(ARCHITECTURE)? {
        Some("qwen2") => {}
        Some(other) => return Err(value(ARCHITECTURE, format!("{other:?}"), "only qwen2 (Qwen2, Qwen2.5) is read")),
        None => return Err(GgufError::Missing(ARCHITECTURE.to_owned())),
    }
    let heads = need(metadata, "qwen2.attention.head_count")?;
    let hidden = need(metadata, "qwen2.embedding_length")?;
    let head_dim = whole(metadata, "qwen2.attention.key_length")?;
    let shape = Model {
        id: name,
        quantization: Quantization::Gguf,
        packing: None,
        torch_dtype: None,
        hidden_size: hidden,
        intermediate_size: need(metadata, "qwen2.feed_forward_length")?,
        num_hidden_layers: need(metadata, "qwen2.block_count")?,
        num_attention_heads: heads,
        num_key_value_heads: whole(metadata, "qwen2.attention.head_count_kv")?.unwrap_or(heads),
        head_dim: head_dim.or(hidden.checked_div(heads)).unwrap_or_default(),
        vocab_size: vocabulary.ok_or_else(|| GgufError::NoTensor("token_embd.weight".to_owned()))?,
        tie_word_embeddings: tied,
        max_position_embeddings: need(metadata, "qwen2.context_length")?,
        rope_theta: metadata.real("qwen2.rope.freq_base")?.unwrap_or(USUAL_THETA),
        rms_norm_eps: need_real(metadata, "qwen2.attention.layer_norm_rms_epsilon")?,
    };
    let config = ModelConfig { yarn: yarn(metadata, shape.max_position_embeddings)?, shape, grouping: None };
    config.check()?;
    check_sizes(metadata, &config.shape)?;
    Ok(config)
}

/// Only whole heads of keys and values of one size are rotated, and every row of the embedding is a token's.
fn check_sizes(metadata: &Metadata, shape: &Model) -> Result<(), GgufError> {
    let head = "it must be the size of a head";
    for (key, size, expected) in [
        ("qwen2.rope.dimension_count", shape.head_dim, head),
        ("qwen2.attention.value_length", shape.head_dim, head),
        ("qwen2.vocab_size", shape.vocab_size, "it must be the number of rows of token_embd.weight"),
    ] {
        if let Some(found) = whole(metadata, key)?.filter(|found| *found != size) {
            return Err(value(key, found.to_string(), expected));
        }
    }
    Ok(())
}

fn yarn(metadata: &Metadata, context: usize) -> Result<Option<Yarn>, GgufError> {
    let key = "qwen2.rope.scaling.type";
    match metadata.text(key)? {
        None | Some("none") => {
            // What llama.cpp wrote before it knew several types.
            check_usual(metadata, "qwen2.rope.scale_linear", 1.0)?;
            // A factor of no type would be of llama.cpp's usual one, which is linear.
            if metadata.text(key)?.is_none() {
                check_usual(metadata, "qwen2.rope.scaling.factor", 1.0)?;
            }
            return Ok(None);
        }
        Some("yarn") => {}
        Some(other) => return Err(value(key, format!("{other:?}"), "none and yarn are read")),
    }
    for (name, usual) in YARN {
        check_usual(metadata, &format!("qwen2.rope.scaling.{name}"), usual)?;
    }
    let factor = need_real(metadata, "qwen2.rope.scaling.factor")?;
    let original = whole(metadata, "qwen2.rope.scaling.original_context_length")?.unwrap_or(context);
    Ok(Some(Yarn::usual(factor, original as f64)?))
}

fn check_usual(metadata: &Metadata, key: &str, usual: f64) -> Result<(), GgufError> {
    match metadata.real(key)?.filter(|number| *number != usual) {
        Some(number) => Err(value(key, number.to_string(), "only its usual number is read")),
        None => Ok(()),
    }
}

/// What the quantization is called: the quantizer's word for its mixture of types, if the tensors are in such a mixture; or
/// else the type that most of it is in.
pub fn quantization(metadata: &Metadata, tensors: &[(&str, &TensorInfo)], model: &Model) -> Result<String, GgufError> {
    if let Some(name) =
        metadata.whole("general.file_type")?.and_then(mixture).filter(|name| is_in(name, tensors, model))
    {
        return Ok(name.to_owned());
    }
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, info) in tensors {
        *sizes.entry(type_name(info.kind)).or_default() += info.place.len();
    }
    let most = sizes.into_iter().max_by_key(|(_, size)| *size);
    Ok(most.map_or("f32", |(name, _)| name).to_ascii_lowercase())
}

/// Have at least half of the matrices the types of that mixture? An importance matrix changes some of them.
fn is_in(mixture: &str, tensors: &[(&str, &TensorInfo)], model: &Model) -> bool {
    let Some(mixture) = Mixture::named(mixture) else { return true };
    let matrices = || tensors.iter().filter(|(_, info)| info.shape.len() == 2);
    let fitting = matrices().filter(|(name, info)| mixture.type_of(name, info.shape[1], model) == info.kind);
    2 * fitting.count() >= matrices().count()
}

fn value(key: &str, value: String, expected: &'static str) -> GgufError {
    GgufError::Value { key: key.to_owned(), value, expected }
}

fn whole(metadata: &Metadata, key: &str) -> Result<Option<usize>, GgufError> {
    // What has no room here is out of range, too.
    Ok(metadata.whole(key)?.map(|value| usize::try_from(value).unwrap_or(usize::MAX)))
}

fn need(metadata: &Metadata, key: &str) -> Result<usize, GgufError> {
    whole(metadata, key)?.ok_or_else(|| GgufError::Missing(key.to_owned()))
}

fn need_real(metadata: &Metadata, key: &str) -> Result<f64, GgufError> {
    metadata.real(key)?.ok_or_else(|| GgufError::Missing(key.to_owned()))
}
