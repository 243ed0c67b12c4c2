//! What an engine that is a program of its own says and hears: JSON lines over its standard input and output.
//!
//! `docs/engine-protocol.md` is the contract, for people; these types are the same for programs. Tokens and times pass,
//! nothing else: medians, hashes and what a device is seen doing are ours.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::case::{Clock, DeviceKind, Dtype, ImplementationName, Quantization, SeedProtocol, WeightsSource};
use crate::word::Word;

/// The version that this build speaks.
pub const VERSION: u32 = 1;

/// A line of either side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "A line of the engine protocol")]
pub enum Line {
    /// To the engine.
    Request(Request),
    /// From the engine.
    Answer(Answer),
}

/// What an engine is asked to do, one thing at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "request", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "one request exists at a time")]
pub enum Request {
    /// Loads a model. Comes once, after the engine's hello.
    Load {
        /// The version that the asking side speaks: not above the one in the hello.
        protocol: u32,
        /// The hub's id, or a name for `directory`.
        model: String,
        /// The model's files, where they are local.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        directory: Option<PathBuf>,
        /// The branch, tag or commit to take from the hub.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
        /// Where the weights come from.
        weights: Word<WeightsSource>,
        /// How they are quantized.
        quantization: Word<Quantization>,
        /// The type of weights and activations.
        dtype: Word<Dtype>,
        /// Where the model is to run.
        device: Word<DeviceKind>,
        /// The cards to use, by UUID or by number; empty on a CPU.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        gpus: Vec<String>,
        /// A word of the engine's own; its usual implementation when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        implementation: Option<ImplementationName>,
        /// Prompt and generated tokens together, of the longest generation that will be asked for.
        max_length: u32,
        /// Sequences to generate at once, all after the same prompt; one when absent. `loaded` must repeat it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch_size: Option<u32>,
        /// The program of Qwen's Speed Benchmark to generate like, in place of greedily; `loaded` must repeat it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed_protocol: Option<Word<SeedProtocol>>,
    },
    /// Generates exactly `tokens` tokens after `prompt`, greedily, past any end of sequence.
    Generate {
        /// Token ids.
        prompt: Vec<u32>,
        /// How many to generate.
        tokens: u32,
    },
    /// Asks for the most memory in use since the last time that it was asked, or since loading.
    Memory,
    /// The end: the engine exits with 0.
    Quit,
}

impl Request {
    /// The word that tells it from others.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Load { .. } => "load",
            Self::Generate { .. } => "generate",
            Self::Memory => "memory",
            Self::Quit => "quit",
        }
    }
}

/// What an engine says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The first line, before any request.
    Hello {
        /// The highest version that the engine speaks. It speaks those below as well.
        protocol: u32,
        /// What the engine is called, in one line.
        name: String,
        /// As the engine gives it, in one line.
        version: String,
        /// The commit it was built from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<String>,
        /// What else has a version, by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        components: BTreeMap<String, Component>,
    },
    /// While it loads, as often as it likes: bytes done and in all.
    Loading {
        /// Bytes of weights so far.
        done: u64,
        /// Bytes in all; 0 while that is unknown.
        total: u64,
    },
    /// Answers `load`.
    Loaded {
        /// What runs the model, which may not be what was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        implementation: Option<ImplementationName>,
        /// The commit of the weights, where the hub told one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
        /// Fallbacks and other things that a reader of the numbers must know, a sentence each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
        /// As it was asked for: each generation is one of so many sequences.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch_size: Option<u32>,
        /// As it was asked for: generations are like that program's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed_protocol: Option<Word<SeedProtocol>>,
    },
    /// So many tokens more are there now. Only from an engine that leaves the times to us: each is timed as it arrives.
    Chunk {
        /// How many.
        tokens: u32,
    },
    /// Answers `generate`.
    Generated {
        /// The ids of all tokens; absent where the engine doesn't know them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_ids: Option<Vec<u32>>,
        /// The times, of an engine that takes them itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        times: Option<Times>,
    },
    /// Answers `memory`.
    Memory {
        /// Bytes in use inside the engine's allocator, over all cards; absent where it doesn't tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peak_bytes: Option<u64>,
    },
    /// Answers any request that failed.
    Error {
        /// What went wrong, for programs.
        kind: Word<ErrorKind>,
        /// One sentence: what went wrong and what to do.
        message: String,
    },
}

impl Answer {
    /// The word that tells it from others.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Loading { .. } => "loading",
            Self::Loaded { .. } => "loaded",
            Self::Chunk { .. } => "chunk",
            Self::Generated { .. } => "generated",
            Self::Memory { .. } => "memory",
            Self::Error { .. } => "error",
        }
    }
}

/// When tokens were there, by the engine's own clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// `device` or `host`.
    pub clock: Word<Clock>,
    /// Pairs of a number of tokens and the milliseconds from the request to when they were there, in order.
    pub chunks: Vec<(u32, f64)>,
    /// From the request to the end of the last token.
    pub end_to_end_ms: f64,
}

/// A part of an engine that has a version of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    /// Absent where it doesn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it was built from a checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

crate::word::words! {
    /// What an engine failed of.
    ErrorKind {
        /// The device's memory doesn't suffice: the case counts as too large, and others are tried.
        OutOfMemory = "out_of_memory",
        /// The engine can't do what was asked for, ever.
        Unsupported = "unsupported",
        /// Anything else.
        Failed = "failed",
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;

    /// The lines of the document's conversations that begin with `mark`: parsed, with nothing that the types don't know.
    fn lines<T: Serialize + DeserializeOwned>(mark: &str) -> Vec<T> {
        let contract =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/engine-protocol.md")).unwrap();
        let parse = |text: &str| {
            let line: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(serde_json::to_value(&line).unwrap(), serde_json::from_str::<Value>(text).unwrap());
            line
        };
        contract.lines().filter_map(|line| line.strip_prefix(mark)).map(parse).collect()
    }

    #[test]
    fn the_contracts_examples_are_lines_of_the_protocol() {
        let (requests, answers) = (lines::<Request>("> "), lines::<Answer>("< "));
        let has = |wanted: fn(&Answer) -> bool| answers.iter().any(wanted);
        assert!(requests.contains(&Request::Memory) && requests.contains(&Request::Quit));
        assert!(requests.iter().any(|request| matches!(request, Request::Load { .. })));
        assert!(requests.iter().any(|request| matches!(request, Request::Generate { .. })));
        assert!(has(|answer| matches!(answer, Answer::Hello { protocol: VERSION, .. })));
        assert!(has(|answer| matches!(answer, Answer::Loading { .. })));
        assert!(has(|answer| matches!(answer, Answer::Loaded { .. })));
        assert!(has(|answer| matches!(answer, Answer::Chunk { .. })));
        assert!(has(|answer| matches!(answer, Answer::Generated { times: Some(_), .. })));
        assert!(has(|answer| matches!(answer, Answer::Memory { .. })));
        assert!(has(|answer| matches!(answer, Answer::Error { kind: Word::Known(_), .. })));
    }

    #[test]
    fn a_newer_engine_is_understood_as_far_as_it_goes() {
        let hello = r#"{"answer":"hello","protocol":9,"name":"a","version":"1","mood":"good"}"#;
        assert!(matches!(serde_json::from_str(hello).unwrap(), Answer::Hello { protocol: 9, .. }));
        let error = r#"{"answer":"error","kind":"moon_phase","message":"wait"}"#;
        let Answer::Error { kind, .. } = serde_json::from_str(error).unwrap() else { panic!("an error") };
        assert_eq!(kind, Word::Other("moon_phase".into()));
    }
}
