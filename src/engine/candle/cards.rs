//! The devices that a model is laid on: which layers each has, or a half of them all, what it needs, and how much of them
//! works at a time.

use std::ops::Range;

use candle_core::Device;

use super::footprint::{Footprint, PartBytes};
use super::layer_split::{Place, split, too_many};
use super::{Implementation, held_dtype};
use crate::case::{Case, Dtype};
use crate::engine::{EngineError, Memory, ModelSpec};
use crate::models::Model;

/// How a model is laid on devices.
pub enum Cards {
    /// Each has some layers. A single one has all.
    Layers(Vec<Range<usize>>),
    /// Two have a half of each layer, as `graph` does it.
    Halves,
}

/// The layers of each device that `spec` names.
fn layers(spec: &ModelSpec, shape: &Model) -> Result<Vec<Range<usize>>, EngineError> {
    if spec.gpus.count() <= 1 {
        return Ok(vec![0..shape.num_hidden_layers; 1]);
    }
    let held = held_dtype(Implementation::Plain, spec.device, spec.dtype);
    Ok(split(&PartBytes::of(spec, shape, held)?, spec.gpus.count()))
}

/// Each device with its layers.
pub fn places(spec: &ModelSpec, shape: &Model, devices: &[Device]) -> Result<Vec<Place>, EngineError> {
    let place = |(device, layers): (&Device, &Range<usize>)| Place { device: device.clone(), layers: layers.clone() };
    let layers = layers(spec, shape)?;
    match too_many(&layers) {
        Some(why) => Err(EngineError::Failed(why)),
        None => Ok(devices.iter().zip(&layers).map(place).collect()),
    }
}

impl Cards {
    /// Of the devices that `spec` names, where `implementation` runs.
    pub fn of(spec: &ModelSpec, shape: &Model, implementation: Implementation) -> Result<Self, EngineError> {
        if implementation == Implementation::Graph && spec.gpus.count() > 1 {
            return Ok(Self::Halves);
        }
        layers(spec, shape).map(Self::Layers)
    }

    /// Why they are too many.
    pub fn obstacle(&self) -> Option<String> {
        match self {
            Self::Layers(layers) => too_many(layers),
            Self::Halves => None,
        }
    }

    /// What each needs, where a single one needed `whole`; empty where there is a single one.
    pub fn memory(
        &self,
        spec: &ModelSpec,
        shape: &Model,
        held: Dtype,
        whole: Memory,
        footprint: Footprint,
    ) -> Result<Vec<Memory>, EngineError> {
        let all = match self {
            Self::Layers(all) if all.len() == 1 => return Ok(Vec::new()),
            Self::Layers(all) => all,
            Self::Halves => return Ok(vec![half(shape, held, whole); 2]),
        };
        let parts = PartBytes::of(spec, shape, held)?;
        let last = all.len() - 1;
        let card = |(place, layers): (usize, &Range<usize>)| {
            let embedding = if place == 0 { parts.embedding } else { 0 };
            let head = if place == last { parts.head } else { 0 };
            // Only the last unpacks the output projection.
            let spared = if place == last { 0 } else { footprint.unpacked - footprint.unpacked_of_layers };
            Memory {
                weights: embedding + parts.layers[layers.clone()].iter().sum::<u64>() + head,
                kv_cache: whole.kv_cache / shape.num_hidden_layers as u64 * layers.len() as u64,
                workspace: whole.workspace - spared,
            }
        };
        Ok(all.iter().enumerate().map(card).collect())
    }

    /// The share of all cards' bandwidth that a decode step can use: its layers come one after the other.
    pub fn decode_share(&self) -> f64 {
        match self {
            Self::Layers(layers) => 1.0 / layers.len() as f64,
            Self::Halves => 1.0,
        }
    }

    /// The share of all cards' operations that a prompt in chunks of `chunk` tokens can use: a card has nothing to do until the
    /// first chunk comes, and after the last.
    pub fn prefill_share(&self, case: &Case, chunk: u64) -> f64 {
        let chunks = u64::from(case.context_length).div_ceil(chunk).max(1) as f64;
        match self {
            Self::Layers(layers) => chunks / (chunks + layers.len() as f64 - 1.0),
            Self::Halves => 1.0,
        }
    }
}

