//! What every case of a session does on the GPU, counted beside the timed runs: in processes of their own, once.

use super::counted::counted;
use super::halt::Halt;
use super::measured_side::MeasuredSide;
use super::observer::{At, Update};
use super::request::Session;
use super::traced::{self, MOST_CASES, Traced, TracedCases, TracedGenerations};
use crate::case::Case;
use crate::config::SuiteModel;
use crate::engine::ModelSpec;
use crate::results::{CaseCounters, CaseStepParts, Outcome};

/// Enough for what a program does every 32 or 64 tokens to show, and soon over. Two of each tell whether it varies.
const GENERATIONS: TracedGenerations = TracedGenerations { tokens: 129, repeats: 2 };

/// In front of what is missing.
const NEEDED: &str = "counters need an NVIDIA GPU and CUPTI";

impl Session<'_> {
    /// After the timed runs: cases that gave numbers and have no counters yet.
    pub fn counters(&mut self, sides: &mut [MeasuredSide]) -> Result<(), Halt> {
        if !self.request.counters {
            return Ok(());
        }
        for model in self.request.suite.models.iter().filter(|model| can_be_counted(&model.spec)) {
            // Base and head: the base again does what the base does.
            for side in sides.iter_mut().take(2) {
                self.count(side, model)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, side: &mut MeasuredSide, model: &SuiteModel) -> Result<(), Halt> {
        let lacks_counters = |case: &&Case| side.is_measured(&case.id) && !side.has_counters(&case.id);
        let mut left: Vec<Case> = model.cases.iter().filter(lacks_counters).cloned().collect();
        while !left.is_empty() {
            let cases = &left[..left.len().min(MOST_CASES)];
            self.wait_until_idle()?;
            let at = At { side: &side.label, model: &model.spec.model, round: 0 };
            self.observer.update(Update::Counting { at, cases: cases.len() });
            let spec = &side.pinned(&model.spec, cases);
            let (suite, worker) = (self.request.suite, &side.worker);
            let seen = traced::run(Traced { suite, worker, spec, cases, generations: GENERATIONS }, self.stop)?;
            let seen = seen.whole_or_none();
            side.add_step_parts(cases, &seen);
            let counters = of_cases(&seen, cases);
            left.drain(..counters.len());
            side.add_counters(counters)?;
        }
        Ok(())
    }
}

/// Of a server that was there before nobody can tell; one that follows a seed protocol is measured as that program does it.
fn can_be_counted(spec: &ModelSpec) -> bool {
    spec.server.is_none() && spec.seed_protocol.is_none()
}

/// Of the cases that were traced, and of the one that wasn't; what keeps the tracer out keeps it out of all.
fn of_cases(seen: &TracedCases, cases: &[Case]) -> Vec<CaseCounters> {
    let trace = seen.saved.trace();
    let counters = |case: &Case, counted| CaseCounters { case: case.id.clone(), counted };
    let whole = cases[..seen.whole].iter().enumerate().map(|(place, case)| {
        let tokens = GENERATIONS.tokens_of(case);
        counters(case, Ok(counted(&trace, place, GENERATIONS.repeats, tokens)))
    });
    let why = seen.why.iter().flat_map(|why| {
        let why = if seen.untraceable { format!("{NEEDED}: {why}") } else { why.clone() };
        let others = if seen.is_blind() { usize::MAX } else { 1 };
        cases[seen.whole..].iter().take(others).map(move |case| counters(case, Err(why.clone())))
    });
    whole.chain(why).collect()
}

impl MeasuredSide {
    fn is_measured(&self, case: &str) -> bool {
        self.session().runs.iter().any(|run| run.case == case && matches!(run.outcome, Outcome::Ok(_)))
    }

    fn has_counters(&self, case: &str) -> bool {
        self.session().counters.iter().any(|counters| counters.case == case)
    }

    /// With the commit of the weights that were measured.
    fn pinned(&self, spec: &ModelSpec, cases: &[Case]) -> ModelSpec {
        let known = self.results.cases.iter().find(|case| cases.iter().any(|mine| mine.id == case.id));
        let revision = known.and_then(|case| case.revision.clone());
        ModelSpec { revision: revision.or_else(|| spec.revision.clone()), ..spec.clone() }
    }

    /// As they come with the traces: those of a case that was traced are those of the newest trace.
    fn add_step_parts(&mut self, cases: &[Case], seen: &TracedCases) {
        let all = cases.iter().zip(&seen.parts);
        let stamped =
            all.filter_map(|(case, parts)| Some(CaseStepParts { case: case.id.clone(), parts: parts.clone()? }));
        self.session_mut().step_parts.extend(stamped);
    }

    fn add_counters(&mut self, counters: Vec<CaseCounters>) -> Result<(), Halt> {
        self.session_mut().counters.extend(counters);
        Ok(self.save()?)
    }
}
