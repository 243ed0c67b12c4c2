//! The weights as the kernels want them: what is multiplied with the same vector lies in one matrix.

use candle_core::{DType, Result, Tensor};

use super::gpu::{Address, LayerAddresses, Matrix};
use crate::engine::qwen2::config::ModelConfig;
use crate::engine::qwen2::weights::Weights;
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

/// Some projections' rows one below the other. Each is copied before the next is read, so that little more than the result
/// is held at any time.
fn stacked(
    weights: &mut Weights,
    prefix: &str,
    projections: &[(&str, usize)],
    kind: &str,
    inputs: &[usize],
) -> Result<Tensor> {
    let shape = |rows: usize| [&[rows], inputs].concat();
    let rows = projections.iter().map(|(_, rows)| rows).sum();
    let all = Tensor::zeros(shape(rows), weights.dtype(), weights.device())?;
    let mut first = 0;
    for (name, rows) in projections {
        let part = weights.get(&format!("{prefix}.{name}.{kind}"), &shape(*rows))?;
        all.slice_set(&part, 0, first)?;
        first += rows;
    }
    Ok(all)
}

impl Layer {
    pub fn load(index: usize, config: &ModelConfig, weights: &mut Weights, capacity: usize) -> Result<Self> {
        let shape = &config.shape;
        let (hidden, inner) = (shape.hidden_size, shape.intermediate_size);
        let query = shape.num_attention_heads * shape.head_dim;
        let key = shape.num_key_value_heads * shape.head_dim;
        let attention = [("self_attn.q_proj", query), ("self_attn.k_proj", key), ("self_attn.v_proj", key)];
        let prefix = format!("model.layers.{index}");
        let qkv = stacked(weights, &prefix, &attention, "weight", &[hidden])?;
        let bias = stacked(weights, &prefix, &attention, "bias", &[])?;
        let gate_up =
            stacked(weights, &prefix, &[("mlp.gate_proj", inner), ("mlp.up_proj", inner)], "weight", &[hidden])?;
        let mut get = |part: &str, shape: &[usize]| weights.get(&format!("{prefix}.{part}"), shape);
        let norm1 = get("input_layernorm.weight", &[hidden])?;
        let output = get("self_attn.o_proj.weight", &[hidden, query])?;
        let norm2 = get("post_attention_layernorm.weight", &[hidden])?;
        let down = get("mlp.down_proj.weight", &[hidden, inner])?;
        let cache =
            || Tensor::zeros((shape.num_key_value_heads, capacity, shape.head_dim), DType::BF16, weights.device());
        let (keys, values) = (cache()?, cache()?);
        Ok(Self { norm1, qkv, bias, output, norm2, gate_up, down, keys, values })
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

/// The table of all layers' addresses, on the GPU.
pub fn table(layers: &[Layer], device: &candle_core::Device) -> Result<Tensor> {
    let mut addresses = Vec::new();
    for layer in layers {
        addresses.extend(layer.table()?);
    }
    let count = addresses.len();
    Tensor::from_vec(addresses, count, device)
}
