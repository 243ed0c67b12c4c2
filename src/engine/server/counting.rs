//! From a stream to a generation: how many tokens came, and when.
//!
//! The server's usage counts them. An event isn't a token: servers put several into one, and send events without any.

use std::time::Duration;

use serde_json::Value;

use super::streaming::Stream;
use crate::case::Clock;
use crate::engine::held_back::held_back;
use crate::engine::{Chunk, EngineError, Generation};
use crate::plural::counted;

/// A generation, and what a reader of its numbers must know.
pub struct Counted {
    pub generation: Generation,
    pub warnings: Vec<String>,
    /// That its times aren't those of the server's work, if they can't be.
    pub buffered: Option<String>,
}

/// Checks a stream against what was asked for.
pub fn count(stream: &Stream, prompt: usize, wanted: usize) -> Result<Counted, EngineError> {
    let arrivals: Vec<Duration> =
        stream.events.iter().filter(|(_, event)| has_text(event)).map(|(at, _)| *at).collect();
    if arrivals.is_empty() {
        return fault("the server streamed no text: streaming may be off, or the address be another one's".to_owned());
    }
    let told = Told::of(stream);
    let tokens = told.tokens(arrivals.len(), wanted)?;
    let pieces = arrivals.len();
    if told.usage.is_some() && pieces > tokens {
        return fault(format!(
            "the server's usage counts {}, but it streamed {pieces} pieces of text: that can't be",
            counted(tokens, "token")
        ));
    }
    if tokens != wanted {
        let end = told.finish_reason.map_or_else(String::new, |reason| format!(" and ended with `{reason}`"));
        return fault(format!(
            "the server generated {} instead of {wanted}{end}: speeds of other lengths can't be compared",
            counted(tokens, "token")
        ));
    }
    if pieces > tokens {
        return fault(format!("the server says that it reached the length, but it streamed {pieces} pieces of text"));
    }
    let generation = Generation {
        tokens: None,
        chunks: chunks(&arrivals, tokens),
        clock: Clock::Client,
        end_to_end: stream.end_to_end,
    };
    Ok(Counted { generation, warnings: told.warnings(prompt), buffered: buffered(&arrivals, tokens) })
}

fn fault<T>(why: String) -> Result<T, EngineError> {
    Err(EngineError::Failed(why))
}

/// What a server says of its own answer.
struct Told<'a> {
    usage: Option<&'a Value>,
    finish_reason: Option<&'static str>,
}

impl<'a> Told<'a> {
    fn of(stream: &'a Stream) -> Self {
        // The last is of the whole, where each event has one.
        let events = || stream.events.iter().rev().map(|(_, event)| event);
        Self {
            usage: events().find_map(|event| event.get("usage").filter(|usage| !usage.is_null())),
            finish_reason: events().find_map(|event| known(event["choices"][0]["finish_reason"].as_str()?)),
        }
    }

    /// Without a count: one that ended because of the length has as many as were asked for, of another each piece is one.
    fn tokens(&self, pieces: usize, wanted: usize) -> Result<usize, EngineError> {
        match self.usage {
            Some(usage) => match usage["completion_tokens"].as_u64() {
                Some(tokens) => Ok(tokens as usize),
                None => fault("the server's usage doesn't say how many tokens it generated".to_owned()),
            },
            None if self.finish_reason == Some("length") => Ok(wanted),
            None => Ok(pieces),
        }
    }

    fn warnings(&self, prompt: usize) -> Vec<String> {
        let Some(usage) = self.usage else {
            let how = match self.finish_reason {
                Some("length") => "it says only that it generated as many as were asked for",
                _ => "each event with text was taken for one",
            };
            return vec![format!("the server counts no tokens: {how}")];
        };
        let seen = usage["prompt_tokens"].as_u64().filter(|&seen| seen != prompt as u64);
        let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64().is_some_and(|cached| cached > 0);
        let seen = seen.map(|seen| format!("the server counted {seen} tokens in a prompt of {prompt}"));
        let cached =
            cached.then(|| "the server took tokens of a prompt from a cache: turn prefix caching off".to_owned());
        seen.into_iter().chain(cached).collect()
    }
}

fn buffered(arrivals: &[Duration], tokens: usize) -> Option<String> {
    let how = held_back(arrivals, tokens)?;
    Some(format!("{how}: something between buffers, so decode and TTFT say little"))
}

/// Other words are a stranger's: they aren't shown.
fn known(reason: &str) -> Option<&'static str> {
    const REASONS: [&str; 7] = ["length", "stop", "abort", "error", "content_filter", "tool_calls", "eos_token"];
    REASONS.into_iter().find(|word| *word == reason)
}

/// The tokens shared out among the arrivals: one each, and what is left to the later ones, since a server merges what it
/// generated while it was busy sending. Only their number and times enter the metrics.
fn chunks(arrivals: &[Duration], tokens: usize) -> Vec<Chunk> {
    let (each, more) = (tokens / arrivals.len(), tokens % arrivals.len());
    let with_more = arrivals.len() - more;
    let of = |place: usize| (each + usize::from(place >= with_more)) as u32;
    arrivals.iter().enumerate().map(|(place, &at)| Chunk { tokens: of(place), at }).collect()
}

/// Text of a completion or of a chat. Headers and an event that only names a role are no token.
fn has_text(event: &Value) -> bool {
    let choice = &event["choices"][0];
    let delta = &choice["delta"];
    let texts = [&choice["text"], &delta["content"], &delta["reasoning_content"]];
    texts.into_iter().any(|text| text.as_str().is_some_and(|text| !text.is_empty()))
}
