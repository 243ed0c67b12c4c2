//! Writes a model's files with made-up weights: names, shapes, types and shards as Qwen publishes them, without a download.
//! For measuring how long loading takes, and for trying what reads such files.
//!
//! ```text
//! cargo run --release --example write_checkpoint -- Qwen2.5-7B-Instruct-GPTQ-Int4 ./7b-int4
//! bench-diff generate ./7b-int4 --prompt-ids 1,2,3 --generated-length 8
//! ```
//!
//! The arguments are a model of the collection (dense, GPTQ or AWQ) or a directory with a config.json, the directory to
//! make, and perhaps the most bytes of a file. A number has a random sign and mantissa and the exponent that gives the
//! matrix about the deviation of generated weights; integers are random.

#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::exit, reason = "a program for us")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use bench_diff::case::{Dtype, Quantization};
use bench_diff::engine::ENGINES;
use rayon::prelude::*;
use serde_json::{Value, json};

/// The most bytes of a published file.
const SHARD: usize = 4_000_000_000;
/// Bytes that are made at a time, on all cores.
const PIECE: usize = 64 << 20;
/// Bytes that a core makes of them.
const PART: usize = 1 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let written = match arguments.as_slice() {
        [model, directory] => write(model, Path::new(directory), SHARD),
        [model, directory, most] => match most.parse() {
            Ok(most) => write(model, Path::new(directory), most),
            Err(_) => Err(format!("{most:?} is no number of bytes").into()),
        },
        _ => Err("usage: write_checkpoint MODEL DIRECTORY [BYTES_OF_A_FILE]".into()),
    };
    if let Err(error) = written {
        eprintln!("error: {error}");
        std::process::exit(2);
    }
}

/// Writes what `model` names to `directory`, which isn't there yet, in files of at most `most` bytes.
pub fn write(model: &str, directory: &Path, most: usize) -> Result<(), Box<dyn Error>> {
    let source = Some(Path::new(model)).filter(|path| path.is_dir());
    let shape = ENGINES[0].shape(model, source)?.ok_or_else(|| format!("{model} is no model of the collection"))?;
    let half = match shape.torch_dtype {
        Some(Dtype::Bf16) => BF16,
        Some(Dtype::F16) => F16,
        other => return Err(format!("{model} has weights of {other:?}; only bf16 and f16 are written").into()),
    };
    let (bits, group) = shape.packing.map_or((0, 0), |packing| (packing.bits, packing.group.unwrap_or(usize::MAX)));
    let is_awq = shape.quantization == Quantization::Awq;
    let layout = Layout { half, bits, group, is_awq };
    let (hidden, inner) = (shape.hidden_size, shape.intermediate_size);
    let (query, key) = (shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim);
    let mut tensors = vec![layout.numbers("model.embed_tokens.weight", &[shape.vocab_size, hidden])];
    tensors.extend((0..shape.num_hidden_layers).flat_map(|index| layout.layer(index, hidden, inner, query, key)));
    tensors.push(layout.ones("model.norm.weight", hidden));
    if !shape.tie_word_embeddings {
        tensors.push(layout.numbers("lm_head.weight", &[shape.vocab_size, hidden]));
    }
    fs::create_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let config = match source {
        Some(source) => fs::read_to_string(source.join("config.json"))?,
        None => serde_json::to_string_pretty(&json!({
            "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu",
            "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": shape.num_hidden_layers,
            "num_attention_heads": shape.num_attention_heads, "num_key_value_heads": shape.num_key_value_heads,
            "vocab_size": shape.vocab_size, "max_position_embeddings": shape.max_position_embeddings,
            "rope_theta": shape.rope_theta, "rms_norm_eps": shape.rms_norm_eps,
            "tie_word_embeddings": shape.tie_word_embeddings, "use_sliding_window": false,
            "torch_dtype": half.config, "quantization_config": layout.config(),
        }))?,
    };
    fs::write(directory.join("config.json"), config)?;
    write_files(directory, &tensors, most)
}

/// A type of 16 bits.
#[derive(Clone, Copy)]
struct Half {
    /// In safetensors, and in config.json.
    name: &'static str,
    config: &'static str,
    /// Bits below the exponent, the exponent's bias, and 1.
    mantissa: u32,
    bias: u64,
    one: u64,
}

