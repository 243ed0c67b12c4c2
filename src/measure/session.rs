//! The order of a session, and what happens when a worker fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::ceilings_of_suite;
use super::environment::environment;
use super::exclusive::Exclusive;
use super::halt::{End, Halt};
use super::idle::wait_until_idle;
use super::measured_side::{Side, now};
use super::observer::{At, Observer, Update};
use super::program::Child;
use super::protocol::{Event, Job};
use super::throttle::Throttling;
use super::trace::{Trace, TraceLine};
use crate::case::{Case, DeviceKind};
use crate::child::{Next, Stop, clean, shield};
use crate::config::{Limits, Suite, SuiteModel};
use crate::device::Ours;
use crate::engine::{Loaded, ModelSpec};
use crate::error::{Error, Result, sentence};
use crate::results::{Failure, FailureKind, Measurement, Outcome, Program, Run};

/// What to measure.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub suite: &'a Suite,
    /// Cases that are known not to fit, with the reason: recorded as failed without trying.
    pub refused: BTreeMap<String, Failure>,
    /// Where to write every gap between tokens.
    pub trace: Option<&'a Path>,
    /// Where the lock files of this machine's devices are.
    pub locks: PathBuf,
}

impl<'a> Request<'a> {
    pub fn new(suite: &'a Suite) -> Self {
        Self { suite, refused: BTreeMap::new(), trace: None, locks: std::env::temp_dir() }
    }
}

/// Measures every run that the sides' sessions lack. See the [module](super) for the order and the promises.
pub fn run(request: &Request, sides: &mut [Side], observer: &mut dyn Observer, stop: &Stop) -> Result<End> {
    shield();
    let _exclusive = match Exclusive::wait(request.suite, &request.locks, observer, stop) {
        Ok(exclusive) => exclusive,
        Err(halt) => return Halt::end(Err(halt)),
    };
    let trace = request.trace.map(Trace::open).transpose()?;
    let mut session = Session { request, observer, stop, trace, throttling: Throttling::default() };
    session.prepare(sides)?;
    let end = Halt::end(session.rounds(sides))?;
    for side in sides {
        if end == End::Complete {
            side.session_mut().finished = Some(now());
        }
        side.finish()?;
    }
    Ok(end)
}

/// A B in odd rounds, B A in even ones.
fn in_turn(sides: &mut [Side], round: u32) -> Vec<&mut Side> {
    let mut order: Vec<&mut Side> = sides.iter_mut().collect();
    if round.is_multiple_of(2) {
        order.reverse();
    }
    order
}

struct Session<'a> {
    request: &'a Request<'a>,
    observer: &'a mut dyn Observer,
    stop: &'a Stop,
    trace: Option<Trace>,
    throttling: Throttling,
}

