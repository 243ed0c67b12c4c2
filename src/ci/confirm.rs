//! What looks changed against a baseline is measured again, base and head interleaved, before anyone is alarmed: until
//! it is settled, or the budget is spent.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::{Base, Flow};
use crate::compare::{self, Comparison, Confirmation, LOOKS};
use crate::config::Suite;
use crate::error::Result;
use crate::measure::{self, End, Side};
use crate::render::counted;
use crate::results::{Outcome, Results, Run};

/// A B B A: two runs a side, on which a slow drift of the machine falls alike.
const BLOCK: u32 = 2;
/// More rounds than the last look asks for, as throttled runs are repeated; not without end on a machine that throttles
/// again and again.
const MAX_ROUNDS: u32 = LOOKS[LOOKS.len() - 1] * 3 / 2;

/// How measuring until the next look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// The next look has its runs, or can't get them.
    Ready,
    Spent,
    Stopped,
}

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
        let worker = match program {
            _ if suspects.is_empty() => return Ok((screen, End::Complete)),
            Base::Unwanted => return Ok((screen, End::Complete)),
            Base::OutOfReach(why) => Err(why.clone()),
            Base::Program(program) => program.worker().map_err(|error| error.message().to_owned()),
        };
        let worker = match worker {
            Ok(worker) => worker,
            Err(why) => {
                screen.warnings.push(format!("what looks changed was not measured again: {why}"));
                return Ok((screen, End::Complete));
            }
        };
        let mut confirmation = Confirmation::new(screen, suspects, &self.options);
        let cases = confirmation.open_cases();
        let suite = self.request.suite.only(|case| cases.contains(&case.id));
        let mut fresh = Fresh {
            sides: self.interleaved(&suite, &worker, "confirm-")?,
            suite,
            budget: Budget::new(self.request.confirm_budget),
        };
        let pause = self.until_settled(&mut confirmation, &mut fresh)?;
        let open = confirmation.open_cases().len();
        let mut comparison = confirmation.finish();
        comparison.warnings.extend(fresh.remarks(pause, open));
        Ok((comparison, if pause == Pause::Stopped { End::Stopped } else { End::Complete }))
    }

    fn until_settled(&mut self, confirmation: &mut Confirmation, fresh: &mut Fresh) -> Result<Pause> {
        while let Some(runs) = confirmation.wanted() {
            let before = fresh.count();
            let pause = self.until_look(fresh, &confirmation.open_cases(), runs)?;
            // A look that comes early, as nothing more will be measured, is paid for as well.
            if fresh.count() > before || pause == Pause::Ready {
                let [base, head] = fresh.evidence();
                confirmation.look(&base, &head)?;
            }
            if pause != Pause::Ready {
                return Ok(pause);
            }
        }
        Ok(Pause::Ready)
    }

    /// Measures blocks of the cases until each has `runs` on both sides.
    fn until_look(&mut self, fresh: &mut Fresh, cases: &BTreeSet<String>, runs: u32) -> Result<Pause> {
        loop {
            let lacking: BTreeSet<&String> = cases.iter().filter(|case| fresh.lacks(case, runs)).collect();
            let Some(rounds) = lacking.iter().map(|case| fresh.rounds(case)).max() else { return Ok(Pause::Ready) };
            if !fresh.budget.allows_another_block() {
                return Ok(Pause::Spent);
            }
            let mut suite = fresh.suite.only(|case| lacking.contains(&case.id));
            // Whole blocks, also after an interruption.
            suite.settings.runs = (rounds / BLOCK + 1) * BLOCK;
            let started = Instant::now();
            if self.run(&suite, &mut fresh.sides)? == End::Stopped {
                return Ok(Pause::Stopped);
            }
            fresh.budget.block = started.elapsed();
        }
    }
}

/// The fresh runs.
struct Fresh {
    /// The suspects' cases.
    suite: Suite,
    sides: [Side; 2],
    budget: Budget,
}

