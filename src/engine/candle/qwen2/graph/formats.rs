//! Which format each matrix of a model has in the kernels' memory.

use candle_core::quantized::GgmlDType;

use super::decode_plan::Shape;
use super::sizes::{Format, Kind, PACKED_GROUP};
use super::unfit::Unfit;
use crate::engine::candle::qwen2::gguf::{TensorTypes, is_blocks, type_name};
use crate::models::{Model, Packing};

/// Of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formats {
    pub layers: Vec<LayerFormats>,
    pub head: Format,
}

/// Of a layer. A row of the gate and one of the up projection are a pair, so they have one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerFormats {
    pub query: Format,
    pub key: Format,
    pub value: Format,
    pub output: Format,
    pub gate_up: Format,
    pub down: Format,
}

impl Format {
    /// Of integers whose groups lie in order.
    pub fn of_packing(packing: Packing, model: &Model) -> Result<Self, Unfit> {
        if packing.head {
            return Err(Unfit::PackedHead);
        }
        let query = model.num_attention_heads * model.head_dim;
        for inputs in [model.hidden_size, query, model.intermediate_size] {
            let group = packing.group_of(inputs);
            if !group.is_multiple_of(PACKED_GROUP) {
                return Err(Unfit::GroupOfInputs(group));
            }
        }
        Ok(if packing.bits == 4 { Self::Int4 } else { Self::Int8 })
    }
}

impl Formats {
    /// All layers' matrices in one format, and a dense head.
    pub fn uniform(layers: usize, format: Format) -> Self {
        let layer =
            LayerFormats { query: format, key: format, value: format, output: format, gate_up: format, down: format };
        Self { layers: vec![layer; layers], head: Format::Dense }
    }

    /// Of a GGUF file's matrices.
    pub fn of_types(types: &TensorTypes, model: &Model) -> Result<Self, Unfit> {
        let layers = (0..model.num_hidden_layers).map(|index| LayerFormats::of_types(types, index));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let head = if model.tie_word_embeddings { "model.embed_tokens.weight" } else { "lm_head.weight" };
        let formats = Self { layers, head: format(types, head, "output")? };
        let dense = formats.layers.iter().flat_map(LayerFormats::matrices).filter(|format| *format == Format::Dense);
        match dense.count() {
            0 => Ok(formats),
            count if count == 6 * formats.layers.len() && !formats.packs_head() => Ok(formats),
            _ => Err(Unfit::Mixed),
        }
    }

    /// Is the head in blocks?
    pub fn packs_head(&self) -> bool {
        self.head != Format::Dense
    }

    /// Are the layers' matrices packed?
    pub fn packs_layers(&self) -> bool {
        self.products()[0] != Format::Dense
    }

    /// By product, for the plan: of each the one with the shortest batches.
    pub fn products(&self) -> [Format; 5] {
        let shortest = |product: usize| {
            let of_layers = self.layers.iter().flat_map(LayerFormats::products);
            let formats = of_layers.filter(|(index, _)| *index == product).map(|(_, format)| format);
            formats.min_by_key(|format| format.batch_inputs()).unwrap_or(self.head)
        };
        [shortest(0), shortest(1), shortest(2), shortest(3), self.head]
    }

    /// Bytes of all layers' matrices by product, and of the head.
    pub fn bytes(&self, shape: &Shape) -> [usize; 5] {
        let mut bytes = [0; 5];
        for layer in &self.layers {
            for (sum, more) in bytes.iter_mut().zip(layer.bytes(shape)) {
                *sum += more;
            }
        }
        bytes[4] = self.head.bytes(shape.vocabulary, shape.hidden);
        bytes
    }
}

impl LayerFormats {
    fn of_types(types: &TensorTypes, index: usize) -> Result<Self, Unfit> {
        let of = |part: &str, name| format(types, &format!("model.layers.{index}.{part}.weight"), name);
        let layer = Self {
            query: of("self_attn.q_proj", "attn_q")?,
            key: of("self_attn.k_proj", "attn_k")?,
            value: of("self_attn.v_proj", "attn_v")?,
            output: of("self_attn.o_proj", "attn_output")?,
            gate_up: of("mlp.gate_proj", "ffn_gate")?,
            down: of("mlp.down_proj", "ffn_down")?,
        };
        if of("mlp.up_proj", "ffn_up")? == layer.gate_up { Ok(layer) } else { Err(Unfit::GateUp) }
    }

    fn matrices(&self) -> [Format; 6] {
        let Self { query, key, value, output, gate_up, down } = *self;
        [query, key, value, output, gate_up, down]
    }

    /// Each with the product that it is a part of.
    fn products(&self) -> [(usize, Format); 6] {
        let [query, key, value, output, gate_up, down] = self.matrices();
        [(0, query), (0, key), (0, value), (1, output), (2, gate_up), (3, down)]
    }

    /// For the kernel: a byte for each.
    pub fn kinds(&self) -> u64 {
        self.matrices().into_iter().rev().fold(0, |kinds, format| kinds << 8 | format.kind() as u64)
    }

    /// The query, key and value projections' rows, those of one format that are neighbours together.
    pub fn qkv(&self, shape: &Shape) -> Vec<(Format, usize)> {
        let mut parts: Vec<(Format, usize)> = Vec::new();
        for (format, rows) in [(self.query, shape.query()), (self.key, shape.key()), (self.value, shape.key())] {
            match parts.last_mut() {
                Some((last, sum)) if *last == format => *sum += rows,
                _ => parts.push((format, rows)),
            }
        }
        parts
    }

