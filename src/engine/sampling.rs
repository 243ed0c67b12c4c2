//! How the programs of Qwen's Speed Benchmark choose tokens, for engines that show their logits.
//!
//! The order is transformers' and vLLM's: penalties, then the end of sequence, temperature, top-k, top-p, and a draw.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::path::Path;

use serde_json::Value;

use super::engine_error::EngineError;
use super::json_fields::{FieldError, Fields};
use crate::case::SeedProtocol;
use crate::hub::model_file;

/// The number that the scripts seed their generators with.
const SEED: u64 = 1024;

/// Of all Qwen2.5 models: `<|endoftext|>` and `<|im_end|>`.
const ENDS: [u32; 2] = [151_643, 151_645];

/// What decides between tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest.
    temperature: f32,
    /// Only tokens that make up this share of the probability; 1 is all.
    top_p: f32,
    /// Only so many of the likeliest; 0 is all.
    top_k: usize,
    /// Of what prompt or answer hold: positive logits are divided by it, others multiplied.
    repetition_penalty: f32,
    /// Taken from the logit of what the answer holds.
    presence_penalty: f32,
    /// The same, for each time.
    frequency_penalty: f32,
    /// Tokens that end a sequence.
    ends: Vec<u32>,
    /// Whether they may be chosen.
    may_end: bool,
}

impl Sampling {
    /// As the program samples that model, whose files are in `directory` if it isn't a published one.
    pub fn of(protocol: SeedProtocol, model: &str, directory: Option<&Path>) -> Result<Self, EngineError> {
        match protocol {
            // The model's generation_config, and a minimal length that keeps its end away. EvalScope leaves sampling to the
            // server, which goes by that as well, and asks for the same length.
            SeedProtocol::Transformers | SeedProtocol::Evalscope => Ok(GenerationConfig::of(model, directory)?.into()),
            SeedProtocol::Vllm => Ok(Self {
                temperature: 1.0,
                top_p: 0.8,
                top_k: 0,
                repetition_penalty: 0.1,
                presence_penalty: -2.0,
                frequency_penalty: -2.0,
                may_end: true,
                ..Self::from(GenerationConfig::of(model, directory)?)
            }),
        }
    }
}

/// A model's `generation_config.json`, with transformers' own values where it says nothing.
#[derive(Debug)]
struct GenerationConfig {
    do_sample: bool,
    temperature: f32,
    top_p: f32,
    top_k: usize,
    repetition_penalty: f32,
    eos_token_id: Ends,
}

#[derive(Debug)]
enum Ends {
    None,
    One(u32),
    Several(Vec<u32>),
}

impl Ends {
    fn read(fields: &Fields) -> Result<Self, FieldError> {
        const KEY: &str = "eos_token_id";
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        match fields.value(KEY) {
            None if fields.has(KEY) => Some(Self::None),
            None => Some(GenerationConfig::default().eos_token_id),
            Some(Value::Array(ids)) => ids.iter().map(id).collect::<Option<_>>().map(Self::Several),
            Some(one) => id(one).map(Self::One),
        }
        .ok_or_else(|| fields.wrong(KEY, "a token id, or a list of them"))
    }
}

impl Default for GenerationConfig {
    fn default() -> Self {
        let eos_token_id = Ends::Several(ENDS.to_vec());
        Self { do_sample: false, temperature: 1.0, top_p: 1.0, top_k: 50, repetition_penalty: 1.0, eos_token_id }
    }
}

