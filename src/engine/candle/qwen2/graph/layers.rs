//! The weights as the kernels want them: what is multiplied with the same vector lies in one matrix.

use candle_core::{DType, Device, Result, Tensor};

use super::gpu::{Address, LayerAddresses, Matrix};
use crate::engine::candle::qwen2::config::ModelConfig;
use crate::engine::candle::qwen2::weights::Weights;
use crate::models::Model;

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
    pub fn new(config: &ModelConfig, dtype: DType, capacity: usize, device: &Device) -> Result<Self> {
        let shape = &config.shape;
        let (hidden, inner) = (shape.hidden_size, shape.intermediate_size);
        let query = shape.num_attention_heads * shape.head_dim;
        let key = shape.num_key_value_heads * shape.head_dim;
        let matrix = |rows: usize, columns: usize| Tensor::zeros((rows, columns), dtype, device);
        let vector = |values: usize| Tensor::zeros(values, dtype, device);
        let cache = || Tensor::zeros((shape.num_key_value_heads, capacity, shape.head_dim), DType::BF16, device);
        Ok(Self {
            norm1: vector(hidden)?,
            qkv: matrix(query + 2 * key, hidden)?,
            bias: vector(query + 2 * key)?,
            output: matrix(hidden, query)?,
            norm2: vector(hidden)?,
            gate_up: matrix(2 * inner, hidden)?,
            down: matrix(hidden, inner)?,
            keys: cache()?,
            values: cache()?,
        })
    }

    /// Reads layer `index`.
    pub fn fill(&self, index: usize, config: &ModelConfig, weights: &mut Weights) -> Result<()> {
        let shape = &config.shape;
        let query = shape.num_attention_heads * shape.head_dim;
        let key = shape.num_key_value_heads * shape.head_dim;
        let attention = [("q_proj", query), ("k_proj", key), ("v_proj", key)];
        let gate_up = [("gate_proj", shape.intermediate_size), ("up_proj", shape.intermediate_size)];
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

    /// The addresses in the order of `struct DecodeLayer` of kernels/decode.cuh.
    fn table(&self) -> Result<Vec<i64>> {
        let tensors = [
            &self.norm1,
            &self.qkv,
            &self.bias,
            &self.output,
            &self.norm2,
            &self.gate_up,
            &self.down,
            &self.keys,
            &self.values,
        ];
        tensors.into_iter().map(|tensor| Ok(Address::of(tensor)?.bits())).collect()
    }

    /// For prefill.
    pub fn view(&self, shape: &Model) -> Result<LayerView> {
        let query = shape.num_attention_heads * shape.head_dim;
        let matrix = |tensor: &Tensor, inputs: usize| {
            Ok::<_, candle_core::Error>(Matrix { address: Address::of(tensor)?, outputs: tensor.dim(0)?, inputs })
        };
        Ok(LayerView {
            norm1: Address::of(&self.norm1)?,
            norm2: Address::of(&self.norm2)?,
            qkv: matrix(&self.qkv, shape.hidden_size)?,
            output: matrix(&self.output, query)?,
            gate_up: matrix(&self.gate_up, shape.hidden_size)?,
            down: matrix(&self.down, shape.intermediate_size)?,
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
        addresses.extend(layer.table()?);
    }
    let count = addresses.len();
    Tensor::from_vec(addresses, count, device)
}
