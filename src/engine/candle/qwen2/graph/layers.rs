//! The weights as the kernels want them: what is multiplied with the same vector lies in one matrix.

use candle_core::{DType, Device, Result, Tensor};

use super::decode_plan::Shape;
use super::formats::LayerFormats;
use super::geometry::Matrix;
use super::gpu::LayerAddresses;
use super::halves::Cut;
use super::layout::{Address, DecodeLayer};
use super::packer::Packer;
use super::stacked::{Projection, Stacked};
use crate::engine::candle::qwen2::weights::Weights;

/// One layer: its matrices, its vectors and its cache `[kv_heads, positions, head_dim]`.
pub struct Layer {
    norm1: Tensor,
    qkv: Stacked,
    bias: Tensor,
    output: Stacked,
    norm2: Tensor,
    gate_up: Stacked,
    down: Stacked,
    keys: Tensor,
    values: Tensor,
    formats: LayerFormats,
}

impl Layer {
    /// Room for a layer, to be filled by `fill`.
    pub fn new(shape: &Shape, formats: &LayerFormats, capacity: usize, device: &Device) -> Result<Self> {
        let (hidden, inner) = (shape.hidden, shape.intermediate);
        // Pairs of rows are those that the kernel finishes together: rotated, or of the gate and the up projection.
        let whole = |format, rows, columns, distance| Stacked::new(&[(format, rows)], columns, distance, device);
        let vector = |values: usize| Tensor::zeros(values, DType::BF16, device);
        let cache = || Tensor::zeros((shape.kv_heads, capacity, shape.head_dim), DType::BF16, device);
        Ok(Self {
            norm1: vector(hidden)?,
            qkv: Stacked::new(&formats.qkv(shape), hidden, shape.head_dim / 2, device)?,
            bias: vector(shape.qkv())?,
            output: whole(formats.output, hidden, shape.query(), 1)?,
            norm2: vector(hidden)?,
            gate_up: whole(formats.gate_up, 2 * inner, hidden, inner)?,
            down: whole(formats.down, hidden, inner, 1)?,
            keys: cache()?,
            values: cache()?,
            formats: *formats,
        })
    }

    /// Reads layer `index`. `packer`: of packed weights.
    pub fn fill(&self, index: usize, shape: &Shape, packer: Option<&Packer>, weights: &mut Weights) -> Result<()> {
        let attention = [("q_proj", shape.query()), ("k_proj", shape.key()), ("v_proj", shape.key())];
        let gate_up = [("gate_proj", shape.intermediate), ("up_proj", shape.intermediate)];
        let layer = format!("model.layers.{index}");
        let (block, mlp) = (format!("{layer}.self_attn"), format!("{layer}.mlp"));
        self.qkv.fill(weights, packer, &block, &attention)?;
        fill_biases(weights, &block, &attention, &self.bias)?;
        self.gate_up.fill(weights, packer, &mlp, &gate_up)?;
        weights.fill(&format!("{layer}.input_layernorm.weight"), &self.norm1)?;
        self.output.fill(weights, packer, &block, &[("o_proj", shape.hidden)])?;
        weights.fill(&format!("{layer}.post_attention_layernorm.weight"), &self.norm2)?;
        self.down.fill(weights, packer, &mlp, &[("down_proj", shape.hidden)])
    }

    /// Of a layer that is a half: where each vector of layer `index` goes, and what of it. `shape`: of the half.
    pub fn vectors(&self, index: usize, shape: &Shape) -> Result<Vec<(String, Cut, Tensor)>> {
        let (query, key) = (shape.query(), shape.key());
        let bias = |first, values| self.bias.narrow(0, first, values);
        let vectors = [
            ("self_attn.q_proj.bias", Cut::Rows, bias(0, query)?),
            ("self_attn.k_proj.bias", Cut::Rows, bias(query, key)?),
            ("self_attn.v_proj.bias", Cut::Rows, bias(query + key, key)?),
            ("input_layernorm.weight", Cut::Whole, self.norm1.clone()),
            ("post_attention_layernorm.weight", Cut::Whole, self.norm2.clone()),
        ];
        Ok(vectors.map(|(name, cut, place)| (format!("model.layers.{index}.{name}"), cut, place)).into())
    }

