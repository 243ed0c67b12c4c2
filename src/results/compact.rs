//! What a committed baseline keeps: the samples and what guards them, not the shape of every distribution.

use super::{Counted, Outcome, Results, Run, Session};

impl Results {
    /// Drops the inter-token distributions: their p50 and p99 are metrics already, and a baseline of many sessions
    /// has to stay small enough to be committed.
    pub fn compact(&mut self) {
        // They explain a session; nothing is compared with them later.
        self.sessions.iter_mut().for_each(|session| session.step_parts.clear());
        for counted in self.sessions.iter_mut().flat_map(|session| &mut session.counters) {
            counted.counted.iter_mut().for_each(Counted::compact);
        }
        for run in self.sessions.iter_mut().flat_map(Session::all_runs_mut) {
            if let Outcome::Ok(measurement) = &mut run.outcome {
                measurement.itl = None;
            }
        }
    }
}

impl Session {
    /// Those that count, and those that don't.
    fn all_runs_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.runs.iter_mut().chain(self.discarded.iter_mut().map(|discarded| &mut discarded.run))
    }
}

#[cfg(test)]
mod tests {
    use crate::measure::fixture;

    /// What a repository is asked to commit: 20 cases, 3 runs, 5 sessions.
    #[test]
    fn a_normal_baseline_is_small() {
        let mut results = fixture::results(20, 3, 5);
        let mut whole = Vec::new();
        results.write(&mut whole).unwrap();
        results.compact();
        let mut compact = Vec::new();
        results.write(&mut compact).unwrap();
        assert!(compact.len() < 200_000, "{} bytes", compact.len());
        assert!(compact.len() < whole.len());
        let lines = compact.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"        {\"case\":"));
        assert_eq!(lines.count(), 20 * 3 * 5, "a line for each run");
    }
}