impl GenerationConfig {
    fn of(model: &str, directory: Option<&Path>) -> Result<Self, EngineError> {
        let Some(directory) = directory else { return Ok(Self::published(model)) };
        let path = directory.join("generation_config.json");
        match model_file::read(&path) {
            Ok(text) => Fields::parse(&text).and_then(|fields| Self::read(&fields)).map_err(EngineError::at(path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(EngineError::at(path)(error)),
        }
    }

    fn read(fields: &Fields) -> Result<Self, FieldError> {
        let usual = Self::default();
        Ok(Self {
            do_sample: fields.truth("do_sample")?.unwrap_or(usual.do_sample),
            temperature: fields.real("temperature")?.map_or(usual.temperature, |value| value as f32),
            top_p: fields.real("top_p")?.map_or(usual.top_p, |value| value as f32),
            top_k: fields.whole("top_k")?.unwrap_or(usual.top_k),
            repetition_penalty: fields.real("repetition_penalty")?.map_or(usual.repetition_penalty, |it| it as f32),
            eos_token_id: Ends::read(fields)?,
        })
    }

    /// Base models don't sample; of the others the smallest two are held back from repeating themselves more.
    fn published(model: &str) -> Self {
        if !model.contains("-Instruct") {
            return Self::default();
        }
        let is_small = ["2.5-0.5B-", "2.5-1.5B-"].iter().any(|size| model.contains(size));
        let repetition_penalty = if is_small { 1.1 } else { 1.05 };
        Self { do_sample: true, temperature: 0.7, top_p: 0.8, top_k: 20, repetition_penalty, ..Self::default() }
    }
}

impl From<GenerationConfig> for Sampling {
    fn from(config: GenerationConfig) -> Self {
        Self {
            temperature: if config.do_sample { config.temperature } else { 0.0 },
            top_p: config.top_p,
            top_k: config.top_k,
            repetition_penalty: config.repetition_penalty,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            ends: match config.eos_token_id {
                Ends::None => Vec::new(),
                Ends::One(end) => vec![end],
                Ends::Several(ends) => ends,
            },
            may_end: false,
        }
    }
}

/// Chooses the tokens of one sequence after the other.
#[derive(Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: u64,
    prompt: BTreeSet<u32>,
    /// How often the answer holds each of its tokens.
    answer: BTreeMap<u32, u32>,
}

impl Sampler {
    /// Seeded as the scripts are.
    pub fn new(sampling: Sampling) -> Self {
        Self { sampling, random: SEED, prompt: BTreeSet::new(), answer: BTreeMap::new() }
    }

    /// Begins a sequence.
    pub fn start(&mut self, prompt: &[u32]) {
        self.prompt = prompt.iter().copied().collect();
        self.answer.clear();
    }

    /// The next token.
    pub fn choose(&mut self, mut logits: Vec<f32>) -> u32 {
        self.penalize(&mut logits);
        let token = if self.sampling.temperature > 0.0 { self.draw(&logits) } else { likeliest(&logits) };
        *self.answer.entry(token).or_default() += 1;
        token
    }

    /// Does the sequence end with that token?
    pub fn is_end(&self, token: u32) -> bool {
        self.sampling.may_end && self.sampling.ends.contains(&token)
    }

