//! From a stream to a generation: how many tokens came, and when.
//!
//! The server's usage counts them. An event isn't a token: servers put several into one, and send events without any.

use std::time::Duration;

use serde_json::Value;

use super::http_client::Stream;
use crate::case::Clock;
use crate::engine::{Chunk, EngineError, Generation};

/// A generation, and what a reader of its numbers must know.
pub struct Counted {
    pub generation: Generation,
    pub warnings: Vec<String>,
}

/// Checks a stream against what was asked for.
pub fn count(stream: Stream, prompt: usize, wanted: usize) -> Result<Counted, EngineError> {
    let fault = |why: String| Err(EngineError::Failed(why));
    let mut warnings = Vec::new();
    let arrivals: Vec<Duration> =
        stream.events.iter().filter(|(_, event)| has_text(event)).map(|(at, _)| *at).collect();
    let usage = stream.events.iter().rev().find_map(|(_, event)| event.get("usage").filter(|usage| !usage.is_null()));
    let told = |field: &str| usage.and_then(|usage| usage[field].as_u64()).map(|count| count as usize);
    let Some(tokens) = told("completion_tokens").or_else(|| usage.is_none().then_some(arrivals.len())) else {
        return fault("the server's usage doesn't say how many tokens it generated".to_owned());
    };
    if usage.is_none() {
        warnings.push("the server counts no tokens: each event with text was taken for one".to_owned());
    }
    if tokens != wanted {
        return fault(format!(
            "the server generated {tokens} tokens instead of {wanted}: it must take `ignore_eos` or go on by itself"
        ));
    }
    if arrivals.is_empty() {
        return fault("the server streamed no text: streaming may be off".to_owned());
    }
    if arrivals.len() > tokens {
        return fault(format!("the server counted {tokens} tokens, but streamed {} pieces of text", arrivals.len()));
    }
    if let Some(seen) = told("prompt_tokens").filter(|&seen| seen != prompt) {
        warnings.push(format!("the server counted {seen} tokens in a prompt of {prompt}"));
    }
    let cached = usage.and_then(|usage| usage["prompt_tokens_details"]["cached_tokens"].as_u64()).unwrap_or(0);
    if cached > 0 {
        warnings.push(format!("the server took {cached} tokens of the prompt from a cache: turn prefix caching off"));
    }
    let generation = Generation {
        tokens: None,
        chunks: chunks(&arrivals, tokens),
        clock: Clock::Client,
        end_to_end: stream.end_to_end,
    };
    Ok(Counted { generation, warnings })
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
