//! How to measure the same again, as the measuring job knew it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::word::{Word, words};

words! {
    /// What base and head were.
    Contenders {
        /// Two commits of the repository, built as its workflow builds them.
        Commits = "commits",
        /// The engines of two commits of the repository, as its configuration says how to build and start them.
        Engines = "engines",
        /// bench-diff, built against two candles.
        Candles = "candles",
        /// Programs that somebody named.
        Programs = "programs",
        /// A program that somebody named, against a baseline or itself.
        Program = "program",
        /// The measuring program itself, against a baseline or itself.
        ThisProgram = "this-program",
    }
}

/// What a command needs to measure the same again. All of it may be foreign: only checked words go into a command that
/// people copy, and never a program or a command to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reproduction {
    /// What base and head were.
    pub contenders: Word<Contenders>,
    /// The base's commit: of the repository, or of candle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The head's commit: of the repository, or of candle; with `-dirty` where the checkout had changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// The flags that said what to measure, and how: `["--suite", "small", "--iterations", "3"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}
