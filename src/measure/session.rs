//! The order of a session, and what happens when a worker fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::ceilings_of_suite;
use super::environment::environment;
use super::exclusive::Exclusive;
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
use crate::error::{Error, Result};
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

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every run is there, well or failed.
    Complete,
    /// Told to stop: what was measured is kept, and the session can be resumed.
    Stopped,
}

/// Measures every run that the sides' sessions lack. See the [module](super) for the order and the promises.
pub fn run(request: &Request, sides: &mut [Side], observer: &mut dyn Observer, stop: &Stop) -> Result<End> {
    let suite = request.suite;
    shield();
    let Some(_exclusive) = Exclusive::wait(suite, &request.locks, observer, stop)? else { return Ok(End::Stopped) };
    let trace = request.trace.map(|path| {
        Trace::open(path).map_err(|error| Error::usage(format!("can't write the trace to {}: {error}", path.display())))
    });
    let mut session = Session { request, observer, stop, trace: trace.transpose()?, throttling: Throttling::default() };
    session.prepare(sides)?;
    let end = session.rounds(sides)?;
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

fn cases(suite: &Suite) -> impl Iterator<Item = &Case> {
    suite.models.iter().flat_map(|model| &model.cases)
}

struct Session<'a> {
    request: &'a Request<'a>,
    observer: &'a mut dyn Observer,
    stop: &'a Stop,
    trace: Option<Trace>,
    throttling: Throttling,
}

