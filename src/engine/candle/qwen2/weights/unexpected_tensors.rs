//! Tensors of the model that nobody asks for: left out without a word, another model would be measured.

use std::collections::HashSet;

use super::format::HEAD;

/// The first of `names` that is part of the model, isn't `known` and may change what is computed, and what to say of it. What
/// lies beside the model, such as a value head, isn't looked at.
pub fn first(names: Vec<String>, known: &HashSet<String>, is_zeros: impl Fn(&str) -> bool) -> Option<(String, String)> {
    let is_of_model = |name: &str| name.starts_with("model.") || name.starts_with("lm_head.");
    // A table that older versions of transformers saved, or a bias as some tools write for every packed layer.
    let is_nothing = |name: &str| name.ends_with(".rotary_emb.inv_freq") || (name.ends_with(".bias") && is_zeros(name));
    // Of a tied model, of which there is a warning.
    let is_tied_head = |name: &str| name == HEAD && !known.contains("lm_head.qweight");
    let is_unexpected =
        |name: &String| is_of_model(name) && !(known.contains(name) || is_nothing(name) || is_tied_head(name));
    let name = names.into_iter().filter(is_unexpected).min()?;
    let why = why(&name, known);
    Some((name, why))
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
