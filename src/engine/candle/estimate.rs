//! What a model needs, from its shape: memory and time are estimates.

use super::cards::Cards;
use super::footprint::{self, Footprint};
use super::qwen2::graph;
use super::qwen2::plain::scores_limit;
use super::qwen2::reading;
use super::qwen2::weights::Source;
use super::{CandleKind, Implementation, default_prefill_chunk, held_dtype};
use crate::case::{Case, DeviceKind, Dtype, WeightsSource};
use crate::device::Capacity;
use crate::engine::{EngineError, EngineKind, Memory, ModelSpec, Needs};
use crate::error::Advice as _;
use crate::models::Model;

/// What a CUDA context, its libraries and their workspaces take.
const CUDA_CONTEXT: u64 = 600 << 20;

/// Share of the device's peak that is usually reached, by decoding (of bandwidth) and prefill (of arithmetic).
const DECODE_EFFICIENCY: f64 = 0.6;
const PREFILL_EFFICIENCY: f64 = 0.4;

/// Bytes that are moved to unpack a weight, beside its own: in one pass on a CPU, by a dozen operations on a GPU.
const UNPACKING_ON_CPU: f64 = 8.0;
const UNPACKING_ON_CUDA: f64 = 50.0;

/// Bytes per second at which weights are read or made.
const LOAD_RATE: f64 = 2e9;

/// What `case` needs of `device`, roughly.
pub fn needs(spec: &ModelSpec, case: &Case, device: &Capacity) -> Result<Needs, EngineError> {
    let shape = CandleKind.shape(&spec.model, spec.directory.as_deref())?;
    let shape = shape.ok_or_else(|| EngineError::Failed(format!("unknown model `{}`", spec.model)))?;
    let (implementation, instead) = running(Implementation::of(spec)?, spec, &shape)?;
    let held = held_dtype(implementation, spec.device, spec.dtype);
    let footprint = Footprint::of(spec, &shape, implementation, held)?;
    let cards = Cards::of(spec, &shape, implementation)?;
    let whole = memory(spec, implementation, case, &shape, held, footprint);
    let by_card = cards.memory(spec, &shape, held, whole, footprint)?;
    let decode_rate = device.bandwidth * cards.decode_share() * DECODE_EFFICIENCY;
    let prefill_share = cards.prefill_share(case, default_prefill_chunk(spec.device) as u64);
    Ok(Needs {
        memory: Some(if by_card.is_empty() { whole } else { Memory::sum(&by_card) }),
        by_card,
        lacking: lacking(spec),
        instead,
        obstacle: cards.obstacle().or_else(|| obstacle(spec.device, implementation, case, &shape)),
        vocab_size: Some(shape.vocab_size),
        load_seconds: Footprint::of(spec, &shape, implementation, spec.dtype)?.held as f64 / LOAD_RATE,
        prefill_seconds: operations(case, &shape) / (device.flops * prefill_share * PREFILL_EFFICIENCY),
        step_seconds: step_bytes(spec.device, implementation, footprint) / decode_rate
            + step_overhead(implementation, &shape),
        cached_token_seconds: shape.kv_bytes_per_token(held) as f64 / decode_rate,
    })
}

/// What is wrong with the model's files, as far as their headers and indices tell; or why weights like theirs can't be made.
fn lacking(spec: &ModelSpec) -> Option<String> {
    let directory = spec.directory.as_ref()?;
    let config = reading::config(directory, &spec.model).ok()?;
    let source = match spec.weights {
        WeightsSource::Local => Source::open(directory, &config),
        WeightsSource::Generated => Source::generated(0, &config, Some(directory)),
        WeightsSource::Hub => return None,
    };
    source.err().map(|error| error.in_one_line())
}

/// What runs where `asked` is asked for, and a sentence where that is something else: `plain` runs what `graph` can't.
fn running(
    asked: Implementation,
    spec: &ModelSpec,
    shape: &Model,
) -> Result<(Implementation, Option<String>), EngineError> {
    if asked != Implementation::Graph || spec.device != DeviceKind::Cuda {
        return Ok((asked, None));
    }
    let why = match spec.dtype {
        Dtype::Bf16 => footprint::unfit_for_graph(spec, shape)?.map(|unfit| unfit.to_string()),
        other => Some(format!("it computes in bf16, not in {other}")),
    };
    Ok(match why {
        None => (asked, None),
        Some(why) => {
            (Implementation::Plain, Some(format!("graph can't run it ({why}): the plain implementation runs instead")))
        }
    })
}

