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

    /// Of a dense layer that is a half: where each tensor of layer `index` goes, and what of it. `shape`: of the half.
    pub fn places(&self, index: usize, shape: &Shape) -> Result<Vec<(String, Cut, Tensor)>> {
        let (query, key, inner, hidden) = (shape.query(), shape.key(), shape.intermediate, shape.hidden);
        let mut places = Vec::new();
        for (name, first, values) in [("q", 0, query), ("k", query, key), ("v", query + key, key)] {
            let name = format!("self_attn.{name}_proj");
            places.push((format!("{name}.weight"), Cut::Rows, self.qkv.rows(first, values)?));
            places.push((format!("{name}.bias"), Cut::Rows, self.bias.narrow(0, first, values)?));
        }
        for (name, first) in [("gate", 0), ("up", inner)] {
            places.push((format!("mlp.{name}_proj.weight"), Cut::Rows, self.gate_up.rows(first, inner)?));
        }
        places.push(("self_attn.o_proj.weight".into(), Cut::Columns, self.output.rows(0, hidden)?));
        places.push(("mlp.down_proj.weight".into(), Cut::Columns, self.down.rows(0, hidden)?));
        places.push(("input_layernorm.weight".into(), Cut::Whole, self.norm1.clone()));
        places.push(("post_attention_layernorm.weight".into(), Cut::Whole, self.norm2.clone()));
        Ok(places.into_iter().map(|(name, cut, place)| (format!("model.layers.{index}.{name}"), cut, place)).collect())
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
