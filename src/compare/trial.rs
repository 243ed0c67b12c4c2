//! Two programs that are measured in turn from the start: every cell is open, and each look is one at all of them.
//!
//! The looks are planned, and each takes its share of alpha, as with a [`Confirmation`].

use std::collections::BTreeSet;

use super::confirm::{Confirmation, everything};
use super::{Comparison, Counts, Finding, Options, Row, Side, Tier, Verdict, screen};
use crate::error::Result;

/// What is to be settled, and what the runs so far say.
#[derive(Debug)]
pub struct Trial {
    /// The ids of all cases.
    cases: BTreeSet<String>,
    options: Options,
    /// Runs per side at each look.
    plan: Vec<u32>,
    /// As of the last look; `None` before the first.
    state: Option<Confirmation>,
    /// The base's other arm, as of the next look.
    again: Option<Side>,
}

impl Trial {
    /// Of these cases, with looks at so many runs per side; at least one.
    pub fn new(cases: BTreeSet<String>, plan: &[u32], options: &Options) -> Self {
        Self { cases, options: options.clone(), plan: plan.to_vec(), state: None, again: None }
    }

    /// Runs per side that the next look asks for; `None` when all is settled, or no look is left.
    pub fn wanted(&self) -> Option<u32> {
        self.state.as_ref().map_or_else(|| self.plan.first().copied(), Confirmation::wanted)
    }

    /// Runs per side that the last look asks for.
    pub fn most_runs(&self) -> u32 {
        self.plan.last().copied().unwrap_or_default()
    }

    /// The cases that have an open cell.
    pub fn open_cases(&self) -> BTreeSet<String> {
        self.state.as_ref().map_or_else(|| self.cases.clone(), Confirmation::open_cases)
    }

    /// Has the next look weigh what it finds against what the base shows against itself.
    pub fn look_at_itself(&mut self, again: &Side) {
        self.again = Some(again.clone());
    }

    /// Looks at all runs so far. What is settled stays as it is.
    pub fn look(&mut self, base: &Side, head: &Side) -> Result<()> {
        let screen = screen::compare(base, head, &self.options)?;
        let mut state = match self.state.take() {
            Some(mut state) => {
                state.screen = screen;
                state
            }
            None => {
                let cells = everything(base, head, &self.options)?;
                Confirmation::planned(screen, cells, &self.plan, &self.options)
            }
        };
        if let Some(again) = self.again.take() {
            state.look_at_itself(base, &again);
        }
        state.look(base, head)?;
        self.state = Some(state);
        Ok(())
    }

    /// What the looks have said. Nothing was measured again: both sides are of one session.
    pub fn finish(self) -> Comparison {
        let Some(state) = self.state else { return nothing(self.options.alpha) };
        let tier = state.screen.tier;
        let mut comparison = Comparison { tier, ..state.finish() };
        comparison.rows.iter_mut().for_each(first_measured);
        comparison
    }
}

fn first_measured(row: &mut Row) {
    match &mut row.finding {
        Finding::Tested(tested) => tested.confirmed = false,
        Finding::Ranges(ranges) => ranges.confirmed = false,
        Finding::Untestable { .. } | Finding::NotComparable(_) => {}
    }
}

/// Before anything was measured.
fn nothing(alpha: f64) -> Comparison {
    Comparison {
        verdict: Verdict::NotComparable,
        counts: Counts::default(),
        tier: Tier::SameSession,
        base_occasions: None,
        base_shared_process: false,
        alpha,
        family: 0,
        common_shift: Default::default(),
        by_metric: Vec::new(),
        rows: Vec::new(),
        notes: Vec::new(),
        differences: Vec::new(),
        warnings: Vec::new(),
        same_program: None,
        attributed: None,
        counters: None,
    }
}
