//! What looks changed against a baseline is measured again, base and head in turn, before anyone is alarmed.

use super::{Base, Flow};
use crate::compare::{self, Comparison, Confirmation, Row};
use crate::duel::{Attributing, Duelled};
use crate::error::{Advice, Result};
use crate::measure::{End, Halt, Worker};
use crate::report::MeasuredAgain;
use crate::results::Results;

/// What was found, by which fresh runs, and how measuring them ended.
type Confirmed = (Comparison, Option<MeasuredAgain>, End);

impl Flow<'_> {
    /// The comparison with the suspects' rows decided by fresh runs, as far as these got; and those runs.
    pub(super) fn confirm(
        &mut self,
        mut screen: Comparison,
        program: &Base,
        base: &Results,
        head: &Results,
    ) -> Result<Confirmed> {
        let (base, head) = (compare::Side::from_results("base", base), compare::Side::from_results("head", head));
        let suspects = compare::suspects(&base, &head, &self.options)?;
        if suspects.is_empty() {
            return Ok((screen, None, End::Complete));
        }
        let why = match program {
            Base::Unwanted => return Ok((screen, None, End::Complete)),
            Base::Absent(why) => why.clone(),
            Base::OutOfReach(why) => self.out_of_reach(&screen, why.clone()),
            Base::Program(program) => match self.made(program) {
                Ok(worker) => return self.settle(Confirmation::new(screen, suspects, &self.options), &worker),
                Err(Halt::Stopped) => return Ok((screen, None, End::Stopped)),
                Err(Halt::Failed(error)) => self.out_of_reach(&screen, error.in_one_line()),
            },
        };
        screen.warnings.push(format!("what looks changed was not measured again: {why}"));
        Ok((screen, None, End::Complete))
    }

    /// Where the screen leaves open what only the base could tell, that there is none is said before all else.
    fn out_of_reach(&mut self, screen: &Comparison, why: String) -> String {
        if screen.rows.iter().any(Row::is_unconfirmed) {
            self.caveats.base_out_of_reach = Some(why.clone());
        }
        why
    }

    /// What an interleaved session calls changed, or nearly so, measured again in another: only there the base is compared with
    /// itself, too. Where nothing is, what is asked for otherwise is traced.
    pub(super) fn confirm_changes(
        &mut self,
        mut found: Comparison,
        end: End,
        base: &Worker,
        head: &Results,
    ) -> Result<Confirmed> {
        if found.same_program.is_some() || !self.request.confirm || end == End::Stopped {
            return Ok((found, None, end));
        }
        let changed = compare::changed(&found);
        if changed.is_empty() {
            let end = self.attribute(&mut found, base, head)?;
            return Ok((found, None, end));
        }
        self.settle(Confirmation::new(found, changed, &self.options), base)
    }

    fn settle(&mut self, confirmation: Confirmation, base: &Worker) -> Result<Confirmed> {
        let time = self.request.confirm_budget;
        let again = self.contender(base, "confirm-base-again.json");
        let head = self.contender(&self.request.head, "confirm-results.json");
        let program = base;
        let base = self.contender(base, "confirm-base.json");
        let Duelled { base, head, mut comparison, ended, .. } =
            self.duel(base, head, Some(again)).without_counters().until_settled(confirmation, time)?;
        let mut end = ended.end();
        if end == End::Complete {
            end = self.attribute(&mut comparison, program, &head)?;
        }
        Ok((comparison, Some(MeasuredAgain { base, head }), end))
    }

    /// Traces what changed. The verdict stands without it.
    fn attribute(&mut self, comparison: &mut Comparison, base: &Worker, known: &Results) -> Result<End> {
        let (request, time) = (self.measuring(), self.request.trace_budget);
        let head = &self.request.head;
        let attributing =
            Attributing { request: &request, base, head, known, observer: &mut self.observer, stop: self.stop };
        Halt::end(attributing.within(time, comparison).map(|attributed| comparison.attributed = attributed))
    }
}
