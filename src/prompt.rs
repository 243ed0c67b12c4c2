//! Prompts by token ids, exactly as Qwen's Speed Benchmark scripts and EvalScope build them.
//!
//! No tokenizer is needed: `prompt_ids.json` holds the ids that the Qwen2.5 tokenizer gives for those scripts' texts.

use std::sync::LazyLock;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::case::PromptRule;
use crate::hex::hex;
use crate::results::Settings;

/// The vLLM script's long prompt has this many ids around its filling; below this length it repeats one character.
const VLLM_LONG_FROM: usize = 96;

/// Exactly `length` token ids.
pub fn prompt(rule: PromptRule, length: usize) -> Vec<u32> {
    let ids = &*IDS;
    match rule {
        PromptRule::Transformers => vec![ids.transformers; length],
        PromptRule::Vllm if length >= VLLM_LONG_FROM => ids.vllm.fill(length),
        PromptRule::Vllm | PromptRule::Evalscope => vec![ids.evalscope; length],
    }
}

/// What stands in settings for a prompt of one's own, which is no rule.
pub const OWN: &str = "ids";

/// Exactly `length` token ids: the configuration's own, which are repeated or cut to that, or those of the rule. The
/// problem, in one sentence.
pub fn own_or_by_rule(settings: &Settings, own: Option<&[u32]>, length: usize) -> Result<Vec<u32>, String> {
    match (own, settings.prompt.known()) {
        (Some(ids), _) if !ids.is_empty() => Ok(ids.iter().copied().cycle().take(length).collect()),
        (_, Some(rule)) => Ok(prompt(rule, length)),
        (_, None) => {
            let known = PromptRule::WORDS.join(", ");
            Err(format!("unknown prompt rule `{}`: this build has {known}", settings.prompt))
        }
    }
}

/// What tells own ids from others: the SHA-256 of each as 32 bits, little end first.
pub fn hash(ids: &[u32]) -> String {
    let mut hash = Sha256::new();
    ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
    hex(&hash.finalize())
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
    use crate::word::Vocabulary;

    #[test]
    fn own_ids_are_repeated_or_cut_and_have_a_hash() {
        let settings = Settings { prompt: OWN.into(), ..Settings::default() };
        let own = |length| own_or_by_rule(&settings, Some(&[7, 8, 9]), length).unwrap();
        assert_eq!((own(2), own(7)), (vec![7, 8], vec![7, 8, 9, 7, 8, 9, 7]));
        let error = own_or_by_rule(&settings, None, 2).unwrap_err();
        assert_eq!(error, "unknown prompt rule `ids`: this build has transformers, vllm, evalscope");
        // printf '\1\0\0\0\2\0\0\0' | sha256sum
        assert!(hash(&[1, 2]).starts_with("34fb5c825de7ca4aea6e712f19d439c1"), "{}", hash(&[1, 2]));
    }

    #[test]
    fn every_rule_gives_exactly_the_wanted_length() {
        for rule in PromptRule::WORDS.iter().filter_map(|word| PromptRule::from_word(word)) {
            for length in [1, 2, 95, 96, 97, 98, 99, 6144] {
                assert_eq!(prompt(rule, length).len(), length, "{rule} at {length}");
            }
        }
    }

    #[test]
    fn single_characters_are_repeated() {
        assert_eq!(prompt(PromptRule::Transformers, 3), [35946; 3]);
        assert_eq!(prompt(PromptRule::Evalscope, 6144), [121_673; 6144]);
        assert_eq!(prompt(PromptRule::Vllm, 95), [121_673; 95]);
    }

    /// The documented form for 98 and more: prefix + [2] + [671] x (N - 97) + suffix.
    #[test]
    fn long_vllm_prompts_are_the_filled_chat() {
        let long = prompt(PromptRule::Vllm, 6144);
        assert_eq!(long[..3], [151_644, 8948, 198]);
        assert_eq!(long[57], 2);
        assert!(long[58..6144 - 39].iter().all(|&id| id == 671));
        assert_eq!(long[6144 - 39..][..2], [68_739, 247]);
        assert_eq!(long[6143], 198);
        assert_eq!(prompt(PromptRule::Vllm, 98)[57..59], [2, 671]);
    }
}
