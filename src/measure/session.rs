//! The order of a session.

use super::ceilings_of_suite;
use super::environment::environment;
use super::exclusive::Exclusive;
use super::halt::{End, Halt};
use super::hopeless::Hopeless;
use super::measured_side::{MeasuredSide, now};
use super::observer::{Observer, Update};
use super::request::{Request, Session};
use super::round::Round;
use super::throttle::Throttling;
use super::trace::Trace;
use super::turns;
use crate::case::{Case, DeviceKind};
use crate::child::{Stop, shield};
use crate::config::SuiteModel;
use crate::engine::server;
use crate::error::{Error, Result, sentence};
use crate::results::Outcome;

/// Measures every run that the sides' sessions lack. See the [module](super) for the order and the promises.
pub fn run(request: &Request, sides: &mut [MeasuredSide], observer: &mut dyn Observer, stop: &Stop) -> Result<End> {
    shield();
    // Others may be measuring for hours: what can't go well is told before.
    let trace = request.trace.map(Trace::open).transpose()?;
    let _exclusive = match Exclusive::wait(request.suite, &request.locks, observer, stop) {
        Ok(exclusive) => exclusive,
        Err(halt) => return Halt::end(Err(halt)),
    };
    let (throttling, hopeless) = (Throttling::default(), Hopeless::default());
    let mut session = Session { request, observer, stop, trace, throttling, hopeless };
    session.prepare(sides)?;
    let end = Halt::end(session.rounds(sides).and_then(|()| session.counters(sides)))?;
    for side in sides {
        if end == End::Complete {
            side.session_mut().finished = Some(now());
        }
        side.finish()?;
    }
    Ok(end)
}

/// In the order of their turns.
fn in_turn<'a>(sides: &'a mut [MeasuredSide], model: &str, round: u32) -> Vec<&'a mut MeasuredSide> {
    let session = sides.first().map(|side| side.session().id.clone()).unwrap_or_default();
    let order = turns::order(&session, model, sides.len(), round);
    let mut sides: Vec<Option<&mut MeasuredSide>> = sides.iter_mut().map(Some).collect();
    order.into_iter().filter_map(|index| sides[index].take()).collect()
}

impl Session<'_> {
    /// Describes the machine, and counts the runs that are left.
    fn prepare(&mut self, sides: &mut [MeasuredSide]) -> Result<()> {
        let suite = self.request.suite;
        let here = environment(suite);
        for case in suite.cases() {
            let runs = sides.iter().flat_map(|side| &side.session().runs).filter(|run| run.case == case.id);
            self.throttling.accept_what_is_always_so(&case.id, runs);
        }
        let mut left = Vec::new();
        for side in &mut *sides {
            side.note_program()?;
            side.results.settings.runs = suite.settings.runs;
            side.results.settings.thresholds.clone_from(&suite.settings.thresholds);
            let session = side.session_mut();
            if !session.runs.is_empty() && session.environment.fingerprint() != here.fingerprint() {
                return Err(Error::usage(format!(
                    "can't resume: the session was started on {}, this is {}",
                    session.environment.fingerprint(),
                    here.fingerprint()
                ))
                .hint("start anew without --resume"));
            }
            session.environment = here.clone();
            session.finished = None;
            side.save()?;
            for round in 1..=suite.settings.runs {
                left.extend(suite.cases().filter(|case| !side.has(&case.id, round)).map(|case| case.id.as_str()));
            }
        }
        let total = suite.cases().count() * suite.settings.runs as usize * sides.len();
        self.observer.update(Update::Started { left: &left, total });
        Ok(())
    }

    fn rounds(&mut self, sides: &mut [MeasuredSide]) -> Result<(), Halt> {
        self.ceilings(sides)?;
        for round in 1..=self.request.suite.settings.runs {
            for model in &self.request.suite.models {
                for side in in_turn(sides, &model.spec.model, round) {
                    self.measure(side, model, round)?;
                }
            }
        }
        Ok(())
    }

    /// What the GPU can do at most, once a session and for all sides.
    fn ceilings(&mut self, sides: &mut [MeasuredSide]) -> Result<(), Halt> {
        let on_gpu = self
            .request
            .suite
            .models
            .iter()
            .find(|model| model.spec.device == DeviceKind::Cuda && !server::runs_already(&model.spec));
        let Some(model) = on_gpu.filter(|_| sides.iter().any(|side| side.session().ceilings.is_none())) else {
            return Ok(());
        };
        self.wait_until_idle()?;
        match ceilings_of_suite::measure(self.request.suite, &model.spec, self.stop) {
            Ok(ceilings) => sides.iter_mut().for_each(|side| side.session_mut().ceilings = ceilings),
            Err(Halt::Stopped) => return Err(Halt::Stopped),
            // The numbers stand without them.
            Err(Halt::Failed(error)) => tracing::warn!("{}", sentence(&error)),
        }
        Ok(())
    }

    /// The cases of one model on one side in one round.
    fn measure(&mut self, side: &mut MeasuredSide, model: &SuiteModel, round: u32) -> Result<(), Halt> {
        let cases: Vec<Case> = model.cases.iter().filter(|case| !side.has(&case.id, round)).cloned().collect();
        let (mut failed, mut remaining) = (Vec::new(), Vec::new());
        for case in cases {
            let known = self.request.refused.get(&case.id).or_else(|| self.hopeless.of(&side.label, &case.id));
            match known {
                Some(failure) => failed.push((case.id, failure.clone())),
                None => remaining.push(case),
            }
        }
        let mut round = Round::new(self, side, model.spec.clone(), round, remaining);
        for (case, failure) in failed {
            round.record(case, Outcome::Failed(failure))?;
        }
        round.run()
    }
}
