//! One thing that was looked at, and what was found.

use schemars::JsonSchema;
use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// What was looked at, in a word or two.
    pub about: &'static str,
    /// What came of it.
    #[serde(rename = "status")]
    pub found: Found,
    /// What was found, in one sentence.
    pub said: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// As it has to be.
    #[serde(rename = "ok")]
    Fine,
    /// Something that is needed.
    Missing,
    /// Worth knowing; it stops nothing.
    Note,
}

impl Check {
    pub(super) fn new(about: &'static str, found: Found, said: impl Into<String>) -> Self {
        Self { about, found, said: said.into(), hint: None }
    }

    pub(super) fn fine(about: &'static str, said: impl Into<String>) -> Self {
        Self::new(about, Found::Fine, said)
    }

    pub(super) fn note(about: &'static str, said: impl Into<String>) -> Self {
        Self::new(about, Found::Note, said)
    }

    pub(super) fn missing(about: &'static str, said: impl Into<String>) -> Self {
        Self::new(about, Found::Missing, said)
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub fn is_missing(&self) -> bool {
        self.found == Found::Missing
    }
}

/// Names of others, the first of them.
pub(super) fn listed(names: &[&str]) -> String {
    const MOST: usize = 6;
    let shown = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The start of a commit's name.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..9).unwrap_or(commit)
}
