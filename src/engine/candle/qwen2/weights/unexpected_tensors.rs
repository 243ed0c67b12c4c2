//! Tensors of the model that nobody asks for: left out without a word, another model would be measured.

use std::collections::HashSet;

use candle_core::Result;

use super::safetensor_files::{HEAD, SafetensorFiles};

/// Every tensor of `files` that is part of the model is `known`, or changes nothing. What lies beside the model, such as a
/// value head, isn't looked at.
pub fn check(files: &SafetensorFiles, known: &HashSet<String>) -> Result<()> {
    let is_of_model = |name: &String| name.starts_with("model.") || name.starts_with("lm_head.");
    let unexpected = |name: &String| is_of_model(name) && !known.contains(name) && !is_nothing(files, name, known);
    match files.names().into_iter().filter(unexpected).min() {
        Some(name) => Err(files.error(&name, &why(&name, known))),
        None => Ok(()),
    }
}

/// A table that older versions of transformers saved, a bias of zeros as some tools write for every packed layer, or the
/// head of a tied model, of which there is a warning.
fn is_nothing(files: &SafetensorFiles, name: &str, known: &HashSet<String>) -> bool {
    let is_zeros = || files.find(name).is_some_and(|bias| bias.bytes.iter().all(|byte| *byte == 0));
    let is_tied_head = || name == HEAD && !known.contains("lm_head.qweight");
    name.ends_with(".rotary_emb.inv_freq") || (name.ends_with(".bias") && is_zeros()) || is_tied_head()
}

fn why(name: &str, known: &HashSet<String>) -> String {
    let (layer, part) = name.rsplit_once('.').unwrap_or((name, ""));
    let twin = match part {
        "weight" => "qweight",
        "qweight" => "weight",
        "bias" => return "isn't zero, and Qwen2 has no bias there".to_owned(),
        _ => "",
    };
    if known.contains(&format!("{layer}.{twin}")) {
        return format!("is there, and {layer}.{twin} as well: which of them counts is unknown");
    }
    "isn't one of Qwen2's, and leaving it out may change what is computed".to_owned()
}
