//! Counters in a results file: a part of schema 2 that was added to it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::results::counters::{self as memory, Counts};

/// What came of counting a case: in a process of its own, with the tracer in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaseCounters {
    /// The case's id.
    pub case: String,
    /// Why nothing was counted; absent where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Tokens of the longer generations; 0 where nothing was counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: u32,
    /// One after the other: where they differ, the program doesn't always do the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<CountedPair>,
}

/// A generation of one token, and one of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CountedPair {
    /// The prefill, and what every generation begins with.
    pub one_token: Counts,
    /// What it has more than the other is decoding.
    pub all_tokens: Counts,
    /// The share of the time of decoding in which kernels ran, in this traced run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_share: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(tokens: &u32) -> bool {
    *tokens == 0
}

impl From<CaseCounters> for memory::CaseCounters {
    fn from(disk: CaseCounters) -> Self {
        let why = disk
            .why
            .or_else(|| disk.pairs.is_empty().then(|| "the file says that it was counted, and not what".to_owned()));
        let pairs = disk.pairs.into_iter().map(|CountedPair { one_token, all_tokens, busy_share }| {
            let busy_share = busy_share.filter(|share| (0.0..=1.0).contains(share));
            memory::CountedPair { one_token, all_tokens, busy_share }
        });
        let counted = memory::Counted { tokens: disk.tokens, pairs: pairs.collect() };
        Self { case: disk.case, counted: why.map_or(Ok(counted), Err) }
    }
}

impl From<&memory::CaseCounters> for CaseCounters {
    fn from(memory: &memory::CaseCounters) -> Self {
        let (why, tokens, pairs) = match &memory.counted {
            Err(why) => (Some(why.clone()), 0, &[][..]),
            Ok(counted) => (None, counted.tokens, &counted.pairs[..]),
        };
        let pairs = pairs.iter().cloned().map(|memory::CountedPair { one_token, all_tokens, busy_share }| {
            CountedPair { one_token, all_tokens, busy_share }
        });
        Self { case: memory.case.clone(), why, tokens, pairs: pairs.collect() }
    }
}
