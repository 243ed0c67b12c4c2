//! Times the parts of a step: decode by the kernel's own clock, prefill by CUDA events between its kernels.

use candle_core::{DType, Result, Tensor};

use super::gpu::{Address, Start};
use super::{DecodeParameters, Graph, PrefillPart};
use crate::engine::profile::{Part, Profile};
use crate::models::Model;

/// Times are the median of this many steps.
const STEPS: usize = 9;
/// Moments that the decode kernel writes for each layer: when a block had the input of the query/key/value product, was
/// done with its part of attention, and had the inputs of the three other products. One more follows: the head's input.
const MARKS: usize = 5;

impl Graph {
    pub(super) fn time_parts(&mut self, context: usize) -> Result<Profile> {
        // A step reads `context` tokens and processes one more.
        if context == 0 || context + 2 > self.capacity {
            candle_core::bail!("{context} tokens of context don't fit into the KV cache of {}", self.capacity);
        }
        Ok(Profile { context, prefill: self.time_prefill(context)?, decode: self.time_decode(context)? })
    }

    fn time_decode(&mut self, context: usize) -> Result<Vec<Part>> {
        let layers = self.layers.len();
        let marks = Tensor::zeros(layers * MARKS + 1, DType::I64, self.embedding.device())?;
        // Two steps, because the first of a launch starts cold: the marks are those of the second.
        let parameters = DecodeParameters { steps: 2, phases: Address::of(&marks)?, ..self.parameters };
        let mut runs = Vec::with_capacity(STEPS);
        for _ in 0..STEPS {
            let start = Start { position: context - 1, token: 0, step: 0 };
            self.gpu.begin_decode(Address::NULL, &parameters, start)?;
            self.gpu.decode(&parameters, &self.plan)?;
            self.gpu.synchronize()?;
            let moments: Vec<i64> = marks.to_vec1()?;
            let ends: Vec<i64> = self.buffers.times.narrow(0, 0, 2)?.to_vec1()?;
            runs.push(decode_parts(&moments, ends));
        }
        let sizes = DecodeBytes::new(&self.config.shape, context);
        let parts =
            ["qkv and attention", "merging attention", "output", "gate and up", "down", "head", "start of a step"];
        let bytes = [sizes.qkv + sizes.cache, 0.0, sizes.output, sizes.gate_up, sizes.down, sizes.head, 0.0];
        Ok(parts
            .into_iter()
            .zip(bytes)
            .enumerate()
            .map(|(index, (name, bytes))| {
                let seconds = median(runs.iter().map(|run| run[index]).collect());
                Part { name, seconds, bytes, operations: 0.0 }
            })
            .collect())
    }

    fn time_prefill(&mut self, context: usize) -> Result<Vec<Part>> {
        let vocabulary = self.config.shape.vocab_size as u32;
        let prompt: Vec<u32> = (0..context as u32).map(|index| index % vocabulary).collect();
        let mut timed = Vec::new();
        // The first pass loads and tunes: it doesn't count.
        for _ in 0..2 {
            self.length = 0;
            timed = self.gpu.timed(|between| self.passes(&prompt, between))?;
        }
        self.length = context;
        let operations = PrefillOperations::new(&self.config.shape, context);
        Ok(PrefillPart::ALL
            .into_iter()
            .map(|kind| {
                let seconds = timed.iter().filter(|(part, _)| *part == kind).map(|(_, seconds)| seconds).sum();
                Part { name: kind.name(), seconds, bytes: 0.0, operations: operations.of(kind) }
            })
            .collect())
    }
}