const F16: Half = Half { name: "F16", config: "float16", mantissa: 10, bias: 15, one: 0x3c00 };
const BF16: Half = Half { name: "BF16", config: "bfloat16", mantissa: 7, bias: 127, one: 0x3f80 };

/// How a model's matrices are stored. `bits` are 0 for dense ones.
struct Layout {
    half: Half,
    bits: usize,
    group: usize,
    is_awq: bool,
}

struct Tensor {
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
    content: Content,
}

/// What a tensor's words of 64 bits are.
enum Content {
    /// Random where `keep` has a bit; and `set`.
    Random { keep: u64, set: u64 },
    /// The group of each input, in 32 bits.
    Groups(usize),
}

/// Four times 16 bits.
const fn four(bits: u64) -> u64 {
    bits * 0x0001_0001_0001_0001
}

/// Numbers of `2^exponent` to twice that, and of both signs where `is_signed`.
fn around(half: Half, exponent: i64, is_signed: bool) -> Content {
    let sign = if is_signed { 1 << 15 } else { 0 };
    let exponent = (half.bias as i64 + exponent) as u64;
    Content::Random { keep: four(sign | ((1 << half.mantissa) - 1)), set: four(exponent << half.mantissa) }
}

impl Layout {
    fn numbers(&self, name: &str, shape: &[usize]) -> Tensor {
        let content = around(self.half, -6, true);
        Tensor { name: name.to_owned(), dtype: self.half.name, shape: shape.to_vec(), content }
    }

    fn ones(&self, name: &str, count: usize) -> Tensor {
        let content = Content::Random { keep: 0, set: four(self.half.one) };
        Tensor { content, ..self.numbers(name, &[count]) }
    }

    fn layer(&self, index: usize, hidden: usize, inner: usize, query: usize, key: usize) -> Vec<Tensor> {
        let at = |part: &str| format!("model.layers.{index}.{part}");
        let norms = ["input_layernorm.weight", "post_attention_layernorm.weight"];
        let mut tensors: Vec<_> = norms.iter().map(|name| self.ones(&at(name), hidden)).collect();
        for (name, outputs) in [("q_proj", query), ("k_proj", key), ("v_proj", key)] {
            let name = at(&format!("self_attn.{name}"));
            tensors.push(self.numbers(&format!("{name}.bias"), &[outputs]));
            tensors.extend(self.linear(&name, outputs, hidden));
        }
        tensors.extend(self.linear(&at("self_attn.o_proj"), hidden, query));
        tensors.extend(self.linear(&at("mlp.gate_proj"), inner, hidden));
        tensors.extend(self.linear(&at("mlp.up_proj"), inner, hidden));
        tensors.extend(self.linear(&at("mlp.down_proj"), hidden, inner));
        tensors
    }

    /// The tensors of a linear layer.
    fn linear(&self, name: &str, outputs: usize, inputs: usize) -> Vec<Tensor> {
        if self.bits == 0 {
            return vec![self.numbers(&format!("{name}.weight"), &[outputs, inputs])];
        }
        let group = self.group.min(inputs);
        let groups = inputs / group;
        let words = |part: &str, shape: &[usize], content| Tensor {
            name: format!("{name}.{part}"),
            dtype: "I32",
            shape: shape.to_vec(),
            content,
        };
        let packed = outputs * self.bits / 32;
        let codes = if self.is_awq { [inputs, packed] } else { [inputs * self.bits / 32, outputs] };
        // GPTQ stores the middle minus one; AWQ's are the middle or one above.
        let (keep, set) = match (self.is_awq, self.bits) {
            (true, _) => (0x1111_1111_1111_1111, 0x8888_8888_8888_8888),
            (false, 4) => (0, 0x7777_7777_7777_7777),
            (false, _) => (0, 0x7f7f_7f7f_7f7f_7f7f),
        };
        let scales = Tensor { dtype: "F16", ..self.numbers(&format!("{name}.scales"), &[groups, outputs]) };
        let mut tensors = vec![
            words("qweight", &codes, Content::Random { keep: u64::MAX, set: 0 }),
            words("qzeros", &[groups, packed], Content::Random { keep, set }),
            Tensor { content: around(F16, if self.bits == 4 { -8 } else { -12 }, false), ..scales },
        ];
        if !self.is_awq {
            tensors.push(words("g_idx", &[inputs], Content::Groups(group)));
        }
        tensors
    }

