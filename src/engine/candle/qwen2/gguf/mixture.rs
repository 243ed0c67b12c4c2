//! In which types llama.cpp's quantizer writes a Qwen2 model's matrices: a quantization such as q4_k_m is a mixture. The rules
//! are those of `llama_tensor_get_type`, without an importance matrix.

use candle_core::quantized::GgmlDType;

use crate::models::Model;

/// What is asked of the quantizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mixture {
    /// Most in one type; `output` and what is named below get better ones.
    Of(GgmlDType),
    Q3KMedium,
    Q3KLarge,
    Q4KSmall,
    Q4KMedium,
    Q5KMedium,
}

/// By what users call them; `fp16` is Qwen's word.
const NAMES: [(&str, Mixture); 18] = [
    ("f32", Mixture::Of(GgmlDType::F32)),
    ("f16", Mixture::Of(GgmlDType::F16)),
    ("fp16", Mixture::Of(GgmlDType::F16)),
    ("bf16", Mixture::Of(GgmlDType::BF16)),
    ("q4_0", Mixture::Of(GgmlDType::Q4_0)),
    ("q4_1", Mixture::Of(GgmlDType::Q4_1)),
    ("q5_0", Mixture::Of(GgmlDType::Q5_0)),
    ("q5_1", Mixture::Of(GgmlDType::Q5_1)),
    ("q8_0", Mixture::Of(GgmlDType::Q8_0)),
    ("q2_k", Mixture::Of(GgmlDType::Q2K)),
    ("q3_k_s", Mixture::Of(GgmlDType::Q3K)),
    ("q3_k_m", Mixture::Q3KMedium),
    ("q3_k_l", Mixture::Q3KLarge),
    ("q4_k_s", Mixture::Q4KSmall),
    ("q4_k_m", Mixture::Q4KMedium),
    ("q5_k_s", Mixture::Of(GgmlDType::Q5K)),
    ("q5_k_m", Mixture::Q5KMedium),
    ("q6_k", Mixture::Of(GgmlDType::Q6K)),
];

/// The words for them.
pub fn words() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().map(|(name, _)| name)
}

impl Mixture {
    /// The mixture of that name.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, mixture)| mixture)
    }

    /// The type of a matrix with rows of `inputs`, by its name in GGUF.
    pub fn type_of(self, tensor: &str, inputs: usize, model: &Model) -> GgmlDType {
        let base = self.base();
        if matches!(base, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16) {
            return base;
        }
        let is_output = tensor == "output.weight" || model.tie_word_embeddings && tensor == "token_embd.weight";
        match tensor.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            _ if is_output => fitting(output(base, inputs), inputs),
            None => fitting(base, inputs),
            Some((layer, part)) => {
                let layer = Layer { index: layer.parse().unwrap_or_default(), count: model.num_hidden_layers };
                fitting(self.of_layer(part, layer, model), inputs)
            }
        }
    }

    fn base(self) -> GgmlDType {
        match self {
            Self::Of(kind) => kind,
            Self::Q3KMedium | Self::Q3KLarge => GgmlDType::Q3K,
            Self::Q4KSmall | Self::Q4KMedium => GgmlDType::Q4K,
            Self::Q5KMedium => GgmlDType::Q5K,
        }
    }

    fn of_layer(self, part: &str, layer: Layer, model: &Model) -> GgmlDType {
        match part {
            "attn_v.weight" => self.of_values(layer, model),
            "ffn_down.weight" => self.of_down(layer),
            "attn_output.weight" => match self {
                Self::Of(GgmlDType::Q2K) => GgmlDType::Q3K,
                Self::Q3KMedium => GgmlDType::Q4K,
                Self::Q3KLarge => GgmlDType::Q5K,
                _ => self.base(),
            },
            _ => self.base(),
        }
    }

    fn of_values(self, layer: Layer, model: &Model) -> GgmlDType {
        let shared = model.num_attention_heads / model.num_key_value_heads >= 4;
        let kind = match self {
            Self::Of(GgmlDType::Q2K) if shared => GgmlDType::Q4K,
            Self::Of(GgmlDType::Q2K) => GgmlDType::Q3K,
            Self::Q3KMedium if layer.index < 2 => GgmlDType::Q5K,
            Self::Q3KMedium => GgmlDType::Q4K,
            Self::Q3KLarge => GgmlDType::Q5K,
            Self::Q4KSmall if layer.index < 4 => GgmlDType::Q5K,
            Self::Q4KMedium | Self::Q5KMedium if layer.is_favoured() => GgmlDType::Q6K,
            _ => self.base(),
        };
        // Of 80 layers: what llama.cpp takes for a model of 70B.
        match kind {
            GgmlDType::Q3K | GgmlDType::Q4K if layer.count == 80 => GgmlDType::Q5K,
            kind => kind,
        }
    }

    fn of_down(self, layer: Layer) -> GgmlDType {
        match self {
            Self::Of(GgmlDType::Q2K) => GgmlDType::Q3K,
            Self::Q3KMedium if layer.index < layer.count / 16 => GgmlDType::Q5K,
            Self::Q3KMedium => GgmlDType::Q4K,
            Self::Q3KLarge => GgmlDType::Q5K,
            Self::Q4KSmall if layer.index < layer.count / 8 => GgmlDType::Q5K,
            Self::Q4KMedium | Self::Q5KMedium if layer.is_favoured() => GgmlDType::Q6K,
            _ => self.base(),
        }
    }
}

