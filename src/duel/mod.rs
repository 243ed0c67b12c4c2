//! Two programs measured in turn, A B B A, and compared: [as often as the suite says](Duel::complete), or
//! [until a question is settled](Duel::until_settled) or the time for it is spent.
//!
//! A [`Question`] says which cases are open, how many runs its next look wants, and what it makes of them.

mod attributing;
mod budget;
mod code_of_sides;
mod ended;
mod fresh;
mod question;
mod settling;

use std::time::Duration;

pub use attributing::{Attributing, GENERATIONS as TRACED_GENERATIONS, part as traced_part, times as traced_times};
pub use ended::{Duelled, Ended};
pub use question::Question;

use crate::compare::{self, Options};
use crate::config::Suite;
use crate::error::Result;
use crate::measure::{self, End, MeasuredSide, Observer, Request, Saved, Stop, Worker};
use settling::Settling;

/// Who is measured against whom, and on what.
pub struct Duel<'a> {
    /// The suite, and which of its cases to refuse.
    pub request: Request<'a>,
    /// What the head is measured against.
    pub base: Contender,
    /// What is judged.
    pub head: Contender,
    /// The base's program once more, as a third contender that takes its turns like the head: what it seems to differ by
    /// from itself is no change. Only where something is [to be settled](Self::until_settled).
    pub base_again: Option<Contender>,
    /// Who is told of progress.
    pub observer: &'a mut dyn Observer,
    /// Ends it early.
    pub stop: &'a Stop,
}

/// One that takes its turns.
#[derive(Debug, Clone)]
pub struct Contender {
    /// How to start it.
    pub program: Worker,
    /// Where its results are saved while it is measured; nowhere when absent.
    pub saved: Option<Saved>,
}

impl Duel<'_> {
    /// As many runs as the suite says, and one look at them all.
    pub fn complete(mut self, options: &Options) -> Result<Duelled> {
        let suite = self.request.suite;
        let mut sides = self.base_and_head(suite)?;
        let end = self.measure(suite, &mut sides)?;
        let [base, head] = sides.each_ref().map(|side| compare::Side::from_results(side.label.as_str(), &side.results));
        let comparison = compare::compare(&base, &head, options)?;
        let ended = match end {
            End::Stopped => Ended::Stopped,
            End::Complete if comparison.counts.inconclusive > 0 => Ended::OutOfLooks,
            End::Complete => Ended::Settled,
        };
        Ok(Duelled::of(sides.into(), comparison, ended))
    }

    /// Only the open cases of `question`, until it is settled or `time` is spent.
    pub fn until_settled(mut self, question: impl Question, time: Duration) -> Result<Duelled> {
        let open = question.open_cases();
        let suite = self.request.suite.only(|case| open.contains(&case.id));
        let sides = self.sides(&suite)?;
        Settling::new(question, suite, sides, time).run(|suite, sides| self.measure(suite, sides))
    }

    /// What the programs do on the GPU was counted before.
    #[must_use]
    pub fn without_counters(mut self) -> Self {
        self.request.counters = false;
        self
    }

    fn base_and_head(&self, suite: &Suite) -> Result<[MeasuredSide; 2]> {
        let id = measure::session_id();
        Ok([side("base", &self.base, suite, &id)?, side("head", &self.head, suite, &id)?])
    }

    /// All that take their turns: base, head, and the base again if it does.
    fn sides(&self, suite: &Suite) -> Result<Vec<MeasuredSide>> {
        let mut sides = Vec::from(self.base_and_head(suite)?);
        if let Some(again) = &self.base_again {
            let id = sides[0].session().id.clone();
            sides.push(side("base again", again, suite, &id)?);
        }
        Ok(sides)
    }

    fn measure(&mut self, suite: &Suite, sides: &mut [MeasuredSide]) -> Result<End> {
        measure::run(&Request { suite, ..self.request.clone() }, sides, self.observer, self.stop)
    }
}

/// One side of a session: new, or as it was left.
fn side(label: &str, Contender { program, saved }: &Contender, suite: &Suite, session: &str) -> Result<MeasuredSide> {
    let side = MeasuredSide::new(label, program.clone(), suite, session);
    match saved {
        Some(saved) => side.kept(saved, suite),
        None => Ok(side),
    }
}
