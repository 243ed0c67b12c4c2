//! The weights as the kernels want them: what is multiplied with the same vector lies in one matrix.

use candle_core::{DType, Device, Result, Tensor};

use super::decode_plan::Shape;
use super::gpu::{LayerAddresses, Matrix};
use super::layout::{Address, DecodeLayer};
use crate::engine::candle::qwen2::weights::Weights;

/// One layer: fused weights `[out, in]` and its cache `[kv_heads, positions, head_dim]`.
pub struct Layer {
    norm1: Tensor,
    qkv: Tensor,
    bias: Tensor,
    output: Tensor,
    norm2: Tensor,
    gate_up: Tensor,
    down: Tensor,
    keys: Tensor,
    values: Tensor,
}

impl Layer {
    /// Room for a layer, to be filled by `fill`.
    pub fn new(shape: &Shape, dtype: DType, capacity: usize, device: &Device) -> Result<Self> {
        let (hidden, inner) = (shape.hidden, shape.intermediate);
        let matrix = |rows: usize, columns: usize| Tensor::zeros((rows, columns), dtype, device);
        let vector = |values: usize| Tensor::zeros(values, dtype, device);
        let cache = || Tensor::zeros((shape.kv_heads, capacity, shape.head_dim), DType::BF16, device);
        Ok(Self {
            norm1: vector(hidden)?,
            qkv: matrix(shape.qkv(), hidden)?,
            bias: vector(shape.qkv())?,
            output: matrix(hidden, shape.query())?,
            norm2: vector(hidden)?,
            gate_up: matrix(2 * inner, hidden)?,
            down: matrix(hidden, inner)?,
            keys: cache()?,
            values: cache()?,
        })
    }

    /// Reads layer `index`.
    pub fn fill(&self, index: usize, shape: &Shape, weights: &mut Weights) -> Result<()> {
        let attention = [("q_proj", shape.query()), ("k_proj", shape.key()), ("v_proj", shape.key())];
        let gate_up = [("gate_proj", shape.intermediate), ("up_proj", shape.intermediate)];
        let prefix = format!("model.layers.{index}");
        fill_stacked(weights, &format!("{prefix}.self_attn"), &attention, "weight", &self.qkv)?;
        fill_stacked(weights, &format!("{prefix}.self_attn"), &attention, "bias", &self.bias)?;
        fill_stacked(weights, &format!("{prefix}.mlp"), &gate_up, "weight", &self.gate_up)?;
        let mut fill = |part: &str, place: &Tensor| weights.fill(&format!("{prefix}.{part}.weight"), place);
        fill("input_layernorm", &self.norm1)?;
        fill("self_attn.o_proj", &self.output)?;
        fill("post_attention_layernorm", &self.norm2)?;
        fill("mlp.down_proj", &self.down)
    }

    /// For decoding.
    fn addresses(&self) -> Result<DecodeLayer> {
        Ok(DecodeLayer {
            norm1: Address::of(&self.norm1)?,
            qkv: Address::of(&self.qkv)?,
            bias: Address::of(&self.bias)?,
            output: Address::of(&self.output)?,
            norm2: Address::of(&self.norm2)?,
            gate_up: Address::of(&self.gate_up)?,
            down: Address::of(&self.down)?,
            keys: Address::of(&self.keys)?,
            values: Address::of(&self.values)?,
        })
    }

    /// For prefill.
    pub fn view(&self, shape: &Shape) -> Result<LayerView> {
        let matrix = |tensor: &Tensor, inputs: usize| {
            Ok::<_, candle_core::Error>(Matrix { address: Address::of(tensor)?, outputs: tensor.dim(0)?, inputs })
        };
        Ok(LayerView {
            norm1: Address::of(&self.norm1)?,
            norm2: Address::of(&self.norm2)?,
            qkv: matrix(&self.qkv, shape.hidden)?,
            output: matrix(&self.output, shape.query())?,
            gate_up: matrix(&self.gate_up, shape.hidden)?,
            down: matrix(&self.down, shape.intermediate)?,
            vectors: LayerAddresses {
                bias: Address::of(&self.bias)?,
                keys: Address::of(&self.keys)?,
                values: Address::of(&self.values)?,
            },
        })
    }
}

/// A layer's addresses.
pub struct LayerView {
    pub norm1: Address,
    pub norm2: Address,
    pub qkv: Matrix,
    pub output: Matrix,
    pub gate_up: Matrix,
    pub down: Matrix,
    pub vectors: LayerAddresses,
}

/// Some projections' rows, one below the other.
fn fill_stacked(
    weights: &mut Weights,
    prefix: &str,
    projections: &[(&str, usize)],
    kind: &str,
    place: &Tensor,
) -> Result<()> {
    let mut first = 0;
    for (name, rows) in projections {
        weights.fill(&format!("{prefix}.{name}.{kind}"), &place.narrow(0, first, *rows)?)?;
        first += rows;
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