#[derive(Clone, Copy)]
struct Layer {
    index: usize,
    count: usize,
}

impl Layer {
    /// The first and last eighth, and every third between them, get more bits.
    fn is_favoured(self) -> bool {
        let eighth = self.count / 8;
        self.index < eighth || self.index >= 7 * self.count / 8 || (self.index - eighth) % 3 == 2
    }
}

fn output(base: GgmlDType, inputs: usize) -> GgmlDType {
    if base == GgmlDType::Q8_0 || !inputs.is_multiple_of(base.block_size()) { GgmlDType::Q8_0 } else { GgmlDType::Q6K }
}

/// What is taken where rows aren't whole blocks.
fn fitting(kind: GgmlDType, inputs: usize) -> GgmlDType {
    let taken = match kind {
        kind if inputs.is_multiple_of(kind.block_size()) => return kind,
        // Older quantizers took IQ4_NL.
        GgmlDType::Q2K | GgmlDType::Q3K => GgmlDType::Q4_0,
        GgmlDType::Q4K => GgmlDType::Q5_0,
        GgmlDType::Q5K => GgmlDType::Q5_1,
        GgmlDType::Q6K => GgmlDType::Q8_0,
        _ => GgmlDType::F16,
    };
    if inputs.is_multiple_of(taken.block_size()) { taken } else { GgmlDType::F16 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::gguf_type::type_name;
    use super::*;
    use crate::models;

    /// What the quantizer did with models of these shapes: by model, quantization and tensor, a type for each layer.
    type Quantized = BTreeMap<String, BTreeMap<String, BTreeMap<String, Vec<String>>>>;

    #[test]
    fn matrices_have_the_types_that_llama_cpp_gives_them() {
        let text = include_str!("../../../../../tests/fixtures/quantized/gguf/mixtures.json");
        let quantized: Quantized = serde_json::from_str(text).unwrap();
        for (id, kinds) in &quantized {
            let model = models::find(id).unwrap();
            for (kind, tensors) in kinds {
                let mixture = Mixture::named(kind).unwrap();
                for (tensor, types) in tensors {
                    let inputs = if tensor == "ffn_down" { model.intermediate_size } else { model.hidden_size };
                    let named = |index: usize| match types.len() {
                        1 => format!("{tensor}.weight"),
                        _ => format!("blk.{index}.{tensor}.weight"),
                    };
                    let found = (0..types.len()).map(|index| mixture.type_of(&named(index), inputs, model));
                    let found: Vec<_> = found.map(type_name).collect();
                    assert_eq!(&found, types, "{id} {kind} {tensor}");
                }
            }
        }
        assert_eq!(quantized.len(), 4);
        assert!(quantized.values().all(|kinds| kinds.len() + 1 == NAMES.len()));
    }
}