    fn penalize(&self, logits: &mut [f32]) {
        let Sampling { repetition_penalty, presence_penalty, frequency_penalty, .. } = self.sampling;
        let seen: BTreeSet<u32> = self.prompt.iter().chain(self.answer.keys()).copied().collect();
        for id in seen {
            let Some(logit) = logits.get_mut(id as usize) else { continue };
            *logit = if *logit > 0.0 { *logit / repetition_penalty } else { *logit * repetition_penalty };
            if let Some(times) = self.answer.get(&id) {
                *logit -= presence_penalty + frequency_penalty * *times as f32;
            }
        }
        let forbidden = self.sampling.ends.iter().filter(|_| !self.sampling.may_end);
        for end in forbidden {
            if let Some(logit) = logits.get_mut(*end as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    /// One of the likeliest, as often as its probability says.
    fn draw(&mut self, logits: &[f32]) -> u32 {
        let Sampling { temperature, top_p, top_k, .. } = self.sampling;
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |logit: f32| ((logit - most) / temperature).exp();
        let weighed = logits.iter().enumerate().map(|(id, logit)| Candidate { weight: weight(*logit), id: id as u32 });
        let mut heap: BinaryHeap<Candidate> = weighed.collect();
        let mut kept: Vec<Candidate> = Vec::new();
        let mut all: f32 = if top_k == 0 { heap.iter().map(|it| it.weight).sum() } else { 0.0 };
        if top_k > 0 {
            let best: Vec<Candidate> = std::iter::from_fn(|| heap.pop()).take(top_k).collect();
            all = best.iter().map(|it| it.weight).sum();
            heap = best.into();
        }
        let mut sum = 0.0;
        while let Some(next) = heap.pop() {
            sum += next.weight;
            kept.push(next);
            if sum >= top_p * all {
                break;
            }
        }
        let mut left = self.next_random() * sum;
        let drawn = kept.iter().find(|it| {
            left -= it.weight;
            left < 0.0
        });
        drawn.or(kept.first()).map_or(0, |it| it.id)
    }

    /// From 0 to below 1: the upper bits of Steele, Lea and Flood's SplitMix64.
    fn next_random(&mut self) -> f32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
}

fn likeliest(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(id, _)| id as u32)
}

/// A token by its weight; of equal ones the lower id first.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    weight: f32,
    id: u32,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.weight.total_cmp(&other.weight).then(other.id.cmp(&self.id))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(protocol: SeedProtocol, model: &str) -> Sampler {
        Sampler::new(Sampling::of(protocol, model, None).unwrap())
    }

    /// Of four tokens, and two that end the sequence.
    fn logits(of: [f32; 4]) -> Vec<f32> {
        let mut logits = vec![f32::NEG_INFINITY; 151_646];
        logits[..4].copy_from_slice(&of);
        (logits[151_643], logits[151_645]) = (9.0, 9.0);
        logits
    }

    #[test]
    fn a_base_model_takes_the_likeliest_and_never_ends() {
        let mut sampler = sampler(SeedProtocol::Transformers, "Qwen/Qwen2.5-7B");
        sampler.start(&[1]);
        let chosen: Vec<u32> = (0..5).map(|_| sampler.choose(logits([1.0, 3.0, 2.0, 0.0]))).collect();
        assert_eq!(chosen, [1; 5]);
        assert!(!sampler.is_end(151_643), "it can't be chosen");
    }

    /// 0.7 of temperature makes 5 to 4.2 of 0.76 to 0.24: top-p 0.8 keeps both, and no third.
    #[test]
    fn an_instruct_model_samples_what_is_likely_enough() {
        let mut sampler = sampler(SeedProtocol::Transformers, "Qwen/Qwen2.5-7B-Instruct");
        let mut drawn = [0; 4];
        for _ in 0..2000 {
            sampler.start(&[]);
            drawn[sampler.choose(logits([5.0, 4.2, 1.0, 0.0])) as usize] += 1;
        }
        assert_eq!(drawn[2..], [0, 0], "outside of top-p");
        assert!((1400..1640).contains(&drawn[0]), "three of four: {drawn:?}");
        let again: Vec<u32> = {
            let mut first = self::sampler(SeedProtocol::Transformers, "Qwen/Qwen2.5-7B-Instruct");
            (0..20).map(|_| first.choose(logits([1.0, 1.0, 1.0, 1.0]))).collect()
        };
        let mut second = self::sampler(SeedProtocol::Transformers, "Qwen/Qwen2.5-7B-Instruct");
        assert!(again.iter().all(|token| *token == second.choose(logits([1.0, 1.0, 1.0, 1.0]))), "seeded");
    }

    #[test]
    fn what_was_there_is_held_back_by_the_size_of_the_model() {
        for (model, penalty) in [("Qwen/Qwen2.5-1.5B-Instruct", 1.1_f32), ("Qwen/Qwen2.5-14B-Instruct-AWQ", 1.05)] {
            let mut sampler = sampler(SeedProtocol::Evalscope, model);
            sampler.start(&[0, 1]);
            let mut given = logits([2.0, -2.0, 2.0, 0.0]);
            sampler.penalize(&mut given);
            assert_eq!(given[..4], [2.0 / penalty, -2.0 * penalty, 2.0, 0.0], "{model}");
            assert_eq!(given[151_643], f32::NEG_INFINITY);
        }
    }

    /// The script's penalties reward what was there, and its answer may end.
    #[test]
    fn vllms_script_may_end() {
        let mut sampler = sampler(SeedProtocol::Vllm, "Qwen/Qwen2.5-7B-Instruct");
        sampler.start(&[3]);
        let mut only = logits([-5.0, -5.0, -5.0, -5.0]);
        only[151_643] = f32::NEG_INFINITY;
        let end = sampler.choose(only);
        assert_eq!((end, sampler.is_end(end)), (151_645, true));
        let mut given = logits([1.0, 1.0, 1.0, 1.0]);
        sampler.answer = BTreeMap::from([(1, 3)]);
        sampler.penalize(&mut given);
        assert_eq!(given[..4], [1.0, 10.0 + 2.0 + 6.0, 1.0, 10.0]);
    }
}
