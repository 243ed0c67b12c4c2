//! What a model is beside its name: its shape, and which weights are in its files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::qwen2::config::ModelConfig;
use super::qwen2::weights::Source;
use super::qwen2::{checkpoint, gguf};
use crate::case::{ModelIdentity, Quantization};
use crate::engine::EngineError;
use crate::hex::hex;

/// Pieces of a file that are looked at: reading all of a large one takes longer than a run.
const PIECES: u64 = 64;
const PIECE_BYTES: u64 = 1 << 14;
/// Bytes of the hash that are kept.
const HASH_BYTES: usize = 16;

/// Of the model that `source` has; `weights` is where its files are, unless they are generated.
pub fn of(config: &ModelConfig, source: &Source, weights: Option<&Path>) -> Result<ModelIdentity, EngineError> {
    Ok(ModelIdentity {
        shape: shape(config, source),
        weights_sha256: weights.map(|it| sampled(it, config)).transpose()?,
    })
}

/// All that the time of a step or a prefill depends on, in config.json's words. The type of numbers is the case's.
fn shape(config: &ModelConfig, source: &Source) -> BTreeMap<String, String> {
    let shape = &config.shape;
    let sizes = [
        ("num_hidden_layers", shape.num_hidden_layers),
        ("hidden_size", shape.hidden_size),
        ("intermediate_size", shape.intermediate_size),
        ("num_attention_heads", shape.num_attention_heads),
        ("num_key_value_heads", shape.num_key_value_heads),
        ("head_dim", shape.head_dim),
        ("vocab_size", shape.vocab_size),
    ];
    let packings = source.packings(config).into_iter().map(|(packing, count)| format!("{count} of {packing}"));
    let packed: Vec<String> = packings.collect();
    let words = [
        ("tie_word_embeddings", shape.tie_word_embeddings.to_string()),
        ("packed_matrices", if packed.is_empty() { "none".to_owned() } else { packed.join(", ") }),
    ];
    let sizes = sizes.map(|(name, size)| (name, size.to_string()));
    sizes.into_iter().chain(words).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Of sizes and pieces of all files, in their order. Their names don't matter: a copy is the same weights.
fn sampled(path: &Path, config: &ModelConfig) -> Result<String, EngineError> {
    let files = match config.shape.quantization {
        Quantization::Gguf => gguf::files(path)?,
        _ => checkpoint::files(path)?,
    };
    let mut hash = Sha256::new();
    for path in files {
        add(&path, &mut hash).map_err(EngineError::at(path))?;
    }
    Ok(hex(&hash.finalize()[..HASH_BYTES]))
}

/// The header is at the start, and every part of the file has a chance.
fn add(path: &Path, hash: &mut Sha256) -> io::Result<()> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    hash.update(size.to_le_bytes());
    let mut piece = vec![0; size.min(PIECE_BYTES) as usize];
    for index in 0..PIECES {
        let last = size.saturating_sub(PIECE_BYTES);
        let offset = u128::from(last) * u128::from(index) / u128::from(PIECES - 1);
        file.read_exact_at(&mut piece, offset as u64)?;
        hash.update(&piece);
    }
    Ok(())
}
