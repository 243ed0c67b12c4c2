//! What looks changed against a baseline is measured again, base and head interleaved, before anyone is alarmed.

use super::Flow;
use crate::compare::{self, Comparison};
use crate::config::Suite;
use crate::error::Result;
use crate::programs::Program;
use crate::results::Results;

impl Flow<'_> {
    /// The comparison with the suspects' rows decided by fresh runs. `None` when told to stop.
    pub(super) fn confirm(
        &mut self,
        screen: Comparison,
        program: &Program,
        base: &Results,
        head: &Results,
    ) -> Result<Option<Comparison>> {
        let (base, head) = (compare::Side::from_results("base", base), compare::Side::from_results("head", head));
        let suspects = compare::suspects(&base, &head, &self.options)?;
        let Some(runs) = suspects.iter().map(|suspect| suspect.runs).max() else { return Ok(Some(screen)) };
        let mut suite = self.request.suite.only(|case| suspects.iter().any(|suspect| suspect.case == case.id));
        suite.settings.runs = runs;
        self.fresh(&suite, &program.worker()?, screen, &suspects)
    }

    fn fresh(
        &mut self,
        suite: &Suite,
        program: &crate::measure::Worker,
        screen: Comparison,
        suspects: &[compare::Suspect],
    ) -> Result<Option<Comparison>> {
        let Some((base, head)) = self.measure_both(suite, program, "confirm-")? else { return Ok(None) };
        let (base, head) = (compare::Side::from_results("base", &base), compare::Side::from_results("head", &head));
        compare::confirm(screen, suspects, &base, &head, &self.options).map(Some)
    }
}
