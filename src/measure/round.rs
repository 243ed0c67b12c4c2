//! One model on one side in one round: usually one worker, more when cases fail.

use std::time::{Duration, Instant};

use super::halt::Halt;
use super::measured_side::{MeasuredSide, now};
use super::observer::{At, Update};
use super::other_model;
use super::program::Child;
use super::protocol::{Event, Job, needed_version};
use super::request::Session;
use super::trace::TraceLine;
use super::turns;
use crate::case::Case;
use crate::child::{Garbage, Next, clean};
use crate::config::TimeLimits;
use crate::engine::{Loaded, ModelSpec, server};
use crate::error::{Error, Result};
use crate::results::{Failure, FailureKind, Measurement, Outcome, Program, Run};

/// The cases that it has yet to measure, and how far its worker is.
pub struct Round<'a, 'b> {
    /// What it shares with the other rounds.
    pub session: &'a mut Session<'b>,
    side: &'a mut MeasuredSide,
    spec: ModelSpec,
    round: u32,
    /// In the order to take them.
    remaining: Vec<Case>,
    /// How many of them the current worker is to leave.
    left: usize,
    /// What was measured in vain, to be taken once nothing else remains.
    again: Vec<Case>,
    /// What the current worker said last that its loading waits for.
    waits_for: Option<String>,
    /// When the current worker was started, or the current case (RFC 3339, UTC).
    started: String,
}

/// Where a worker is.
enum Phase {
    Loading,
    /// Loaded; the id of the case that it said to measure.
    Cases(Option<String>),
}

/// What an event makes of a worker's phase.
enum Change {
    None,
    To(Phase),
    /// The worker has nothing more to say.
    Over,
}

impl<'a, 'b> Round<'a, 'b> {
    pub fn new(
        session: &'a mut Session<'b>,
        side: &'a mut MeasuredSide,
        spec: ModelSpec,
        round: u32,
        remaining: Vec<Case>,
    ) -> Self {
        Self { session, side, spec, round, remaining, left: 0, again: Vec::new(), waits_for: None, started: now() }
    }

    /// As many workers as it takes.
    pub fn run(mut self) -> Result<(), Halt> {
        while !self.remaining.is_empty() {
            self.run_worker()?;
            if self.remaining.is_empty() {
                std::mem::swap(&mut self.remaining, &mut self.again);
            }
        }
        Ok(())
    }

    /// Runs one worker. Afterwards fewer cases remain: what goes wrong is some case's failure.
    fn run_worker(&mut self) -> Result<(), Halt> {
        let limits = self.session.request.suite.limits.clone();
        if !server::runs_already(&self.spec) {
            self.session.wait_until_idle()?;
        }
        self.pin_revision();
        let job = Job {
            model: self.side.worker.engines.of(&self.spec, &self.remaining),
            cases: self.cases_of_worker(),
            settings: self.session.request.suite.settings.clone(),
            ceilings: self.side.session().ceilings,
            prompt_ids: self.session.request.suite.prompt_ids.clone(),
            trace: self.session.trace.is_some(),
            traced: None,
        };
        let (session, label) = (&self.side.session().id, &self.side.label);
        let padding = turns::padding(session, label, &self.spec.model, self.round);
        let worker = self.side.worker.seeing(&self.session.request.suite.gpus).padded(padding);
        let mut child = worker.start(&job).map_err(|error| {
            Error::measurement(format!("can't start {}", self.side.worker.path.display()))
                .because(error)
                .hint("it must be a program that speaks bench-diff's protocol")
        })?;
        (self.started, self.waits_for) = (now(), None);
        self.follow(&mut child, &limits)
    }

    fn cases_of_worker(&mut self) -> Vec<Case> {
        let cases = self.spec.cases_of_process(self.remaining.len());
        self.left = self.remaining.len() - cases;
        self.remaining[..cases].to_vec()
    }

    /// Listens to a worker until it has nothing more to say.
    fn follow(&mut self, child: &mut Child, limits: &TimeLimits) -> Result<(), Halt> {
        let mut phase = Phase::Loading;
        let mut deadline = phase.deadline(limits);
        let remained = self.remaining.len();
        let failure = loop {
            match child.next(deadline, self.session.stop) {
                Next::Message(event) => match self.take(*event, child)? {
                    Change::None => {}
                    Change::To(next) => {
                        deadline = next.deadline(limits);
                        phase = next;
                    }
                    Change::Over => return Ok(()),
                },
                Next::Stopped => return Err(Halt::Stopped),
                Next::TimedOut => {
                    child.kill();
                    break phase.timed_out(limits, self.waits_for.as_deref());
                }
                Next::Garbage(Garbage { start, .. }) => {
                    child.kill();
                    break failed(format!("the measured program wrote something that is no event: `{start}`"));
                }
                Next::Ended => {
                    let reason = format!("the measured program failed: {}", child.end());
                    // A worker ends by itself after a case that failed; the next one takes the rest.
                    if matches!(phase, Phase::Cases(None)) && self.remaining.len() < remained {
                        return Ok(());
                    }
                    break Failure { kind: FailureKind::Crashed, reason };
                }
            }
        };
        match phase {
            Phase::Loading => self.fail_all(&failure)?,
            Phase::Cases(current) => self.fail_one(current.as_deref(), failure)?,
        }
        Ok(())
    }

