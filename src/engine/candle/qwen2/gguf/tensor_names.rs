//! What GGUF calls a checkpoint's tensors.

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

/// `model.layers.3.mlp.up_proj.weight` is `blk.3.ffn_up.weight`.
pub fn gguf_name(name: &str) -> String {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::candle::qwen2::config::ModelConfig;
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