impl Fresh {
    fn runs<'a>(&'a self, case: &'a str) -> [impl Iterator<Item = &'a Run>; 2] {
        self.sides.each_ref().map(|side| side.session().runs.iter().filter(move |run| run.case == case))
    }

    fn count(&self) -> usize {
        self.sides.iter().map(|side| side.session().runs.len()).sum()
    }

    /// Rounds that were measured of a case.
    fn rounds(&self, case: &str) -> u32 {
        self.runs(case).into_iter().flatten().map(|run| run.round).max().unwrap_or(0)
    }

    /// Does a look at so many runs need more of the case? One that failed isn't tried again and again.
    fn lacks(&self, case: &str, runs: u32) -> bool {
        let failed = self.runs(case).into_iter().flatten().any(|run| matches!(run.outcome, Outcome::Failed(_)));
        let always = self.always(case);
        let few =
            self.runs(case).into_iter().any(|side| side.filter(|run| counts(run, &always)).count() < runs as usize);
        few && !failed && self.rounds(case) < MAX_ROUNDS
    }

    /// How the device always runs the case, base and head alike.
    fn always<'a>(&'a self, case: &'a str) -> BTreeSet<&'a str> {
        measure::always_throttled(self.runs(case).into_iter().flatten())
    }

    /// Both sides without the runs that were throttled now and then: those tell of the machine.
    fn evidence(&self) -> [compare::Side; 2] {
        let always = self.always_of_all();
        self.sides.each_ref().map(|side| {
            let mut results = side.results.clone();
            for session in &mut results.sessions {
                session.runs.retain(|run| counts(run, &always[run.case.as_str()]));
            }
            compare::Side::from_results(side.label.as_str(), &results)
        })
    }

    /// The same for every case that ran.
    fn always_of_all(&self) -> HashMap<&str, BTreeSet<&str>> {
        let mut runs: HashMap<&str, Vec<&Run>> = HashMap::new();
        for run in self.sides.iter().flat_map(|side| &side.session().runs) {
            runs.entry(run.case.as_str()).or_default().push(run);
        }
        runs.into_iter().map(|(case, runs)| (case, measure::always_throttled(runs.into_iter()))).collect()
    }

    fn remarks(&self, pause: Pause, open: usize) -> Vec<String> {
        let runs = self.sides.iter().flat_map(|side| &side.session().runs);
        let always = self.always_of_all();
        let throttled = runs.filter(|run| !counts(run, &always[run.case.as_str()])).count();
        let mut remarks = Vec::new();
        for case in self.suite.cases() {
            let always: Vec<_> = always.get(case.id.as_str()).into_iter().flatten().copied().collect();
            if !always.is_empty() {
                let (case, reasons) = (&case.id, always.join(", "));
                remarks.push(format!("`{case}` was throttled in every fresh run of both sides ({reasons}): that is how this device runs it"));
            }
        }
        if throttled > 0 {
            let runs = counted(throttled, "fresh run");
            remarks.push(format!(
                "{runs} were throttled: they are no evidence, and were repeated where the budget allowed"
            ));
        }
        let why = match pause {
            Pause::Ready => return remarks,
            Pause::Spent => format!("the budget of {} min was spent", self.budget.total.as_secs_f64() / 60.0),
            Pause::Stopped => "measuring was stopped".to_owned(),
        };
        remarks.push(format!("{} could not be settled: {why}", counted(open, "case")));
        remarks
    }
}

/// Evidence, if nothing held the clocks down but what always does.
fn counts(run: &Run, always: &BTreeSet<&str>) -> bool {
    let Outcome::Ok(measurement) = &run.outcome else { return true };
    measurement.throttle_reasons().iter().all(|reason| always.contains(reason.as_str()))
}

/// Time for fresh runs.
struct Budget {
    started: Instant,
    total: Duration,
    /// What the last block took.
    block: Duration,
}

impl Budget {
    fn new(total: Duration) -> Self {
        Self { started: Instant::now(), total, block: Duration::ZERO }
    }

    fn allows_another_block(&self) -> bool {
        self.started.elapsed() + self.block <= self.total
    }
}
