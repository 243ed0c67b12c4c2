//! Prompts that a server has not seen yet: one that begins like an earlier one may be answered from a cache of prefixes.
//!
//! The first tokens become digits that no other request of this process has, and hardly one of another. Digits are single
//! tokens in Qwen2.5's vocabulary, as ids and in text, so a prompt stays as long as it is.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::engine::EngineError;

/// How many tokens tell a prompt from others; prompts that are shorter differ as far as they go.
const DIGITS: usize = 8;
/// The id of `0`; the other digits follow it.
const ZERO: u32 = 15;

/// Where the numbers of a process begin.
pub struct Prompts {
    first: u64,
}

impl Default for Prompts {
    /// Somewhere else than in any other process.
    fn default() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { first: now.as_micros() as u64 ^ u64::from(std::process::id()).rotate_left(20) }
    }
}

impl Prompts {
    /// A token that a prompt may be made of.
    pub const PLAIN: u32 = 35946;

    /// The prompt, as long as it was, with a beginning of its own. The digit that changes most often comes first, so that
    /// prompts differ from their first token on.
    pub fn distinct(&self, prompt: &[u32], request: u64) -> Vec<u32> {
        let mut number = self.first.wrapping_add(request);
        let mut prompt = prompt.to_vec();
        for id in prompt.iter_mut().take(DIGITS) {
            *id = ZERO + (number % 10) as u32;
            number /= 10;
        }
        prompt
    }

    /// The text that has these ids: digits, and then one character again and again.
    pub fn text(ids: &[u32]) -> Result<String, EngineError> {
        let digits = ids.iter().take(DIGITS).take_while(|id| (ZERO..ZERO + 10).contains(*id)).count();
        let rest = &ids[digits..];
        let character = match rest.first() {
            None => Some(""),
            Some(&Self::PLAIN) => Some("\u{6211}"),
            Some(121_673) => Some("\u{71b5}"),
            Some(_) => None,
        };
        let character = character.filter(|_| rest.iter().all(|id| *id == rest[0])).ok_or_else(|| {
            EngineError::refused(
                "the server takes no token ids, and this prompt's text isn't known",
                "use `prompt = \"transformers\"` or `prompt = \"evalscope\"`",
            )
        })?;
        let digits = ids[..digits].iter().filter_map(|id| char::from_digit(id - ZERO, 10));
        Ok(digits.chain(character.repeat(rest.len()).chars()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_begins_with_another_token_than_the_one_before() {
        let prompts = Prompts { first: 99 };
        let [first, second] = [1, 2].map(|request| prompts.distinct(&[Prompts::PLAIN; 10], request));
        assert_eq!(first, [15, 15, 16, 15, 15, 15, 15, 15, Prompts::PLAIN, Prompts::PLAIN]);
        assert_eq!(second[..3], [16, 15, 16]);
        assert_eq!(prompts.distinct(&[Prompts::PLAIN], 3), [17]);
        assert_ne!(Prompts::default().first, prompts.first);
    }

    #[test]
    fn the_text_has_as_many_tokens() {
        let prompt = Prompts { first: 41 }.distinct(&[Prompts::PLAIN; 10], 1);
        assert_eq!(Prompts::text(&prompt).unwrap(), "24000000\u{6211}\u{6211}");
        assert_eq!(Prompts::text(&[16, 17]).unwrap(), "12");
        assert!(Prompts::text(&[16, 121_673, Prompts::PLAIN]).is_err());
    }
}
