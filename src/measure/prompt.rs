//! Prompts by token ids, exactly as Qwen's Speed Benchmark scripts and EvalScope build them.
//!
//! No tokenizer is needed: `prompt_ids.json` holds the ids that the Qwen2.5 tokenizer gives for the seed's texts.

use std::sync::LazyLock;

use serde::Deserialize;

/// The vLLM script's long prompt has this many ids around its filling; below this length it repeats one character.
const VLLM_LONG_FROM: usize = 96;

/// How the prompt of a wanted length is built; [`Settings::prompt`](crate::results::Settings::prompt) holds its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// `speed_benchmark_transformers.py`: one character repeated.
    Transformers,
    /// `speed_benchmark_vllm.py`: a short chat filled up with `#`, or one character repeated below 96 tokens.
    Vllm,
    /// EvalScope's `speed_benchmark` data sets: one character repeated.
    Evalscope,
}

impl Rule {
    pub const ALL: [Self; 3] = [Self::Transformers, Self::Vllm, Self::Evalscope];

    /// The word in configurations and results files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Transformers => "transformers",
            Self::Vllm => "vllm",
            Self::Evalscope => "evalscope",
        }
    }

    pub fn find(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.id() == id)
    }

    /// Exactly `length` token ids.
    pub fn prompt(self, length: usize) -> Vec<u32> {
        let ids = &*IDS;
        match self {
            Self::Transformers => vec![ids.transformers; length],
            Self::Vllm if length >= VLLM_LONG_FROM => ids.vllm.fill(length),
            Self::Vllm | Self::Evalscope => vec![ids.evalscope; length],
        }
    }
}

#[derive(Deserialize)]
struct Ids {
    transformers: u32,
    evalscope: u32,
    vllm: Long,
}

/// `prefix`, the first `#`, the other `#`, `suffix`: the tokenizer gives a `#` after another one a different id.
#[derive(Deserialize)]
struct Long {
    prefix: Vec<u32>,
    first: u32,
    rest: u32,
    suffix: Vec<u32>,
}

impl Long {
    fn fill(&self, length: usize) -> Vec<u32> {
        let filling = length - self.prefix.len() - self.suffix.len();
        let mut prompt = self.prefix.clone();
        prompt.extend((0..filling).map(|i| if i == 0 { self.first } else { self.rest }));
        prompt.extend(&self.suffix);
        prompt
    }
}

static IDS: LazyLock<Ids> = LazyLock::new(|| {
    let ids: Ids = serde_json::from_str(include_str!("prompt_ids.json")).expect("the committed ids are valid");
    assert_eq!(ids.vllm.prefix.len() + ids.vllm.suffix.len(), VLLM_LONG_FROM, "the committed ids are complete");
    ids
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_gives_exactly_the_wanted_length() {
        for rule in Rule::ALL {
            for length in [1, 2, 95, 96, 97, 98, 99, 6144] {
                assert_eq!(rule.prompt(length).len(), length, "{} at {length}", rule.id());
            }
        }
    }

    #[test]
    fn single_characters_are_repeated() {
        assert_eq!(Rule::Transformers.prompt(3), [35946; 3]);
        assert_eq!(Rule::Evalscope.prompt(6144), [121_673; 6144]);
        assert_eq!(Rule::Vllm.prompt(95), [121_673; 95]);
    }

    /// The documented form for 98 and more: prefix + [2] + [671] x (N - 97) + suffix.
    #[test]
    fn long_vllm_prompts_are_the_filled_chat() {
        let prompt = Rule::Vllm.prompt(6144);
        assert_eq!(prompt[..3], [151_644, 8948, 198]);
        assert_eq!(prompt[57], 2);
        assert!(prompt[58..6144 - 39].iter().all(|&id| id == 671));
        assert_eq!(prompt[6144 - 39..][..2], [68_739, 247]);
        assert_eq!(prompt[6143], 198);
        assert_eq!(Rule::Vllm.prompt(98)[57..59], [2, 671]);
    }
}