    fn take(&mut self, event: Event, child: &mut Child) -> Result<Change> {
        match event {
            Event::Hello { protocol, program } => {
                self.check_program(&program)?;
                self.check_version(protocol)?;
            }
            Event::Loading { done, total } => {
                let at = at(self.side, &self.spec, self.round);
                self.session.observer.update(Update::Loading { at, done, total });
            }
            Event::Progress { done, total, .. } => {
                self.session.observer.update(Update::CaseProgress { done, total });
            }
            Event::Waiting { why } => self.waits_for = Some(clean(&why, 600)),
            Event::Loaded { loaded } => {
                self.record_revision(&loaded);
                self.record_identity(&loaded)?;
                return Ok(Change::To(Phase::Cases(None)));
            }
            Event::CaseStarted { case } => {
                self.started = now();
                let at = at(self.side, &self.spec, self.round);
                self.session.observer.update(Update::CaseStarted { at, case: &case });
                return Ok(Change::To(Phase::Cases(Some(case))));
            }
            Event::CaseMeasured { case, measurement, trace } => {
                self.take_measurement(case, measurement, trace)?;
                return Ok(Change::To(Phase::Cases(None)));
            }
            Event::CaseFailed { case, failure } => {
                self.finish(case, Outcome::Failed(cleaned(&failure)))?;
                return Ok(Change::To(Phase::Cases(None)));
            }
            Event::Failed { failure, lasting } => {
                let failure = cleaned(&failure);
                let failure = if lasting { self.give_up(failure) } else { failure };
                self.fail_all(&failure)?;
                return Ok(Change::Over);
            }
            Event::Done => {
                child.wait();
                if self.remaining.len() > self.left {
                    let reason = "the measured program said that it was done, but didn't measure this case";
                    self.fail_all(&failed(reason.to_owned()))?;
                }
                return Ok(Change::Over);
            }
            Event::Ceilings { .. } | Event::CaseTraced { .. } | Event::Unknown => {}
        }
        Ok(Change::None)
    }

    /// What an older worker doesn't know, it ignores.
    fn check_version(&self, protocol: u32) -> Result<()> {
        let (needed, what) = needed_version(&self.spec);
        if protocol >= needed {
            return Ok(());
        }
        let path = self.side.worker.path.display();
        Err(Error::measurement(format!("{path} is too old for {what}: it would measure something else"))
            .hint("measure with a newer build, or leave these settings out"))
    }

    /// A session measures one program: numbers of two builds must not end up in one file side.
    fn check_program(&mut self, program: &Program) -> Result<()> {
        let program = program.cleaned();
        let known = &self.side.session().program;
        if *known != Program::default() && *known != program {
            return Err(Error::usage(format!(
                "can't resume: the session measured {}, this is {}",
                known.describe(),
                program.describe()
            ))
            .hint("start anew without --resume"));
        }
        self.side.session_mut().program = program;
        Ok(())
    }

    /// Nor of two engines: one that says something else of itself each time it starts may be another one.
    fn check_engine(&self, measured: &Measurement) -> Result<()> {
        let engine = measured.program.as_ref();
        match self.engine_so_far().zip(engine).filter(|(then, now)| then != now) {
            None => Ok(()),
            Some((then, now)) => Err(Error::measurement(format!(
                "the engine changed in the middle of the session: its hello said {}, and now {}",
                then.describe(),
                now.describe()
            ))
            .hint("a session measures one program: start anew with the new one, or let its hello stay the same")),
        }
    }

    /// What the engine that starts by the same command has said of itself in this session.
    fn engine_so_far(&self) -> Option<&Program> {
        let models = &self.session.request.suite.models;
        let is_same = |spec: &ModelSpec| !spec.command.is_empty() && spec.command == self.spec.command;
        let cases = || models.iter().filter(|model| is_same(&model.spec)).flat_map(|model| &model.cases);
        self.side.session().runs.iter().find_map(|run| match &run.outcome {
            Outcome::Ok(measured) if cases().any(|case| case.id == run.case) => measured.program.as_ref(),
            _ => None,
        })
    }

    /// The commit of the weights stays the same over the session, whatever happens to the branch.
    fn record_revision(&mut self, loaded: &Loaded) {
        let Some(revision) = loaded.revision.as_ref().map(|revision| clean(revision, 100)) else { return };
        for case in &mut self.side.results.cases {
            if self.remaining.iter().any(|mine| mine.id == case.id) {
                case.revision = Some(revision.clone());
            }
        }
    }

