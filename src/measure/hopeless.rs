//! Models that can't be loaded, however often one tries: their files are missing, or of a kind that is refused.

use std::collections::HashMap;

use crate::case::Case;
use crate::results::Failure;

/// What is known of them in a session, by side and case.
#[derive(Debug, Default)]
pub struct Hopeless(HashMap<(String, String), Failure>);

impl Hopeless {
    /// What came of the only try.
    pub fn of(&self, side: &str, case: &str) -> Option<&Failure> {
        self.0.get(&(side.to_owned(), case.to_owned()))
    }

    /// Keeps it for these cases. Where runs are left, it says that they don't try again.
    #[must_use]
    pub fn keep(&mut self, side: &str, cases: &[Case], failure: Failure, runs_left: bool) -> Failure {
        let suffix = if runs_left { TRIED_ONCE } else { "" };
        let failure = Failure { reason: failure.reason + suffix, ..failure };
        let keys = cases.iter().map(|case| (side.to_owned(), case.id.clone()));
        self.0.extend(keys.map(|key| (key, failure.clone())));
        failure
    }
}

const TRIED_ONCE: &str = " (tried in one run only: another would fail alike)";
