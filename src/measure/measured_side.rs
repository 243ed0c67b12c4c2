//! A measured program and where its runs go.

use std::path::PathBuf;

use jiff::{Timestamp, Unit};
use sha2::{Digest, Sha256};

use super::engines_of_side::EnginesOfSide;
use super::program::Worker;
use crate::case::Case;
use crate::config::Suite;
use crate::error::{Error, Result};
use crate::files::Output;
use crate::hex::hex;
use crate::results::{self, Discarded, Outcome, Program, Results, Run, Session};

/// One side of a session: most have one, a comparison has base and head.
#[derive(Debug)]
pub struct MeasuredSide {
    /// `base` or `head`; empty when there is only one side.
    pub label: String,
    /// How to start the measured program.
    pub worker: Worker,
    /// The last session is the one that is being measured.
    pub results: Results,
    /// Written after every run; a stream, only at the end.
    pub output: Option<Output>,
}

/// Where a side is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The results file.
    pub path: PathBuf,
    /// Resume the measurement that was interrupted there.
    pub resume: bool,
}

impl MeasuredSide {
    /// A side with an empty session of that id.
    pub fn new(label: &str, worker: Worker, suite: &Suite, session: &str) -> Self {
        let session = Session {
            id: session.to_owned(),
            started: now(),
            finished: None,
            program: Program::default(),
            program_sha256: None,
            environment: Default::default(),
            ceilings: None,
            runs: Vec::new(),
            discarded: Vec::new(),
            counters: Vec::new(),
            step_parts: Vec::new(),
        };
        let results = Results {
            suite: suite.name.clone(),
            label: None,
            cases: planned(suite),
            settings: suite.settings.clone(),
            sessions: vec![session],
        };
        Self { label: label.to_owned(), worker, results, output: None }
    }

    /// Resumes the last session of `results`. Failed runs are repeated: the cause may be fixed by now.
    pub fn resume(worker: Worker, suite: &Suite, mut results: Results) -> Result<Self> {
        same_plan(suite, &results)?;
        let session = results.sessions.last_mut().ok_or_else(|| Error::usage("there is no session to resume"))?;
        session.runs.retain(|run| matches!(run.outcome, Outcome::Ok(_)));
        session.finished = None;
        results.settings = suite.settings.clone();
        Ok(Self { label: String::new(), worker, results, output: None })
    }

    /// The side, saved there from now on; or what was left there, in its place.
    pub fn kept(self, saved: &Saved, suite: &Suite) -> Result<Self> {
        let output = Output::claim(&saved.path)?;
        if !saved.resume || !output.exists() {
            return Ok(self.saved_to(output));
        }
        let results = results::read(output.path())?;
        // Measuring until something is settled has added rounds.
        let mut suite = suite.clone();
        suite.settings.runs = suite.settings.runs.max(results.settings.runs);
        let side = Self { label: self.label, ..Self::resume(self.worker, &suite, results)? };
        Ok(side.saved_to(output))
    }

    /// The side, written to `output` from now on.
    #[must_use]
    pub fn saved_to(mut self, output: Output) -> Self {
        self.output = Some(output);
        self
    }

    /// The session that is being measured.
    pub fn session(&self) -> &Session {
        self.results.sessions.last().expect("a side has a session")
    }

    pub(super) fn session_mut(&mut self) -> &mut Session {
        self.results.sessions.last_mut().expect("a side has a session")
    }

    /// Another build may say the same of itself, and one that names no commit always does.
    pub(super) fn note_program(&mut self) -> Result<()> {
        let now = self.worker.sha256();
        let path = self.worker.path.display().to_string();
        let session = self.session_mut();
        let differs = session.program_sha256.as_ref().zip(now.as_ref()).is_some_and(|(then, now)| then != now);
        if differs && !session.runs.is_empty() {
            return Err(Error::usage(format!(
                "can't resume: {path} is another build than the one that the session measured"
            ))
            .hint("give that one, or start anew without --resume"));
        }
        session.program_sha256 = now.or(session.program_sha256.take());
        self.check_engines()
    }