    /// Nor may another model take its place under its name: numbers of both would stand for one.
    fn record_identity(&mut self, loaded: &Loaded) -> Result<()> {
        let Some(now) = loaded.identity.as_ref().map(other_model::cleaned) else { return Ok(()) };
        let is_mine = |case: &&mut Case| self.remaining.iter().any(|mine| mine.id == case.id);
        for case in self.side.results.cases.iter_mut().filter(is_mine) {
            other_model::check_same(&self.spec.model, case.identity.get_or_insert_with(|| now.clone()), &now)?;
        }
        Ok(())
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
            .map_err(|error| Error::usage("can't write the trace").because(error))
    }

    /// A run that counts, or one to be measured again.
    fn take_measurement(&mut self, case: String, mut measured: Measurement, trace: Option<Vec<f64>>) -> Result<()> {
        self.side.worker.engines.sign(&case, &mut measured);
        self.check_engine(&measured)?;
        let index = self.remaining.iter().position(|mine| mine.id == case);
        let why = self.session.throttling.judge(&self.side.label, &case, self.round, &measured);
        if let (Some(index), Some(why)) = (index, why) {
            let run = self.run_of(case, Outcome::Ok(measured));
            self.again.push(self.remaining.remove(index));
            self.side.discard(why.clone(), run.clone())?;
            let at = at(self.side, &self.spec, self.round);
            self.session.observer.update(Update::Discarded { at, run: &run, why: &why });
            return Ok(());
        }
        self.trace(&case, trace)?;
        self.finish(case, Outcome::Ok(measured))
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

    /// The rounds that follow don't try these cases again.
    fn give_up(&mut self, failure: Failure) -> Failure {
        let runs_left = self.round < self.session.request.suite.settings.runs;
        self.session.hopeless.keep(&self.side.label, &self.remaining, failure, runs_left)
    }

    /// Failing to load costs every case of the model.
    fn fail_all(&mut self, failure: &Failure) -> Result<()> {
        self.warn_if_costless(failure);
        let mut cases = std::mem::take(&mut self.remaining).into_iter();
        cases.try_for_each(|case| self.record(case.id, Outcome::Failed(failure.clone())))
    }

    /// Afterwards, only the case at hand, or the next.
    fn fail_one(&mut self, current: Option<&str>, failure: Failure) -> Result<()> {
        if self.warn_if_costless(&failure) {
            return Ok(());
        }
        let at_hand = self.remaining.iter().position(|case| Some(case.id.as_str()) == current);
        let case = self.remaining.remove(at_hand.unwrap_or(0));
        self.record(case.id, Outcome::Failed(failure))
    }

    /// Once all are measured, a failure costs nothing.
    fn warn_if_costless(&self, failure: &Failure) -> bool {
        let costless = self.remaining.is_empty();
        if costless {
            tracing::warn!("after everything was measured, {}", failure.reason);
        }
        costless
    }

    fn run_of(&self, case: String, outcome: Outcome) -> Run {
        Run { case, round: self.round, started: self.started.clone(), outcome }
    }

    pub fn record(&mut self, case: String, outcome: Outcome) -> Result<()> {
        let run = self.run_of(case, outcome);
        // What was said must not be lost, whatever happens next.
        self.side.record(run.clone())?;
        let at = at(self.side, &self.spec, self.round);
        self.session.observer.update(Update::Finished { at, run: &run });
        Ok(())
    }
}

impl Phase {
    /// When what begins now has to be over.
    fn deadline(&self, limits: &TimeLimits) -> Instant {
        let seconds = match self {
            Self::Loading => limits.load_seconds,
            Self::Cases(_) => limits.case_seconds,
        };
        Instant::now() + Duration::from_secs(seconds)
    }

    fn timed_out(&self, limits: &TimeLimits, waits_for: Option<&str>) -> Failure {
        let reason = match self {
            Self::Loading => {
                let why = waits_for.map(|why| format!(": {why}")).unwrap_or_default();
                format!("loading the model took longer than the limit of {} s{why}", limits.load_seconds)
            }
            Self::Cases(_) => format!("it took longer than the limit of {} s", limits.case_seconds),
        };
        Failure { kind: FailureKind::TimedOut, reason }
    }
}

fn at<'a>(side: &'a MeasuredSide, spec: &'a ModelSpec, round: u32) -> At<'a> {
    At { side: &side.label, model: &spec.model, round }
}

fn failed(reason: String) -> Failure {
    Failure { kind: FailureKind::Error, reason }
}

/// The reason comes from the measured program.
fn cleaned(failure: &Failure) -> Failure {
    Failure { reason: clean(&failure.reason, 1000), ..failure.clone() }
}