/// Seconds of each part, in the order of the names above. `ends`: when the step before and this one were over.
fn decode_parts(moments: &[i64], ends: Vec<i64>) -> [f64; MARKS + 2] {
    let mut parts = [0; MARKS + 2];
    for (index, pair) in moments.windows(2).enumerate() {
        parts[index % MARKS] += pair[1] - pair[0];
    }
    if let ([first, .., last], [before, end]) = (moments, ends.as_slice()) {
        parts[MARKS] = end - last;
        parts[MARKS + 1] = first - before;
    }
    parts.map(|nanoseconds| nanoseconds as f64 * 1e-9)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Bytes that a decode step reads, over all layers.
struct DecodeBytes {
    qkv: f64,
    cache: f64,
    output: f64,
    gate_up: f64,
    down: f64,
    head: f64,
}

impl DecodeBytes {
    fn new(shape: &Model, context: usize) -> Self {
        let sizes = Sizes::new(shape);
        let weights = |rows: f64, columns: f64| 2.0 * sizes.layers * rows * columns;
        Self {
            qkv: weights(sizes.query + 2.0 * sizes.key, sizes.hidden),
            cache: 2.0 * 2.0 * sizes.layers * sizes.key * context as f64,
            output: weights(sizes.hidden, sizes.query),
            gate_up: weights(2.0 * sizes.intermediate, sizes.hidden),
            down: weights(sizes.hidden, sizes.intermediate),
            head: 2.0 * shape.vocab_size as f64 * sizes.hidden,
        }
    }
}

/// Operations of a prefill of `tokens`, over all layers.
struct PrefillOperations {
    tokens: f64,
    sizes: Sizes,
}

impl PrefillOperations {
    fn new(shape: &Model, tokens: usize) -> Self {
        Self { tokens: tokens as f64, sizes: Sizes::new(shape) }
    }

    fn of(&self, part: PrefillPart) -> f64 {
        let Sizes { layers, hidden, intermediate, query, key } = self.sizes;
        let product = |rows: f64, columns: f64| 2.0 * layers * self.tokens * rows * columns;
        match part {
            PrefillPart::Qkv => product(query + 2.0 * key, hidden),
            PrefillPart::Attention => 2.0 * layers * self.tokens * self.tokens * query,
            PrefillPart::Output => product(hidden, query),
            PrefillPart::GateUp => product(2.0 * intermediate, hidden),
            PrefillPart::Down => product(hidden, intermediate),
            PrefillPart::Embedding | PrefillPart::Norm | PrefillPart::Rope | PrefillPart::Silu => 0.0,
        }
    }
}

/// A model's sizes as numbers to calculate with.
#[derive(Clone, Copy)]
struct Sizes {
    layers: f64,
    hidden: f64,
    intermediate: f64,
    query: f64,
    key: f64,
}

impl Sizes {
    fn new(shape: &Model) -> Self {
        Self {
            layers: shape.num_hidden_layers as f64,
            hidden: shape.hidden_size as f64,
            intermediate: shape.intermediate_size as f64,
            query: (shape.num_attention_heads * shape.head_dim) as f64,
            key: (shape.num_key_value_heads * shape.head_dim) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_the_sum_of_its_parts() {
        // Two layers and the head's input; the step before ended at 90, this one at 200.
        let moments = [100, 103, 104, 106, 111, 120, 124, 125, 128, 134, 150];
        let parts = decode_parts(&moments, vec![90, 200]);
        let nanoseconds = parts.map(|seconds| (seconds * 1e9).round());
        assert_eq!(nanoseconds, [7.0, 2.0, 5.0, 11.0, 25.0, 50.0, 10.0]);
        assert_eq!(nanoseconds.iter().sum::<f64>(), 110.0);
    }

    #[test]
    fn the_parts_read_what_a_step_must() {
        let shape = crate::models::find("Qwen2.5-0.5B").unwrap();
        let bytes = DecodeBytes::new(shape, 1000);
        let weights = bytes.qkv + bytes.output + bytes.gate_up + bytes.down + bytes.head;
        // Biases and norms are left out.
        let all = shape.decode_weight_bytes(crate::case::Dtype::Bf16) as f64;
        assert!(weights < all && weights > 0.999 * all, "{weights} of {all}");
        assert_eq!(bytes.cache, 1000.0 * shape.kv_bytes_per_token(crate::case::Dtype::Bf16) as f64);
    }
}
