//! Measuring block after block, with a look whenever the question wants one.

use std::collections::BTreeSet;
use std::time::Duration;

use super::budget::Budget;
use super::ended::{Duelled, Ended};
use super::fresh::{Fresh, Measured};
use super::question::Question;
use crate::config::Suite;
use crate::error::Result;
use crate::measure::{End, MeasuredSide};
use crate::plural::counted;

/// A B B A: two runs of each side, which a slow drift of the machine affects alike.
const BLOCK: u32 = 2;

/// How measuring until the next look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// The next look has its runs, or can't get them.
    Ready,
    Spent,
    Stopped,
}

/// A question, and the runs that are to settle it.
pub struct Settling<Q> {
    question: Q,
    /// The cases that were open in the beginning.
    suite: Suite,
    fresh: Fresh,
    budget: Budget,
}

impl<Q: Question> Settling<Q> {
    pub fn new(question: Q, suite: Suite, sides: Vec<MeasuredSide>, time: Duration) -> Self {
        Self { question, suite, fresh: Fresh { sides }, budget: Budget::new(time) }
    }

    /// `measure` measures the runs that the sides lack of a suite.
    pub fn run(mut self, mut measure: impl FnMut(&Suite, &mut [MeasuredSide]) -> Result<End>) -> Result<Duelled> {
        let ended = self.until_settled(&mut measure)?;
        let remarks = self.remarks(ended);
        let mut comparison = self.question.comparison();
        comparison.warnings.extend(remarks);
        Ok(Duelled::of(self.fresh.sides, comparison, ended))
    }

    fn until_settled(&mut self, measure: &mut impl FnMut(&Suite, &mut [MeasuredSide]) -> Result<End>) -> Result<Ended> {
        while let Some(runs) = self.question.wanted() {
            let before = self.fresh.count();
            let pause = self.until_look(measure, runs)?;
            // A look that comes early, because nothing more will be measured, is corrected for as well.
            if self.fresh.count() > before || pause == Pause::Ready {
                self.look()?;
            }
            match pause {
                Pause::Ready => {}
                Pause::Spent => return Ok(Ended::OutOfTime),
                Pause::Stopped => return Ok(Ended::Stopped),
            }
        }
        Ok(if self.question.open_cases().is_empty() { Ended::Settled } else { Ended::OutOfLooks })
    }

    fn look(&mut self) -> Result<()> {
        let evidence = self.fresh.evidence();
        let [base, head, others @ ..] = &evidence[..] else { return Ok(()) };
        for again in others {
            self.question.look_at_itself(base, again)?;
        }
        self.question.look(base, head)
    }

    /// Measures blocks of the open cases until each has `runs` on all sides.
    fn until_look(
        &mut self,
        measure: &mut impl FnMut(&Suite, &mut [MeasuredSide]) -> Result<End>,
        runs: u32,
    ) -> Result<Pause> {
        while let Some(block) = self.next_block(runs) {
            if !self.budget.allows_another_block() {
                return Ok(Pause::Spent);
            }
            let sides = &mut self.fresh.sides;
            if self.budget.spend(|| measure(&block, sides))? == End::Stopped {
                return Ok(Pause::Stopped);
            }
        }
        Ok(Pause::Ready)
    }

    /// The cases that lack runs for this look, with the rounds that a session of one block more has. `None` when none
    /// lacks any, or can get more.
    fn next_block(&self, runs: u32) -> Option<Suite> {
        let measured = self.fresh.by_case();
        let of = |case: &String| measured.get(case.as_str());
        // Throttled runs are repeated, but not forever.
        let most_rounds = self.question.most_runs() * 3 / 2;
        let lacks = |case: &String| of(case).is_none_or(|measured| measured.lacks(runs, most_rounds));
        let lacking: BTreeSet<String> = self.question.open_cases().into_iter().filter(lacks).collect();
        let rounds = lacking.iter().map(|case| of(case).map_or(0, Measured::rounds)).max()?;
        let mut block = self.suite.only(|case| lacking.contains(&case.id));
        // Whole blocks, also after an interruption.
        block.settings.runs = (rounds / BLOCK + 1) * BLOCK;
        Some(block)
    }

    /// What the runs, and where they ended, leave in doubt.
    fn remarks(&self, ended: Ended) -> Vec<String> {
        let mut remarks = self.fresh.remarks(&self.suite);
        let why = match ended {
            Ended::Settled | Ended::OutOfLooks => return remarks,
            Ended::OutOfTime => format!("the budget of {} was spent", self.budget.in_words()),
            Ended::Stopped => "measuring was stopped".to_owned(),
        };
        let open = self.question.open_cases().len();
        remarks.push(format!("{} could not be settled: {why}", counted(open, "case")));
        remarks
    }
}