    /// Numbers of two commits' engines don't belong in one session either.
    fn check_engines(&self) -> Result<()> {
        let EnginesOfSide { commit, commands, .. } = &self.worker.engines;
        let mut measured = self.session().runs.iter().filter(|run| commands.contains_key(&run.case));
        let of_another = |run: &Run| match &run.outcome {
            Outcome::Ok(measured) => measured.program.as_ref().is_some_and(|engine| engine.commit != *commit),
            Outcome::Failed(_) => false,
        };
        if !measured.any(of_another) {
            return Ok(());
        }
        let now = commit.as_deref().unwrap_or("an unknown commit");
        Err(Error::usage(format!("can't resume: the session measured the engine of another commit than {now}"))
            .hint("check that commit out again, or start anew without --resume"))
    }

    pub(super) fn has(&self, case: &str, round: u32) -> bool {
        self.session().runs.iter().any(|run| run.round == round && run.case == case)
    }

    pub(super) fn record(&mut self, run: Run) -> Result<()> {
        self.session_mut().runs.push(run);
        self.save()
    }

    /// Keeps a run that doesn't count.
    pub(super) fn discard(&mut self, why: String, run: Run) -> Result<()> {
        self.session_mut().discarded.push(Discarded { why, run });
        self.save()
    }

    /// What there is so far.
    pub(super) fn save(&self) -> Result<()> {
        if self.output.as_ref().is_some_and(Output::is_stream) { Ok(()) } else { self.finish() }
    }

    /// All that this call measured.
    pub(super) fn finish(&self) -> Result<()> {
        let Some(output) = &self.output else { return Ok(()) };
        self.results.save(output).map_err(|error| {
            let path = output.path().display();
            Error::usage(format!("can't save the results to {path}, so nothing more was measured")).because(error)
        })
    }
}

fn planned(suite: &Suite) -> Vec<Case> {
    suite.cases().cloned().collect()
}

/// Runs under different settings don't belong in one session.
fn same_plan(suite: &Suite, results: &Results) -> Result<()> {
    let differs = |what: &str, file: &dyn std::fmt::Debug, now: &dyn std::fmt::Debug| {
        Err(Error::usage(format!("can't resume: {what} differs (the file has {file:?}, the configuration {now:?})"))
            .hint("give the file's settings, or start anew without --resume"))
    };
    if results.suite != suite.name {
        return differs("the suite", &results.suite, &suite.name);
    }
    let (file, now) = (&results.settings, &suite.settings);
    if file.runs > now.runs {
        return differs("the number of runs", &file.runs, &now.runs);
    }
    if (file.warmup, file.warmup_length) != (now.warmup, now.warmup_length) {
        return differs("the warm-up", &(file.warmup, file.warmup_length), &(now.warmup, now.warmup_length));
    }
    if file.iterations != now.iterations {
        return differs("the number of iterations", &file.iterations, &now.iterations);
    }
    if file.threads != now.threads {
        return differs("the number of threads", &file.threads, &now.threads);
    }
    if file.prompt != now.prompt {
        return differs("the prompt", &file.prompt, &now.prompt);
    }
    let now = planned(suite);
    if results.cases.len() != now.len() {
        return differs("the number of cases", &results.cases.len(), &now.len());
    }
    for (file, now) in results.cases.iter().zip(&now) {
        // The file may know by now what was loaded.
        let known = Case { revision: file.revision.clone(), identity: file.identity.clone(), ..now.clone() };
        if *file != known {
            return differs("a case", &describe(file), &describe(now));
        }
    }
    Ok(())
}

fn describe(case: &Case) -> String {
    format!(
        "{} with {} weights, {} generated tokens, {} on {}",
        case.id, case.weights, case.generated_length, case.implementation, case.device
    )
}

/// RFC 3339, UTC, in whole seconds.
pub(super) fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}

/// A new, unique id: when, and a few digits that no other process has.
pub fn session_id() -> String {
    let now = Timestamp::now();
    let seed = format!("{} {} {:?}", now.as_nanosecond(), std::process::id(), rustix::system::uname().nodename());
    let hash = hex(&Sha256::digest(seed)[..4]);
    format!("{}-{hash}", now.strftime("%Y%m%dT%H%M%SZ"))
}
