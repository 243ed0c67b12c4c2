//! The question that a duel settles.

use std::collections::BTreeSet;

use crate::compare::{Comparison, Confirmation, LOOKS, Side, Trial};
use crate::error::Result;

/// What is to be settled by measuring in turn.
///
/// Looking often at growing data finds differences where there are none, unless each look is corrected for. So a question
/// plans its looks, and is looked at only when it has the runs that a look needs.
pub trait Question {
    /// Runs per side that the next look asks for; `None` when all is settled, or no look is left.
    fn wanted(&self) -> Option<u32>;

    /// Runs per side that its last look asks for.
    fn most_runs(&self) -> u32;

    /// The ids of the cases that aren't settled.
    fn open_cases(&self) -> BTreeSet<String>;

    /// Looks at what the base shows against itself, where it is measured twice: before the look at the head.
    fn look_at_itself(&mut self, _base: &Side, _again: &Side) -> Result<()> {
        Ok(())
    }

    /// Looks at all runs so far.
    fn look(&mut self, base: &Side, head: &Side) -> Result<()>;

    /// The outcome of all looks so far.
    fn comparison(self) -> Comparison;
}

/// Are the suspects of a screen really changed?
impl Question for Confirmation {
    fn wanted(&self) -> Option<u32> {
        self.wanted()
    }

    fn most_runs(&self) -> u32 {
        LOOKS[LOOKS.len() - 1]
    }

    fn open_cases(&self) -> BTreeSet<String> {
        self.open_cases()
    }

    fn look_at_itself(&mut self, base: &Side, again: &Side) -> Result<()> {
        self.look_at_itself(base, again);
        Ok(())
    }

    fn look(&mut self, base: &Side, head: &Side) -> Result<()> {
        self.look(base, head)
    }

    fn comparison(self) -> Comparison {
        self.finish()
    }
}

/// Does anything differ?
impl Question for Trial {
    fn wanted(&self) -> Option<u32> {
        self.wanted()
    }

    fn most_runs(&self) -> u32 {
        self.most_runs()
    }

    fn open_cases(&self) -> BTreeSet<String> {
        self.open_cases()
    }

    fn look_at_itself(&mut self, _base: &Side, again: &Side) -> Result<()> {
        self.look_at_itself(again);
        Ok(())
    }

    fn look(&mut self, base: &Side, head: &Side) -> Result<()> {
        self.look(base, head)
    }

    fn comparison(self) -> Comparison {
        self.finish()
    }
}