    /// The same of its matrices.
    pub fn projections(&self, index: usize, shape: &Shape) -> [HalfProjection<'_>; 7] {
        let (query, key, inner, hidden) = (shape.query(), shape.key(), shape.intermediate, shape.hidden);
        let Self { qkv, output, gate_up, down, .. } = self;
        [
            ("self_attn.q_proj", Cut::Rows, qkv, 0, query),
            ("self_attn.k_proj", Cut::Rows, qkv, query, key),
            ("self_attn.v_proj", Cut::Rows, qkv, query + key, key),
            ("self_attn.o_proj", Cut::Columns, output, 0, hidden),
            ("mlp.gate_proj", Cut::Rows, gate_up, 0, inner),
            ("mlp.up_proj", Cut::Rows, gate_up, inner, inner),
            ("mlp.down_proj", Cut::Columns, down, 0, hidden),
        ]
        .map(|(name, cut, matrix, first, rows)| {
            let name = format!("model.layers.{index}.{name}");
            HalfProjection { name, cut, matrix, first, rows }
        })
    }

    /// For decoding.
    fn addresses(&self) -> Result<DecodeLayer> {
        Ok(DecodeLayer {
            norm1: Address::of(&self.norm1)?,
            qkv: self.qkv.address()?,
            bias: Address::of(&self.bias)?,
            output: self.output.address()?,
            norm2: Address::of(&self.norm2)?,
            gate_up: self.gate_up.address()?,
            down: self.down.address()?,
            keys: Address::of(&self.keys)?,
            values: Address::of(&self.values)?,
            kinds: self.formats.kinds(),
        })
    }

    /// For prefill.
    pub fn view(&self) -> Result<LayerView> {
        Ok(LayerView {
            norm1: Address::of(&self.norm1)?,
            norm2: Address::of(&self.norm2)?,
            qkv: self.qkv.matrices()?,
            output: self.output.matrices()?,
            gate_up: self.gate_up.matrices()?,
            down: self.down.matrices()?,
            vectors: LayerAddresses {
                bias: Address::of(&self.bias)?,
                keys: Address::of(&self.keys)?,
                values: Address::of(&self.values)?,
            },
        })
    }
}

/// Where a half of a projection goes: to so many rows of a matrix.
pub struct HalfProjection<'a> {
    pub name: String,
    pub cut: Cut,
    pub matrix: &'a Stacked,
    pub first: usize,
    pub rows: usize,
}

impl HalfProjection<'_> {
    /// Outputs and inputs of the whole projection.
    pub fn whole(&self) -> (usize, usize) {
        let whole = self.cut.whole(&[self.rows, self.matrix.inputs()]);
        (whole[0], whole[1])
    }
}

/// A layer's addresses; of each matrix its parts.
pub struct LayerView {
    pub norm1: Address,
    pub norm2: Address,
    pub qkv: Vec<Matrix>,
    pub output: Vec<Matrix>,
    pub gate_up: Vec<Matrix>,
    pub down: Vec<Matrix>,
    pub vectors: LayerAddresses,
}

/// Some projections' biases, one behind the other.
fn fill_biases(weights: &mut Weights, block: &str, projections: &[Projection], place: &Tensor) -> Result<()> {
    let mut first = 0;
    for (name, values) in projections {
        weights.fill(&format!("{block}.{name}.bias"), &place.narrow(0, first, *values)?)?;
        first += values;
    }
    Ok(())
}

/// The table of all layers' addresses, on the GPU.
pub fn table(layers: &[Layer], device: &Device) -> Result<Tensor> {
    let mut addresses = Vec::new();
    for layer in layers {
        addresses.extend(layer.addresses()?.words());
    }
    let count = addresses.len();
    Tensor::from_vec(addresses, count, device)
}
