//! What looks changed against a baseline is measured again, base and head in turn, before anyone is alarmed.

use super::{Base, Flow};
use crate::compare::{self, Comparison, Confirmation};
use crate::error::{Advice, Result};
use crate::measure::{End, Halt, Worker};
use crate::results::Results;

impl Flow<'_> {
    /// The comparison with the suspects' rows decided by fresh runs, as far as these got.
    pub(super) fn confirm(
        &mut self,
        mut screen: Comparison,
        program: &Base,
        base: &Results,
        head: &Results,
    ) -> Result<(Comparison, End)> {
        let (base, head) = (compare::Side::from_results("base", base), compare::Side::from_results("head", head));
        let suspects = compare::suspects(&base, &head, &self.options)?;
        if suspects.is_empty() {
            return Ok((screen, End::Complete));
        }
        let why = match program {
            Base::Unwanted => return Ok((screen, End::Complete)),
            Base::OutOfReach(why) => why.clone(),
            Base::Program(program) => match self.made(program) {
                Ok(worker) => return self.settle(Confirmation::new(screen, suspects, &self.options), &worker),
                Err(Halt::Stopped) => return Ok((screen, End::Stopped)),
                Err(Halt::Failed(error)) => error.in_one_line(),
            },
        };
        screen.warnings.push(format!("what looks changed was not measured again: {why}"));
        Ok((screen, End::Complete))
    }

    /// What an interleaved session calls changed, measured again in another: only there the base is compared with itself,
    /// too.
    pub(super) fn confirm_changes(&mut self, found: Comparison, end: End, base: &Worker) -> Result<(Comparison, End)> {
        let changed = compare::changed(&found);
        if changed.is_empty() || !self.request.confirm || end == End::Stopped {
            return Ok((found, end));
        }
        self.settle(Confirmation::new(found, changed, &self.options), base)
    }

    fn settle(&mut self, confirmation: Confirmation, base: &Worker) -> Result<(Comparison, End)> {
        let time = self.request.confirm_budget;
        let again = self.contender(base, "confirm-base-again.json");
        let head = self.contender(&self.request.head, "confirm-results.json");
        let base = self.contender(base, "confirm-base.json");
        let duelled = self.duel(base, head, Some(again)).until_settled(confirmation, time)?;
        Ok((duelled.comparison, duelled.ended.end()))
    }
}