fn memory(
    spec: &ModelSpec,
    implementation: Implementation,
    case: &Case,
    shape: &Model,
    held: Dtype,
    footprint: Footprint,
) -> Memory {
    let device = spec.device;
    let context = u64::from(case.context_length);
    let size = held.size();
    let chunk = context.min(default_prefill_chunk(device) as u64);
    let sequences = u64::from(case.batch_size);
    let activations = sequences * chunk * (4 * shape.hidden_size as u64 + 3 * shape.intermediate_size as u64) * size;
    let heads = shape.num_attention_heads as u64;
    let kv_cache = (sequences * u64::from(case.length())).saturating_mul(shape.kv_bytes_per_token(held));
    let buffers = match implementation {
        Implementation::Graph => graph::buffer_bytes(shape, case.length() as usize, spec.gpus.count()) as u64,
        // Scores and their softmax, both in f32 and in the model's type, a block at a time.
        Implementation::Plain => {
            activations + (sequences * heads * chunk * context).min(scores_limit(device) as u64) * 2 * (4 + size)
        }
        // Scores of the whole prompt, and one layer's keys and values repeated for each query head.
        Implementation::Stock => {
            let repeats = heads / shape.num_key_value_heads as u64;
            let scores = 3 * sequences * heads * context * context * size;
            activations + scores + 2 * repeats * kv_cache / shape.num_hidden_layers as u64
        }
    };
    let runtime = if device == DeviceKind::Cuda { CUDA_CONTEXT } else { 0 };
    let unpacked = match (implementation, device) {
        (Implementation::Graph, _) | (Implementation::Plain, DeviceKind::Cuda) => footprint.unpacked,
        (Implementation::Plain | Implementation::Stock, _) => 0,
    };
    let workspace = runtime + unpacked + buffers + sequences * shape.vocab_size as u64 * 4;
    Memory { weights: footprint.held, kv_cache, workspace }
}

/// Bytes of weights that a decode step moves.
fn step_bytes(device: DeviceKind, implementation: Implementation, footprint: Footprint) -> f64 {
    let read = footprint.read as f64;
    let unpacking = match (implementation, device) {
        (Implementation::Graph, _) => 0.0,
        (Implementation::Plain | Implementation::Stock, DeviceKind::Cpu) => UNPACKING_ON_CPU,
        (Implementation::Plain | Implementation::Stock, DeviceKind::Cuda) => UNPACKING_ON_CUDA,
    };
    read + unpacking * footprint.packed as f64
}

/// candle's softmax counts its elements in 32 bits.
fn obstacle(device: DeviceKind, implementation: Implementation, case: &Case, shape: &Model) -> Option<String> {
    if implementation != Implementation::Stock {
        return None;
    }
    let (length, most) = (case.length(), shape.max_position_embeddings);
    if length as usize > most {
        return Some(format!(
            "`stock` can't hold {length} tokens: its position encoding ends at max_position_embeddings ({most}): use `plain`"
        ));
    }
    let context = u64::from(case.context_length);
    let scores = u64::from(case.batch_size) * shape.num_attention_heads as u64 * context * context;
    if device == DeviceKind::Cpu || scores <= i32::MAX as u64 {
        return None;
    }
    let heads = f64::from(case.batch_size) * shape.num_attention_heads as f64;
    let longest = (f64::from(i32::MAX) / heads).sqrt() as u64;
    Some(format!(
        "`stock` prefills in one piece and can't index more than {longest} tokens of this model: use `graph` or `plain`"
    ))
}

/// Floating-point operations of the prefill.
fn operations(case: &Case, shape: &Model) -> f64 {
    let context = f64::from(case.context_length);
    shape.flops_per_token() as f64 * context + shape.attention_flops_per_token_squared() as f64 * context * context
}

/// Time of a decode step in which the device waits for the host to launch the next kernel, in seconds.
fn step_overhead(implementation: Implementation, shape: &Model) -> f64 {
    match implementation {
        // One launch for the whole step.
        Implementation::Graph => 0.0,
        // About 40 launches a layer, 5 us each.
        Implementation::Plain | Implementation::Stock => 200e-6 * shape.num_hidden_layers as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Gpus, Ordinals};

    /// Of `graph`, in MiB on all cards, without what the CUDA context takes.
    fn allocated(id: &str, cards: usize, context: u32, generated: u32) -> f64 {
        let spec = ModelSpec { gpus: Ordinals::first(cards), ..ModelSpec::generated(id, DeviceKind::Cuda) };
        let device = Capacity::of(DeviceKind::Cuda, &Gpus::Unknown((0..cards as u32).collect()));
        let needs = needs(&spec, &spec.case(context, generated), &device).unwrap();
        let all = needs.memory.unwrap().total() - cards as u64 * CUDA_CONTEXT;
        all as f64 / f64::from(1 << 20)
    }

    /// As docs/measured has it: sessions whose longest case this was, on an H100 and on two H200.
    #[test]
    fn graph_allocates_what_is_estimated() {
        for (name, cards, context, generated, measured) in [
            ("0.5B-Instruct", 1, 129_024, 2048, 2814.65),
            ("1.5B-Instruct", 1, 6144, 2048, 3721.52),
            ("3B-Instruct", 1, 6144, 2048, 6777.71),
            ("7B-Instruct", 1, 30_720, 2048, 16_927.2),
            ("7B-Instruct-GPTQ-Int4", 1, 1, 2048, 5925.47),
            ("7B-Instruct-GPTQ-Int8", 1, 6144, 512, 9587.08),
            ("72B-Instruct-GPTQ-Int4", 1, 1, 256, 40_834.6),
            ("7B-Instruct", 2, 6144, 512, 17_173.8),
            ("32B-Instruct", 2, 6144, 512, 67_031.5),
            ("72B-Instruct", 2, 1, 512, 141_395.0),
            ("7B-Instruct-GPTQ-Int4", 2, 6144, 512, 8295.81),
            ("72B-Instruct-GPTQ-Int4", 2, 1, 512, 43_639.8),
        ] {
            let estimated = allocated(&format!("Qwen/Qwen2.5-{name}"), cards, context, generated);
            let away = estimated - measured;
            assert!(away.abs() < 8.0, "{name} on {cards}: {estimated:.1} MiB, measured {measured}");
        }
    }
}
