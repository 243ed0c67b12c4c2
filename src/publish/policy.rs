//! What is told to whom, and what makes the step fail.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::compare::Failing;
use crate::github::sticky::When;
use crate::suggest;
use crate::word::{Vocabulary, words};

/// What to tell, and what makes the step fail.
#[derive(Debug, Clone)]
pub struct Options {
    /// When to comment.
    pub comment: When,
    /// What makes the step fail.
    pub fail_on: FailOn,
    /// What a report without a comparison means.
    pub if_no_baseline: IfNoBaseline,
    /// Where to write the summary as a file as well.
    pub summary: Option<PathBuf>,
    /// Where the event doesn't say it.
    pub pr_number: Option<u64>,
    /// Set a check run as well.
    pub check_run: bool,
}

/// What makes the exit code 1: any of these. Nothing does if it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailOn(BTreeSet<Failing>);

/// For a list without anything in it.
const NOTHING: [&str; 2] = ["never", "none"];

impl FailOn {
    /// What holds where nothing is said: who asks for a comparison, and gets none, mustn't take it for a good one.
    pub const DEFAULT: &str = "not-comparable";

    /// Lost numbers are regressions, whatever else is asked for: else a crash would pass.
    pub fn fails(&self, found: &BTreeSet<Failing>) -> bool {
        let counts = |failing: &Failing| {
            self.0.contains(failing) || (*failing == Failing::Missing && self.0.contains(&Failing::Regression))
        };
        found.iter().any(counts)
    }
}

/// Words with commas between them.
impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Err(format!("names nothing; give {}", choices())),
            [word] if NOTHING.contains(word) => Ok(Self(BTreeSet::new())),
            words => words.iter().map(|word| failing(word)).collect::<Result<_, _>>().map(Self),
        }
    }
}

fn failing(word: &str) -> Result<Failing, String> {
    Failing::from_word(word).ok_or_else(|| match NOTHING.contains(&word) {
        true => format!("`{word}` stands alone"),
        false => format!("no `{word}`; {}", suggest::hint(word, Failing::WORDS)),
    })
}

fn choices() -> String {
    format!("{}, or never", Failing::WORDS.join(", "))
}

impl fmt::Display for FailOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|failing| failing.word()).collect();
        match words.is_empty() {
            true => f.write_str(NOTHING[0]),
            false => f.write_str(&words.join(",")),
        }
    }
}

words! {
    /// What a measurement without a baseline is.
    IfNoBaseline {
        /// Say nothing about it.
        Pass = "pass",
        /// Print a warning.
        Warn = "warn",
        /// Exit with 1.
        Fail = "fail",
    }
}
