//! What looks changed against a baseline is measured again, base and head in turn, before anyone is alarmed.

use super::{Base, Flow};
use crate::compare::{self, Comparison, Confirmation};
use crate::error::Result;
use crate::measure::{End, Worker};
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
        match worker(program) {
            None => Ok((screen, End::Complete)),
            Some(Err(why)) => {
                screen.warnings.push(format!("what looks changed was not measured again: {why}"));
                Ok((screen, End::Complete))
            }
            Some(Ok(worker)) => {
                let confirmation = Confirmation::new(screen, suspects, &self.options);
                let time = self.request.confirm_budget;
                let duelled = self.duel(&worker, "confirm-").until_settled(confirmation, time)?;
                Ok((duelled.comparison, duelled.ended.end()))
            }
        }
    }
}

/// The base, or why there is none; `None` if neither flags nor configuration say how to get one.
fn worker(base: &Base) -> Option<std::result::Result<Worker, String>> {
    match base {
        Base::Unwanted => None,
        Base::OutOfReach(why) => Some(Err(why.clone())),
        Base::Program(program) => Some(program.worker().map_err(|error| error.message().to_owned())),
    }
}