impl Session<'_> {
    /// Describes the machine, and counts what is left to do.
    fn prepare(&mut self, sides: &mut [Side]) -> Result<()> {
        let suite = self.request.suite;
        let here = environment(suite);
        for case in suite.cases() {
            let runs = sides.iter().flat_map(|side| &side.session().runs).filter(|run| run.case == case.id);
            self.throttling.know(&case.id, runs);
        }
        let mut left = Vec::new();
        for side in &mut *sides {
            side.results.settings.runs = suite.settings.runs;
            let session = side.session_mut();
            if !session.runs.is_empty() && session.environment.fingerprint() != here.fingerprint() {
                return Err(Error::usage(format!(
                    "can't carry on: the session was started on {}, this is {}",
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

    fn rounds(&mut self, sides: &mut [Side]) -> Result<(), Halt> {
        self.ceilings(sides)?;
        for round in 1..=self.request.suite.settings.runs {
            for model in &self.request.suite.models {
                for side in in_turn(sides, round) {
                    self.measure(side, model, round)?;
                }
            }
        }
        Ok(())
    }

    /// What the GPU can do at most, once a session and for all sides.
    fn ceilings(&mut self, sides: &mut [Side]) -> Result<(), Halt> {
        let on_gpu = self.request.suite.models.iter().find(|model| model.spec.device == DeviceKind::Cuda);
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

    /// Nothing of ours runs at such a time.
    fn wait_until_idle(&mut self) -> Result<(), Halt> {
        let suite = self.request.suite;
        let limit = Duration::from_secs(suite.limits.idle_wait_seconds);
        wait_until_idle(&suite.gpus.open(), &Ours::nobody(), limit, self.observer, self.stop)
    }

    /// The cases of one model on one side in one round.
    fn measure(&mut self, side: &mut Side, model: &SuiteModel, round: u32) -> Result<(), Halt> {
        let cases: Vec<Case> = model.cases.iter().filter(|case| !side.has(&case.id, round)).cloned().collect();
        let (refused, remaining): (Vec<Case>, Vec<Case>) =
            cases.into_iter().partition(|case| self.request.refused.contains_key(&case.id));
        let (spec, again, started) = (model.spec.clone(), Vec::new(), now());
        let mut round = Round { session: self, side, spec, round, remaining, again, started };
        for case in refused {
            let failure = round.session.request.refused[&case.id].clone();
            round.record(case.id, Outcome::Failed(failure))?;
        }
        while !round.remaining.is_empty() {
            round.work()?;
            if round.remaining.is_empty() {
                std::mem::swap(&mut round.remaining, &mut round.again);
            }
        }
        Ok(())
    }
}

/// One model on one side in one round: usually one worker, more when cases fail.
struct Round<'a, 'b> {
    session: &'a mut Session<'b>,
    side: &'a mut Side,
    spec: ModelSpec,
    round: u32,
    /// In the order to take them.
    remaining: Vec<Case>,
    /// What was measured in vain, to be taken once nothing else remains.
    again: Vec<Case>,
    /// When the current worker was started, or the current case.
    started: String,
}

/// Where a worker is.
enum Phase {
    Loading,
    /// Loaded; the id of the case that it said to measure.
    Cases(Option<String>),
}

impl Round<'_, '_> {
    /// Runs one worker. Afterwards fewer cases remain: what goes wrong is charged to a case.
    fn work(&mut self) -> Result<(), Halt> {
        let limits = self.session.request.suite.limits.clone();
        self.session.wait_until_idle()?;
        self.pin_revision();
        let job = Job {
            model: self.spec.clone(),
            cases: self.remaining.clone(),
            settings: self.session.request.suite.settings.clone(),
            ceilings: self.side.session().ceilings,
            trace: self.session.trace.is_some(),
        };
        let worker = self.side.worker.seeing(&self.session.request.suite.gpus);
        let mut child = worker.start(&job).map_err(|error| {
            Error::measurement(format!("can't start {}", self.side.worker.path.display()))
                .because(error)
                .hint("it must be a program that speaks bench-diff's protocol")
        })?;
        self.started = now();
        self.follow(&mut child, &limits)
    }

    fn follow(&mut self, child: &mut Child, limits: &Limits) -> Result<(), Halt> {
        let (load_limit, case_limit) =
            (Duration::from_secs(limits.load_seconds), Duration::from_secs(limits.case_seconds));
        let mut phase = Phase::Loading;
        let mut deadline = Instant::now() + load_limit;
        let remained = self.remaining.len();
        loop {
            let event = match child.next(deadline, self.session.stop) {
                Next::Message(event) => *event,
                Next::Stopped => return Err(Halt::Stopped),
                Next::TimedOut => {
                    child.kill();
                    return Ok(self.charge(&phase, timed_out(&phase, limits))?);
                }
                Next::Garbage(start) => {
                    child.kill();
                    let reason = format!("the measured program wrote something that is no event: `{start}`");
                    return Ok(self.charge(&phase, Failure { kind: FailureKind::Error, reason })?);
                }
                Next::Ended => {
                    let how = child.end();
                    // A worker ends by itself after a case that failed; the next one takes the rest.
                    let idle = matches!(phase, Phase::Cases(None)) && self.remaining.len() < remained;
                    if !idle {
                        let reason = format!("the measured program failed: {how}");
                        self.charge(&phase, Failure { kind: FailureKind::Crashed, reason })?;
                    }
                    return Ok(());
                }
            };
            match event {
                Event::Hello { program, .. } => self.greet(program)?,
                Event::Loading { done, total } => {
                    let at = at(self.side, &self.spec, self.round);
                    self.session.observer.update(Update::Loading { at, done, total });
                }
                Event::Loaded { loaded } => {
                    self.remember(&loaded);
                    phase = Phase::Cases(None);
                    deadline = Instant::now() + case_limit;
                }
                Event::CaseStarted { case } => {
                    self.started = now();
                    let at = at(self.side, &self.spec, self.round);
                    self.session.observer.update(Update::CaseStarted { at, case: &case });
                    phase = Phase::Cases(Some(case));
                    deadline = Instant::now() + case_limit;
                }
                Event::Progress { done, total, .. } => {
                    self.session.observer.update(Update::CaseProgress { done, total });
                }
                Event::CaseMeasured { case, measurement, trace } => {
                    self.measured(case, measurement, trace)?;
                    phase = Phase::Cases(None);
                    deadline = Instant::now() + case_limit;
                }
                Event::CaseFailed { case, failure } => {
                    self.finish(case, Outcome::Failed(tidy(failure)))?;
                    phase = Phase::Cases(None);
                    deadline = Instant::now() + case_limit;
                }
                Event::Failed { failure } => return Ok(self.charge_all(&tidy(failure))?),
                Event::Done => {
                    child.wait();
                    let reason = "the measured program said that it was done, but didn't measure this case".to_owned();
                    return Ok(self.fail_all(&Failure { kind: FailureKind::Error, reason })?);
                }
                Event::Ceilings { .. } | Event::Unknown => {}
            }
        }
    }

    /// A session measures one program: numbers of two builds must not end up in one file side.
    fn greet(&mut self, program: Program) -> Result<()> {
        let program = program.cleaned();
        let known = &self.side.session().program;
        if *known != Program::default() && *known != program {
            return Err(Error::usage(format!(
                "can't carry on: the session measured {}, this is {}",
                known.describe(),
                program.describe()
            ))
            .hint("start anew without --resume"));
        }
        self.side.session_mut().program = program;
        Ok(())
    }

    /// The commit of the weights stays the same over the session, whatever happens to the branch.
    fn remember(&mut self, loaded: &Loaded) {
        let Some(revision) = loaded.revision.as_ref().map(|revision| clean(revision, 100)) else { return };
        for case in &mut self.side.results.cases {
            if self.remaining.iter().any(|mine| mine.id == case.id) {
                case.revision = Some(revision.clone());
            }
        }
    }

    fn pin_revision(&mut self) {
        let known = self.side.results.cases.iter().find(|case| self.remaining.iter().any(|mine| mine.id == case.id));
        if let Some(revision) = known.and_then(|case| case.revision.clone()) {
            self.spec.revision = Some(revision);
        }
    }

    fn trace(&mut self, case: &str, gaps: Option<Vec<f64>>) -> Result<()> {
        let (Some(trace), Some(gaps)) = (&mut self.session.trace, gaps) else { return Ok(()) };
        let (session, side) = (self.side.session().id.as_str(), self.side.label.as_str());
        trace
            .add(&TraceLine { session, side, case, round: self.round, itl_ms: &gaps })
            .map_err(|error| Error::measurement("can't write the trace").because(error))
    }

    /// A run that counts, or one to be measured again.
    fn measured(&mut self, case: String, measurement: Measurement, trace: Option<Vec<f64>>) -> Result<()> {
        let index = self.remaining.iter().position(|mine| mine.id == case);
        let why = self.session.throttling.judge(&self.side.label, &case, self.round, &measurement);
        if let (Some(index), Some(why)) = (index, why) {
            let run = self.run(case, Outcome::Ok(measurement));
            self.again.push(self.remaining.remove(index));
            self.side.discard(why.clone(), run.clone())?;
            let at = at(self.side, &self.spec, self.round);
            self.session.observer.update(Update::Discarded { at, run: &run, why: &why });
            return Ok(());
        }
        self.trace(&case, trace)?;
        self.finish(case, Outcome::Ok(measurement))
    }

    /// A case that the worker finished; one that nobody asked for is ignored.
    fn finish(&mut self, case: String, outcome: Outcome) -> Result<()> {
        let Some(index) = self.remaining.iter().position(|mine| mine.id == case) else {
            tracing::warn!("the measured program told of a case that wasn't asked for: {}", clean(&case, 100));
            return Ok(());
        };
        self.remaining.remove(index);
        self.record(case, outcome)
    }

    /// Failing to load costs every case of the model; afterwards, only the case at hand.
    fn charge(&mut self, phase: &Phase, failure: Failure) -> Result<()> {
        let Phase::Cases(current) = phase else { return self.charge_all(&failure) };
        if self.remaining.is_empty() {
            return self.charge_all(&failure);
        }
        let current = current.as_ref().and_then(|id| self.remaining.iter().position(|case| case.id == *id));
        let case = self.remaining.remove(current.unwrap_or(0));
        self.record(case.id, Outcome::Failed(failure))
    }

    /// All that remain. Once all are measured, a failure costs nothing.
    fn charge_all(&mut self, failure: &Failure) -> Result<()> {
        if self.remaining.is_empty() {
            tracing::warn!("after everything was measured, {}", failure.reason);
        }
        self.fail_all(failure)
    }

    fn fail_all(&mut self, failure: &Failure) -> Result<()> {
        std::mem::take(&mut self.remaining)
            .into_iter()
            .try_for_each(|case| self.record(case.id, Outcome::Failed(failure.clone())))
    }

    fn run(&self, case: String, outcome: Outcome) -> Run {
        Run { case, round: self.round, started: self.started.clone(), outcome }
    }

    fn record(&mut self, case: String, outcome: Outcome) -> Result<()> {
        let run = self.run(case, outcome);
        // What was said must not be lost, whatever happens next.
        self.side.record(run.clone())?;
        let at = at(self.side, &self.spec, self.round);
        self.session.observer.update(Update::Finished { at, run: &run });
        Ok(())
    }
}

fn at<'a>(side: &'a Side, spec: &'a ModelSpec, round: u32) -> At<'a> {
    At { side: &side.label, model: &spec.model, round }
}

fn timed_out(phase: &Phase, limits: &Limits) -> Failure {
    let reason = match phase {
        Phase::Loading => format!("loading the model took longer than the limit of {} s", limits.load_seconds),
        Phase::Cases(_) => format!("it took longer than the limit of {} s", limits.case_seconds),
    };
    Failure { kind: FailureKind::TimedOut, reason }
}

/// The reason comes from the measured program.
fn tidy(failure: Failure) -> Failure {
    Failure { reason: clean(&failure.reason, 1000), ..failure }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn sides_swap_places_every_round() {
        let suite = fixture::suite();
        let worker = super::super::Worker::at("/nowhere");
        let mut sides = ["base", "head"].map(|label| Side::new(label, worker.clone(), &suite, "id"));
        let mut order = Vec::new();
        for round in 1..=4 {
            order.extend(in_turn(&mut sides, round).iter().map(|side| side.label.clone()));
        }
        assert_eq!(order, ["base", "head", "head", "base", "base", "head", "head", "base"]);
    }
}
