//! How large a model's published files are, from its shape.

use super::Model;
use crate::case::{Dtype, Quantization};

/// Weights that share a scale and a zero point, in GPTQ's and AWQ's files.
const GROUP: u64 = 128;

impl Model {
    /// Bytes of the published weights; `None` for GGUF, where each file has its own quantization.
    pub fn checkpoint_bytes(&self) -> Option<u64> {
        let dtype = self.torch_dtype.unwrap_or(Dtype::F16);
        let bits = match self.quantization {
            Quantization::None => return Some(self.weight_bytes(dtype)),
            Quantization::GptqInt4 | Quantization::Awq => 4,
            Quantization::GptqInt8 => 8,
            Quantization::Gguf => return None,
        };
        let weights: u64 = self.matrices().iter().map(|(inputs, outputs)| inputs * outputs).sum();
        let layers = self.num_hidden_layers as u64;
        let rest = self.weight_bytes(dtype) - layers * weights * dtype.size();
        let group = dtype.size() * 8 + bits;
        // GPTQ says of each input which group it is of, in 32 bits.
        let order = if self.quantization == Quantization::Awq { 0 } else { 4 * self.inputs() };
        Some(rest + layers * (weights * bits / 8 + weights / GROUP * group / 8 + order))
    }

    /// Inputs and outputs of a layer's seven matrices.
    fn matrices(&self) -> [(u64, u64); 7] {
        let (hidden, intermediate) = (self.hidden_size as u64, self.intermediate_size as u64);
        let (query, key) = (self.query_values() as u64, self.key_values() as u64);
        let attention = [(hidden, query), (hidden, key), (hidden, key), (query, hidden)];
        let [q, k, v, o] = attention;
        [q, k, v, o, (hidden, intermediate), (hidden, intermediate), (intermediate, hidden)]
    }

    fn inputs(&self) -> u64 {
        self.matrices().iter().map(|(inputs, _)| inputs).sum()
    }
}

#[cfg(test)]
mod tests {
    use crate::models::find;

    /// The sizes of the safetensors on the hub, in GB.
    #[test]
    fn sizes_are_those_of_the_published_files() {
        let published = [
            ("0.5B-Instruct", 0.988),
            ("7B-Instruct", 15.23),
            ("7B-Instruct-AWQ", 5.57),
            ("7B-Instruct-GPTQ-Int4", 5.58),
            ("7B-Instruct-GPTQ-Int8", 8.87),
            ("72B-Instruct", 145.4),
        ];
        for (name, gb) in published {
            let bytes = find(&format!("Qwen/Qwen2.5-{name}")).unwrap().checkpoint_bytes().unwrap();
            assert!((bytes as f64 / 1e9 / gb - 1.0).abs() < 0.01, "{name}: {bytes}");
        }
        assert_eq!(find("Qwen/Qwen2.5-7B-Instruct-GGUF").unwrap().checkpoint_bytes(), None);
    }
}
