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
            let measured = fresh.by_case();
            let of = |case: &String| measured.get(case.as_str());
            let lacks = |case: &&String| of(case).is_none_or(|measured| measured.lacks(runs));
            let lacking: BTreeSet<&String> = cases.iter().filter(lacks).collect();
            let rounds = lacking.iter().map(|case| of(case).map_or(0, Measured::rounds)).max();
            let Some(rounds) = rounds else { return Ok(Pause::Ready) };
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
    fn count(&self) -> usize {
        self.sides.iter().map(|side| side.session().runs.len()).sum()
    }

    /// Of every case that ran.
    fn by_case(&self) -> HashMap<&str, Measured<'_>> {
        let mut cases: HashMap<&str, Measured> = HashMap::new();
        for (side, of) in self.sides.iter().enumerate() {
            for run in &of.session().runs {
                cases.entry(run.case.as_str()).or_default().sides[side].push(run);
            }
        }
        cases
    }

    /// How the device always runs each case.
    fn always(&self) -> HashMap<&str, BTreeSet<&str>> {
        self.by_case().into_iter().map(|(case, measured)| (case, measured.always())).collect()
    }

    /// Both sides without the runs that were throttled now and then: those tell of the machine.
    fn evidence(&self) -> [compare::Side; 2] {
        let always = self.always();
        self.sides.each_ref().map(|side| {
            let mut results = side.results.clone();
            for session in &mut results.sessions {
                session.runs.retain(|run| counts(run, &always[run.case.as_str()]));
            }
            compare::Side::from_results(side.label.as_str(), &results)
        })
    }

    fn remarks(&self, pause: Pause, open: usize) -> Vec<String> {
        let runs = self.sides.iter().flat_map(|side| &side.session().runs);
        let always = self.always();
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

/// The fresh runs of one case, base and head.
#[derive(Default)]
struct Measured<'a> {
    sides: [Vec<&'a Run>; 2],
}

impl<'a> Measured<'a> {
    fn runs(&self) -> impl Iterator<Item = &'a Run> {
        self.sides.iter().flatten().copied()
    }

    fn rounds(&self) -> u32 {
        self.runs().map(|run| run.round).max().unwrap_or(0)
    }

    /// Does a look at so many runs need more? A case that failed isn't tried again and again.
    fn lacks(&self, runs: u32) -> bool {
        let failed = self.runs().any(|run| matches!(run.outcome, Outcome::Failed(_)));
        let always = self.always();
        let few = |side: &Vec<&Run>| side.iter().filter(|run| counts(run, &always)).count() < runs as usize;
        self.sides.iter().any(few) && !failed && self.rounds() < MAX_ROUNDS
    }

    /// How the device always runs it, base and head alike.
    fn always(&self) -> BTreeSet<&'a str> {
        measure::always_throttled(self.runs())
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
