//! Which sessions are of one build.

use super::Session;

impl Session {
    /// Certainly of the same build: of one file, or of one commit without local changes.
    pub fn is_surely_of_one_build_with(&self, other: &Self) -> bool {
        let same_file = self.program_sha256.is_some() && self.program_sha256 == other.program_sha256;
        let named = self.program.commit.as_ref().is_some_and(|commit| !commit.ends_with("-dirty"));
        same_file || named && self.program == other.program
    }
}
