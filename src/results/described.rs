//! What a program is called where people read.

use super::Program;

impl Program {
    /// For a person: `bench-diff 0.1.0 (1a2b3c4, candle 0.11.1)`.
    pub fn describe(&self) -> String {
        let commit = self.commit.as_deref().map(short);
        let components = self.components.iter().map(|(name, part)| {
            let which = part.commit.as_deref().map(short).or_else(|| part.version.clone());
            which.map_or_else(|| name.clone(), |which| format!("{name} {which}"))
        });
        let parts: Vec<_> = commit.into_iter().chain(components).collect();
        let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        format!("{} {}{parts}", self.name, self.version)
    }
}

/// A commit's first digits, and whether the checkout had changes.
fn short(commit: &str) -> String {
    let (hash, dirty) = commit.split_once('-').map_or((commit, ""), |(hash, _)| (hash, "-dirty"));
    format!("{}{dirty}", hash.chars().take(7).collect::<String>())
}