    fn bytes(&self, shape: &Shape) -> [usize; 4] {
        let (hidden, inner) = (shape.hidden, shape.intermediate);
        [
            self.qkv(shape).into_iter().map(|(format, rows)| format.bytes(rows, hidden)).sum(),
            self.output.bytes(hidden, shape.query()),
            self.gate_up.bytes(2 * inner, hidden),
            self.down.bytes(hidden, inner),
        ]
    }
}

/// Of the matrix `name`; `part` is what GGUF calls it.
fn format(types: &TensorTypes, name: &str, part: &'static str) -> Result<Format, Unfit> {
    match types.get(name) {
        Some(GgmlDType::Q4_0) => Ok(Format::Blocks(Kind::Q4_0)),
        Some(GgmlDType::Q8_0) => Ok(Format::Blocks(Kind::Q8_0)),
        Some(GgmlDType::Q4K) => Ok(Format::Blocks(Kind::Q4K)),
        Some(GgmlDType::Q6K) => Ok(Format::Blocks(Kind::Q6K)),
        Some(kind) if is_blocks(kind) => Err(Unfit::Type { part, kind: type_name(kind) }),
        Some(_) | None => Ok(Format::Dense),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::candle::qwen2::config::ModelConfig;
    use crate::engine::candle::qwen2::gguf::mixture::Mixture;
    use crate::models;

    fn formats(id: &str, mixture: &str) -> Result<Formats, Unfit> {
        let config = ModelConfig::published(models::find(id).unwrap(), 1);
        let types = TensorTypes::of_mixture(Mixture::named(mixture).unwrap(), &config);
        Formats::of_types(&types, &config.shape)
    }

    const Q4K: Format = Format::Blocks(Kind::Q4K);
    const Q6K: Format = Format::Blocks(Kind::Q6K);

    #[test]
    fn a_mixture_has_a_format_for_each_matrix() {
        let found = formats("Qwen2.5-7B-Instruct-GGUF", "q4_k_m").unwrap();
        let usual = LayerFormats { query: Q4K, key: Q4K, value: Q4K, output: Q4K, gate_up: Q4K, down: Q4K };
        assert_eq!(found.layers[0], LayerFormats { value: Q6K, down: Q6K, ..usual });
        assert_eq!(found.layers[4], usual);
        assert_eq!((found.head, found.products()), (Q6K, [Q4K, Q4K, Q4K, Q6K, Q6K]));
        assert_eq!(found.layers[0].kinds(), 0x0a_06_06_0a_06_06);
        let shape = Shape::from(models::find("Qwen2.5-7B").unwrap());
        assert_eq!(found.layers[0].qkv(&shape), [(Q4K, 3584 + 512), (Q6K, 512)]);
        assert_eq!(found.layers[4].qkv(&shape), [(Q4K, 3584 + 1024)]);
    }

    #[test]
    fn the_plan_goes_by_the_shortest_batches() {
        let found = formats("Qwen2.5-0.5B-Instruct-GGUF", "q4_0").unwrap();
        let (q4_0, q8_0) = (Format::Blocks(Kind::Q4_0), Format::Blocks(Kind::Q8_0));
        assert_eq!(found.products(), [q4_0, q4_0, q4_0, q4_0, q8_0]);
        let mut mixed = found;
        mixed.layers[3].value = q8_0;
        assert_eq!(mixed.products(), [q8_0, q4_0, q4_0, q4_0, q8_0]);
    }

    #[test]
    fn unquantized_files_are_dense() {
        let found = formats("Qwen2.5-1.5B-Instruct-GGUF", "bf16").unwrap();
        assert_eq!(found, Formats::uniform(28, Format::Dense));
    }

    #[test]
    fn other_types_are_named() {
        let why = |id, mixture| formats(id, mixture).unwrap_err().to_string();
        assert_eq!(
            why("Qwen2.5-0.5B-Instruct-GGUF", "q4_k_m"),
            "its attn_q matrices are Q5_0; Q4_0, Q8_0, Q4_K and Q6_K are supported"
        );
        assert!(why("Qwen2.5-7B-Instruct-GGUF", "q5_k_m").starts_with("its attn_q matrices are Q5_K;"));
        assert!(formats("Qwen2.5-7B-Instruct-GGUF", "q6_k").is_ok());
    }

    /// Of Q4_K 3% more than in files, as both scales of a run take a byte each; of the others no more than rounding a pair of
    /// rows up to a sector.
    #[test]
    fn blocks_take_about_as_much_as_in_files() {
        let file = |kind: GgmlDType, values: usize| (values / kind.block_size() * kind.type_size()) as f64;
        for (format, kind, more) in [
            (Kind::Q4_0, GgmlDType::Q4_0, 1.0),
            (Kind::Q8_0, GgmlDType::Q8_0, 1.0),
            (Kind::Q4K, GgmlDType::Q4K, 37.0 / 36.0),
            (Kind::Q6K, GgmlDType::Q6K, 1.0),
        ] {
            for inputs in [896, 3584, 4864, 8960, 18_944] {
                let inputs = if kind.block_size() == 256 { inputs / 256 * 256 } else { inputs };
                let pair = Format::Blocks(format).bytes(2, inputs) as f64;
                let least = file(kind, 2 * inputs) * more;
                assert!((least..least + 32.0).contains(&pair), "{kind:?}, {inputs}: {pair}, {least}");
            }
        }
    }
}
