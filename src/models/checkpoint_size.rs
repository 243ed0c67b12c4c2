//! How large a model's weights are, from its shape: in its published files, on a device, and in a decode step.

use super::Model;
use crate::case::{Dtype, Quantization};

impl Model {
    /// Bytes of the published weights; `None` for GGUF, where each file has its own quantization.
    pub fn checkpoint_bytes(&self) -> Option<u64> {
        // GPTQ says of each input which group it is of, in 32 bits.
        let order = match self.quantization {
            Quantization::None | Quantization::Awq => 0,
            Quantization::GptqInt4 | Quantization::GptqInt8 => 4 * self.num_hidden_layers as u64 * self.inputs(),
            Quantization::Gguf => return None,
        };
        Some(self.weight_bytes(self.torch_dtype.unwrap_or(Dtype::F16)) + order)
    }

    /// Bytes of the weights: packed ones as they are, all others in `dtype`.
    pub fn weight_bytes(&self, dtype: Dtype) -> u64 {
        let Some(packing) = self.packing else { return self.parameters() * dtype.size() };
        let packed: u64 =
            self.packed().iter().map(|&(count, inputs, outputs)| count * packing.bytes(inputs, outputs)).sum();
        (self.parameters() - self.packed_weights()) * dtype.size() + packed
    }

    /// Bytes of the weights that every decode step reads: all but an untied embedding, of which it reads one row.
    pub fn decode_weight_bytes(&self, dtype: Dtype) -> u64 {
        let unread = if self.tie_word_embeddings { 0 } else { (self.vocab_size * self.hidden_size) as u64 };
        self.weight_bytes(dtype) - unread * dtype.size()
    }

    /// Number of weights that are packed.
    pub fn packed_weights(&self) -> u64 {
        self.packed().iter().map(|(count, inputs, outputs)| count * inputs * outputs).sum()
    }

    /// The packed matrices: how many there are of a kind, its inputs and its outputs.
    fn packed(&self) -> Vec<(u64, u64, u64)> {
        let Some(packing) = self.packing else { return Vec::new() };
        let layers = self.matrices().map(|(inputs, outputs)| (self.num_hidden_layers as u64, inputs, outputs));
        let head = packing.head.then_some((1, self.hidden_size as u64, self.vocab_size as u64));
        layers.into_iter().chain(head).collect()
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
    use crate::case::Dtype;
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

    /// 7B: 6.53e9 packed weights at 4 + 20 / 128 bits, the embedding and the head in 16, and some vectors.
    #[test]
    fn a_step_of_a_packed_model_reads_its_integers() {
        let model = find("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4").unwrap();
        assert_eq!(model.packed_weights(), 28 * (3584 * 3584 * 2 + 3584 * 512 * 2 + 3584 * 18_944 * 3));
        let packed = model.packed_weights() / 8 * 4 + model.packed_weights() / 128 * 20 / 8;
        let head = 152_064 * 3584 * 2;
        let vectors = 2 * (28 * (3584 + 2 * 512 + 2 * 3584) + 3584);
        assert_eq!(model.decode_weight_bytes(Dtype::Bf16), packed + head + vectors);
        assert_eq!(model.weight_bytes(Dtype::Bf16), packed + 2 * head + vectors);
    }
}
