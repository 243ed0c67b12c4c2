//! Where the baseline can't be compared with: a base program can, as both sides are measured with the same suite.

use super::{Base, Draft, Flow};
use crate::compare::{self, CaseNote, NoteKind, Side};
use crate::config::Suite;
use crate::error::Advice;
use crate::measure::{self, Halt};
use crate::results::{Results, Session};

/// Reasons named.
const MOST: usize = 3;

/// Why nothing of this suite on this machine can be compared with the baseline, if so.
pub fn obstacle(suite: &Suite, baseline: &Results) -> Option<String> {
    let last = baseline.sessions.last()?;
    let environment = measure::environment(suite);
    let session = Session { environment, runs: Vec::new(), discarded: Vec::new(), ..last.clone() };
    let (cases, settings) = (suite.cases().cloned().collect(), suite.settings.clone());
    let now = Results { cases, settings, sessions: vec![session], ..baseline.clone() };
    let in_common = now.cases.iter().any(|case| baseline.cases.iter().any(|kept| kept.id == case.id));
    if !in_common {
        return Some("it has no case of this suite".to_owned());
    }
    let obstacles = compare::obstacles(&Side::from_results("base", baseline), &Side::from_results("head", &now));
    (!obstacles.is_empty()).then(|| obstacles.into_iter().take(MOST).collect::<Vec<_>>().join(", "))
}

impl Flow<'_> {
    pub(super) fn obstacle(&self, baseline: &Results) -> Option<String> {
        obstacle(self.request.suite, baseline)
    }

    /// Base and head in turn; without a base, what the baseline allows to be said: nothing.
    pub(super) fn past_the_baseline(&mut self, baseline: Results, base: &Base, obstacle: &str) -> Result<Draft, Halt> {
        let program = match base {
            Base::Program(program) => self.made(program),
            Base::OutOfReach(_) | Base::Absent(_) | Base::Unwanted => {
                self.note_base_out_of_reach(base);
                return Ok(self.against_baseline(baseline, base)?);
            }
        };
        let program = match program {
            Ok(program) => program,
            Err(Halt::Failed(error)) => {
                self.caveats.base_out_of_reach = Some(error.in_one_line());
                return Ok(self.against_baseline(baseline, &Base::Unwanted)?);
            }
            Err(stopped) => return Err(stopped),
        };
        let mut draft = self.against_program(&program)?;
        draft.note_lost(&baseline);
        draft.warn(format!(
            "the committed baseline can't be compared with ({obstacle}), so base and head were both measured"
        ));
        Ok(draft)
    }

    /// Why there is no base although there is one.
    pub(super) fn note_base_out_of_reach(&mut self, base: &Base) {
        if let Base::OutOfReach(why) = base {
            self.caveats.base_out_of_reach = Some(why.clone());
        }
    }
}

impl Draft {
    /// Cases that the baseline has and nobody measures any more.
    fn note_lost(&mut self, baseline: &Results) {
        let measured = |id: &String| self.head.cases.iter().any(|case| case.id == *id);
        let lost: Vec<String> = baseline.cases.iter().map(|case| case.id.clone()).filter(|id| !measured(id)).collect();
        let reason = "in the baseline only";
        let note = |case| CaseNote { case, kind: NoteKind::Missing, fails: true, reason: reason.to_owned() };
        if let super::Against::Base { comparison, .. } = &mut self.against {
            comparison.notes.extend(lost.into_iter().map(note));
        }
    }

    fn warn(&mut self, warning: String) {
        if let super::Against::Base { comparison, .. } = &mut self.against {
            comparison.warnings.push(warning);
        }
    }
}
