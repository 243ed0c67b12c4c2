//! The runs of all contenders so far, by case, and which of them are evidence.

use std::collections::{BTreeSet, HashMap};

use crate::compare;
use crate::config::Suite;
use crate::measure::{self, MeasuredSide};
use crate::plural::counted;
use crate::results::{Outcome, Run};

/// Base and head of one session, and perhaps the base again.
pub struct Fresh {
    pub sides: Vec<MeasuredSide>,
}

impl Fresh {
    pub fn count(&self) -> usize {
        self.sides.iter().map(|side| side.session().runs.len()).sum()
    }

    /// Of every case that ran.
    pub fn by_case(&self) -> HashMap<&str, Measured<'_>> {
        let mut cases: HashMap<&str, Measured> = HashMap::new();
        for (side, of) in self.sides.iter().enumerate() {
            for run in &of.session().runs {
                let nothing = || Measured { sides: vec![Vec::new(); self.sides.len()] };
                cases.entry(run.case.as_str()).or_insert_with(nothing).sides[side].push(run);
            }
        }
        cases
    }

    /// How the device always runs each case.
    fn always(&self) -> HashMap<&str, BTreeSet<&str>> {
        self.by_case().into_iter().map(|(case, measured)| (case, measured.always())).collect()
    }

    /// All sides without the runs that were throttled now and then: those say something about the machine only.
    pub fn evidence(&self) -> Vec<compare::Side> {
        let always = self.always();
        let evidence = |side: &MeasuredSide| {
            let (mut results, mut left_out) = (side.results.clone(), Vec::new());
            for session in &mut results.sessions {
                let (evidence, others) = std::mem::take(&mut session.runs)
                    .into_iter()
                    .partition(|run| counts(run, &always[run.case.as_str()]));
                session.runs = evidence;
                left_out.extend::<Vec<Run>>(others);
            }
            without_evidence(compare::Side::from_results(side.label.as_str(), &results), &left_out)
        };
        self.sides.iter().map(evidence).collect()
    }

    /// What throttling did to the runs, one sentence each.
    pub fn remarks(&self, suite: &Suite) -> Vec<String> {
        let always = self.always();
        let held = suite.cases().filter_map(|case| {
            let always: Vec<_> = always.get(case.id.as_str())?.iter().copied().collect();
            let (case, reasons) = (&case.id, always.join(", "));
            let remark = || {
                format!(
                    "`{case}` was throttled in every fresh run of all sides ({reasons}): that is how this device runs \
                     it"
                )
            };
            (!always.is_empty()).then(remark)
        });
        let runs = self.sides.iter().flat_map(|side| &side.session().runs);
        let throttled = runs.filter(|run| !counts(run, &always[run.case.as_str()])).count();
        let repeated = (throttled > 0).then(|| {
            let runs = counted(throttled, "fresh run");
            format!("{runs} were throttled: they are no evidence, and were repeated where the budget allowed")
        });
        held.chain(repeated).collect()
    }
}

/// The runs of one case, by side.
pub struct Measured<'a> {
    sides: Vec<Vec<&'a Run>>,
}

impl<'a> Measured<'a> {
    fn runs(&self) -> impl Iterator<Item = &'a Run> {
        self.sides.iter().flatten().copied()
    }

    pub fn rounds(&self) -> u32 {
        self.runs().map(|run| run.round).max().unwrap_or(0)
    }

    /// Does a look at so many runs need more? A case that failed isn't tried again and again.
    pub fn lacks(&self, runs: u32, most_rounds: u32) -> bool {
        let failed = self.runs().any(|run| matches!(run.outcome, Outcome::Failed(_)));
        let always = self.always();
        let few = |side: &Vec<&Run>| side.iter().filter(|run| counts(run, &always)).count() < runs as usize;
        self.sides.iter().any(few) && !failed && self.rounds() < most_rounds
    }

    /// How the device always runs it, all sides alike.
    fn always(&self) -> BTreeSet<&'a str> {
        measure::always_throttled(self.runs())
    }
}

/// A case of which nothing is left did run.
fn without_evidence(mut side: compare::Side, left_out: &[Run]) -> compare::Side {
    for case in side.cases.iter_mut().filter(|case| case.runs == 0 && case.failures.is_empty()) {
        let runs = left_out.iter().filter(|run| run.case == case.id);
        let reasons = runs.filter_map(|run| match &run.outcome {
            Outcome::Ok(measurement) => Some(measurement.throttle_reasons()),
            Outcome::Failed(_) => None,
        });
        case.only_throttled = reasons.flatten().cloned().collect();
    }
    side
}

/// A run is evidence if it wasn't throttled, or only for the reason that always throttles it.
fn counts(run: &Run, always: &BTreeSet<&str>) -> bool {
    let Outcome::Ok(measurement) = &run.outcome else { return true };
    measurement.throttle_reasons().iter().all(|reason| always.contains(reason.as_str()))
}