    /// `quantization_config`.
    fn config(&self) -> Value {
        let group = if self.group == usize::MAX { -1 } else { self.group as i64 };
        match (self.bits, self.is_awq) {
            (0, _) => Value::Null,
            (_, true) => {
                json!({ "quant_method": "awq", "bits": 4, "group_size": group, "zero_point": true, "version": "gemm" })
            }
            (bits, false) => {
                json!({ "quant_method": "gptq", "bits": bits, "group_size": group, "sym": true, "desc_act": false })
            }
        }
    }
}

impl Tensor {
    fn bytes(&self) -> usize {
        let size = if self.dtype == "I32" { 4 } else { 2 };
        self.shape.iter().product::<usize>() * size
    }

    fn write(&self, file: &mut File, buffer: &mut Vec<u8>) -> std::io::Result<()> {
        let seed = self.name.bytes().fold(1, |seed, byte| mixed(seed ^ u64::from(byte)));
        for start in (0..self.bytes()).step_by(PIECE) {
            buffer.resize(PIECE.min(self.bytes() - start), 0);
            buffer.par_chunks_mut(PART).enumerate().for_each(|(index, part)| {
                let first = (start + index * PART) as u64 / 8;
                for (place, index) in part.chunks_mut(8).zip(first..) {
                    place.copy_from_slice(&self.content.word(seed, index).to_le_bytes()[..place.len()]);
                }
            });
            file.write_all(buffer)?;
        }
        Ok(())
    }
}

impl Content {
    /// The `index`th word of 64 bits.
    fn word(&self, seed: u64, index: u64) -> u64 {
        match *self {
            Self::Random { keep, set } => (mixed(seed.wrapping_add(index)) & keep) | set,
            Self::Groups(group) => {
                let of = |input: u64| input / group as u64;
                of(2 * index) | of(2 * index + 1) << 32
            }
        }
    }
}

/// Steele, Lea and Flood's SplitMix64.
fn mixed(index: u64) -> u64 {
    let mut bits = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// One file, or several of at most `most` bytes and their index.
fn write_files(directory: &Path, tensors: &[Tensor], most: usize) -> Result<(), Box<dyn Error>> {
    let mut files: Vec<Vec<&Tensor>> = vec![Vec::new()];
    let mut total = 0;
    for tensor in tensors {
        let last = files.len() - 1;
        if total + tensor.bytes() > most && !files[last].is_empty() {
            files.push(vec![tensor]);
            total = 0;
        } else {
            files[last].push(tensor);
        }
        total += tensor.bytes();
    }
    if let [all] = files.as_slice() {
        return write_file(&directory.join("model.safetensors"), all);
    }
    let mut places = BTreeMap::new();
    for (index, tensors) in files.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", index + 1, files.len());
        write_file(&directory.join(&name), tensors)?;
        places.extend(tensors.iter().map(|tensor| (&tensor.name, name.clone())));
    }
    let total: usize = tensors.iter().map(Tensor::bytes).sum();
    let index = json!({ "metadata": { "total_size": total }, "weight_map": places });
    Ok(fs::write(directory.join("model.safetensors.index.json"), index.to_string())?)
}

fn write_file(path: &Path, tensors: &[&Tensor]) -> Result<(), Box<dyn Error>> {
    let mut end = 0;
    let mut header = serde_json::Map::new();
    for tensor in tensors {
        let begin = end;
        end += tensor.bytes();
        let entry = json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, end] });
        header.insert(tensor.name.clone(), entry);
    }
    let mut header = Value::from(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = File::create_new(path).map_err(|error| format!("{}: {error}", path.display()))?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    let mut buffer = Vec::new();
    tensors.iter().try_for_each(|tensor| tensor.write(&mut file, &mut buffer))?;
    Ok(())
}
