//! What a committed baseline keeps: the samples and what guards them, not the shape of every distribution.

use super::{Outcome, Results};

impl Results {
    /// Drops the inter-token distributions: their p50 and p99 are metrics already, and a baseline of many sessions
    /// has to stay small enough to be committed.
    pub fn compact(&mut self) {
        for run in self.sessions.iter_mut().flat_map(|session| &mut session.runs) {
            if let Outcome::Ok(measurement) = &mut run.outcome {
                measurement.itl = None;
            }
        }
    }
}