/// What either of two cards needs. Both have the whole embedding, as numbers; a tied head is a half of it, unless that is
/// packed.
fn half(shape: &Model, held: Dtype, whole: Memory) -> Memory {
    let embedding = (shape.vocab_size * shape.hidden_size) as u64 * held.size();
    let weights = embedding + (whole.weights - embedding) / 2;
    Memory { weights, kv_cache: whole.kv_cache / 2, workspace: whole.workspace }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::DeviceKind;
    use crate::device::{Capacity, Gpus, Ordinals};
    use crate::engine::candle::{Implementation, estimate};

    fn on(cards: usize, id: &str) -> ModelSpec {
        let usual = ModelSpec::generated(id, DeviceKind::Cuda);
        ModelSpec { gpus: Ordinals::first(cards), implementation: Implementation::Plain.into(), ..usual }
    }

    fn memory(cards: usize, id: &str, context: u32) -> (Memory, Vec<Memory>) {
        memory_of(&on(cards, id), context)
    }

    fn memory_of(spec: &ModelSpec, context: u32) -> (Memory, Vec<Memory>) {
        let cards = spec.gpus.count();
        let device = Capacity::of(DeviceKind::Cuda, &Gpus::Unknown((0..cards as u32).collect()));
        let needs = estimate::needs(spec, &spec.case(context, 2048), &device).unwrap();
        (needs.memory.unwrap(), needs.by_card)
    }

    /// 72B in bf16: half of 80 layers of 1.755 GB and the embedding or the head of 2.49 GB; 160 KiB of keys and values a token.
    #[test]
    fn each_card_holds_its_layers_and_their_cache() {
        let (whole, cards) = memory(2, "Qwen/Qwen2.5-72B-Instruct", 6144);
        let [first, last] = cards[..] else { panic!("two cards") };
        let norm = 8192 * 2;
        assert_eq!(last.weights, first.weights + norm);
        assert!((72.6e9..72.8e9).contains(&(first.weights as f64)), "{first:?}");
        assert_eq!((first.kv_cache, last.kv_cache), (8192 * 163_840, 8192 * 163_840));
        assert_eq!(whole, Memory::sum(&cards));
        let (single, none) = memory(1, "Qwen/Qwen2.5-72B-Instruct", 6144);
        assert_eq!((single.weights, single.kv_cache, none), (whole.weights, whole.kv_cache, Vec::new()));
    }

    /// 72B in bf16 as above, but the whole embedding on both; a tied one is the head, too.
    #[test]
    fn halves_have_half_of_every_layer_and_the_whole_embedding() {
        let graph = |id| ModelSpec { implementation: Implementation::Graph.into(), ..on(2, id) };
        let (whole, cards) = memory_of(&graph("Qwen/Qwen2.5-72B-Instruct"), 6144);
        let [first, second] = cards[..] else { panic!("two cards") };
        assert_eq!((first, Memory::sum(&cards)), (second, whole));
        assert!((73.9e9..74.0e9).contains(&(first.weights as f64)), "{first:?}");
        assert_eq!(first.kv_cache, 8192 * 163_840);
        let (_, cards) = memory_of(&graph("Qwen/Qwen2.5-0.5B"), 1);
        let embedding = 151_936 * 896 * 2;
        assert!((cards[0].weights - embedding).abs_diff(494_032_768 - embedding / 2) < 1 << 20, "{cards:?}");
        // 1.09 GB of embedding, and half of as much for the head and of 6.53 billion weights in 4.16 bits.
        let (_, cards) = memory_of(&graph("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4"), 1);
        assert!((3.2e9..3.4e9).contains(&(cards[1].weights as f64)), "{cards:?}");
        // 0.62 GB of embedding, and half of it and of 2.77 billion weights in 8.5 bits: a packed head isn't the embedding.
        let (_, cards) = memory_of(&graph("Qwen/Qwen2.5-3B-Instruct-GGUF:q8_0"), 1);
        assert!((2.2e9..2.3e9).contains(&(cards[1].weights as f64)), "{cards:?}");
    }

    /// Both hold a tied embedding; only the last unpacks the output projection of a GGUF model.
    #[test]
    fn ends_have_what_is_theirs() {
        let (whole, _) = memory(2, "Qwen/Qwen2.5-0.5B", 1);
        let (single, _) = memory(1, "Qwen/Qwen2.5-0.5B", 1);
        assert_eq!(whole.weights - single.weights, 151_936 * 896 * 2);
        let (_, cards) = memory(2, "Qwen/Qwen2.5-7B-Instruct-GGUF:q4_k_m", 1);
        assert_eq!(cards[1].workspace - cards[0].workspace, (152_064 - 18_944) * 3584 * 6);
    }

    /// One card at a time reads; of three chunks the second card computes two while the first computes the next.
    #[test]
    fn layers_after_each_other_take_no_less_time_to_decode() {
        let cards = Cards::Layers(vec![0..14, 14..28]);
        let case = |context| on(2, "Qwen/Qwen2.5-7B").case(context, 1);
        assert_eq!(cards.decode_share(), 0.5);
        assert_eq!([1, 2048, 6144].map(|context| cards.prefill_share(&case(context), 2048)), [0.5, 0.5, 0.75]);
        assert_eq!(Cards::Layers(vec![0..28; 1]).prefill_share(&case(6144), 2048), 1.0);
    }
}