impl Session<'_> {
    /// Describes the machine, and counts the runs that are left.
    fn prepare(&mut self, sides: &mut [Side]) -> Result<()> {
        let suite = self.request.suite;
        let here = environment(suite);
        for case in cases(suite) {
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
                )));
            }
            session.environment = here.clone();
            session.finished = None;
            side.save()?;
            for round in 1..=suite.settings.runs {
                left.extend(cases(suite).filter(|case| !side.has(&case.id, round)).map(|case| case.id.as_str()));
            }
        }
        let total = cases(suite).count() * suite.settings.runs as usize * sides.len();
        self.observer.update(Update::Started { left: &left, total });
        Ok(())
    }

    fn rounds(&mut self, sides: &mut [Side]) -> Result<End> {
        if self.ceilings(sides)? == End::Stopped {
            return Ok(End::Stopped);
        }
        for round in 1..=self.request.suite.settings.runs {
            for model in &self.request.suite.models {
                for side in in_turn(sides, round) {
                    if self.measure(side, model, round)? == End::Stopped {
                        return Ok(End::Stopped);
                    }
                }
            }
        }
        Ok(End::Complete)
    }

    /// What the GPU can do at most, once a session and for all sides.
    fn ceilings(&mut self, sides: &mut [Side]) -> Result<End> {
        let on_gpu = self.request.suite.models.iter().find(|model| model.spec.device == DeviceKind::Cuda);
        let Some(model) = on_gpu.filter(|_| sides.iter().any(|side| side.session().ceilings.is_none())) else {
            return Ok(End::Complete);
        };
        if self.wait_until_idle()? == End::Stopped {
            return Ok(End::Stopped);
        }
        match ceilings_of_suite::measure(self.request.suite, &model.spec, self.stop) {
            Ok(ceilings) => sides.iter_mut().for_each(|side| side.session_mut().ceilings = ceilings),
            // The results are valid without them.
            Err(reason) => tracing::warn!("the device's ceilings are unknown: {reason}"),
        }
        Ok(if self.stop.is_requested() { End::Stopped } else { End::Complete })
    }

    /// No process of ours runs at such a time.
    fn wait_until_idle(&mut self) -> Result<End> {
        let suite = self.request.suite;
        let limit = Duration::from_secs(suite.limits.idle_wait_seconds);
        let idle = wait_until_idle(&suite.gpus.open(), &Ours::nobody(), limit, self.observer, self.stop)?;
        Ok(if idle { End::Complete } else { End::Stopped })
    }

    /// The cases of one model on one side in one round.
    fn measure(&mut self, side: &mut Side, model: &SuiteModel, round: u32) -> Result<End> {
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
            if round.work()? == End::Stopped {
                return Ok(End::Stopped);
            }
            if round.remaining.is_empty() {
                std::mem::swap(&mut round.remaining, &mut round.again);
            }
        }
        Ok(End::Complete)
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
    /// Cases whose run was throttled: they are measured again after the remaining ones.
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
    /// Runs one worker. Afterwards fewer cases remain: whatever goes wrong makes a case fail.
    fn work(&mut self) -> Result<End> {
        let limits = self.session.request.suite.limits.clone();
        if self.session.wait_until_idle()? == End::Stopped {
            return Ok(End::Stopped);
        }
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
            let path = self.side.worker.path.display();
            Error::measurement(format!("can't start {path}: {error}; it must be a program that speaks our protocol"))
        })?;
        self.started = now();
        self.follow(&mut child, &limits)
    }

    fn follow(&mut self, child: &mut Child, limits: &Limits) -> Result<End> {
        let (load_limit, case_limit) =
            (Duration::from_secs(limits.load_seconds), Duration::from_secs(limits.case_seconds));
        let mut phase = Phase::Loading;
        let mut deadline = Instant::now() + load_limit;
        let remained = self.remaining.len();
        loop {
            let event = match child.next(deadline, self.session.stop) {
                Next::Message(event) => *event,
                Next::Stopped => return Ok(End::Stopped),
                Next::TimedOut => {
                    child.kill();
                    let failure = timed_out(&phase, limits);
                    self.charge(&phase, failure)?;
                    return Ok(End::Complete);
                }
                Next::Garbage(start) => {
                    child.kill();
                    let reason = format!("the measured program wrote something that is no event: `{start}`");
                    self.charge(&phase, Failure { kind: FailureKind::Error, reason })?;
                    return Ok(End::Complete);
                }
                Next::Ended => {
                    let how = child.end();
                    // A worker ends by itself after a case that failed; the next one takes the rest.
                    let idle = matches!(phase, Phase::Cases(None)) && self.remaining.len() < remained;
                    if !idle {
                        let reason = format!("the measured program failed: {how}");
                        self.charge(&phase, Failure { kind: FailureKind::Crashed, reason })?;
                    }
                    return Ok(End::Complete);
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
                Event::Failed { failure } => {
                    self.charge(&Phase::Loading, tidy(failure))?;
                    return Ok(End::Complete);
                }
                Event::Done => {
                    child.wait();
                    if !self.remaining.is_empty() {
                        let reason = "the measured program said that it was done, but didn't measure this case";
                        self.charge(&Phase::Loading, Failure { kind: FailureKind::Error, reason: reason.to_owned() })?;
                    }
                    return Ok(End::Complete);
                }
                Event::Ceilings { .. } | Event::Unknown => {}
            }
        }
    }

    /// A session measures one program per side: numbers of two builds must not get into one file.
    fn greet(&mut self, program: Program) -> Result<()> {
        let program = program.cleaned();
        let known = &self.side.session().program;
        if *known != Program::default() && *known != program {
            return Err(Error::usage(format!(
                "can't carry on: the session measured {}, this is {}; start anew without --resume",
                known.describe(),
                program.describe()
            )));
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
            .map_err(|error| Error::measurement(format!("can't write the trace: {error}")))
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

    /// If loading fails, every case of the model fails; later, only the current case; after the last case, none.
    fn charge(&mut self, phase: &Phase, failure: Failure) -> Result<()> {
        if self.remaining.is_empty() {
            tracing::warn!("after everything was measured, {}", failure.reason);
            return Ok(());
        }
        let charged = match phase {
            Phase::Loading => std::mem::take(&mut self.remaining),
            Phase::Cases(current) => {
                let current = current.as_ref().and_then(|id| self.remaining.iter().position(|case| case.id == *id));
                vec![self.remaining.remove(current.unwrap_or(0))]
            }
        };
        for case in charged {
            self.record(case.id, Outcome::Failed(failure.clone()))?;
        }
        Ok(())
    }

    fn run(&self, case: String, outcome: Outcome) -> Run {
        Run { case, round: self.round, started: self.started.clone(), outcome }
    }

    fn record(&mut self, case: String, outcome: Outcome) -> Result<()> {
        let run = self.run(case, outcome);
        // Saved at once, so that it isn't lost whatever happens next.
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
