//! `bench-diff ci` as a flow: measure, find what to compare with, compare. What comes out is a [`Report`]; telling it
//! to anybody is the next step's business.
//!
//! What head is compared with, the first that there is:
//! 1. a committed baseline of the suite on this hardware. With a base program at hand, what looks changed is then
//!    measured again, base and head interleaved;
//! 2. a base program: both are measured interleaved in one session;
//! 3. the local baseline that an earlier `ci` left on this machine;
//! 4. itself: the same program as base and head, interleaved. That tells nothing about a change, but everything about
//!    the machine; the session is kept as the local baseline.

mod committed;
mod confirm;
mod local;
mod sides;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use committed::baselines_of;
pub use local::Local;
pub use sides::{Base, Sides};

use crate::baseline::Store;
use crate::compare::{self, Comparison, Options};
use crate::config::Suite;
use crate::error::{Error, Result};
use crate::measure::{self, End, Observer, Side, Stop, Worker};
use crate::programs::Program;
use crate::report::{self, ReleaseComparison, Report};
use crate::results::{Failure, Outcome, Results};

/// What to measure, and what to compare it with.
pub struct Request<'a> {
    pub suite: &'a Suite,
    /// Cases that can't run, with the reason.
    pub refused: BTreeMap<String, Failure>,
    /// The program that is judged.
    pub head: Worker,
    /// The program to measure it against, where it can still be run or built. Built only when it is needed.
    pub base: Option<Program>,
    /// Measure again what looks changed against a baseline.
    pub confirm: bool,
    /// The pull request that this is about, as the job knows it.
    pub pull_request: Option<u64>,
    pub committed: Store,
    pub local: Local,
    /// The directory for `results.json`, `report.json` and the rest.
    pub output: &'a Path,
}

/// A finished measurement.
#[derive(Debug)]
pub struct Measured {
    pub report: Report,
    /// What a person at the machine should know beside the report, one sentence each.
    pub remarks: Vec<String>,
}

/// Measures and compares. `None` when told to stop: what was measured is in the output directory.
pub fn measure_and_compare(request: &Request, observer: &mut dyn Observer, stop: &Stop) -> Result<Option<Measured>> {
    std::fs::create_dir_all(request.output)
        .map_err(|error| Error::usage(format!("can't make the directory {}: {error}", request.output.display())))?;
    let hardware = measure::environment(request.suite).fingerprint();
    let mut flow = Flow { request, observer, stop, options: Options::from(&request.suite.thresholds) };
    let committed = request.committed.find(&request.suite.name, &hardware)?;
    let measured = match (committed, &request.base) {
        (Some(baseline), base) => flow.against_baseline(baseline, base.as_ref().filter(|_| request.confirm))?,
        (None, Some(base)) => flow.against_program(&base.worker()?)?,
        (None, None) => match request.local.find(request.suite, &hardware)? {
            Some(baseline) => flow.against_local(baseline)?,
            None => flow.self_check()?,
        },
    };
    let Some((draft, remarks)) = measured else { return Ok(None) };
    if !any_numbers(&draft.head) {
        return Err(Error::measurement(format!("every run failed: {}", first_failure(&draft.head))));
    }
    let report = Report {
        schema: report::SCHEMA,
        suite: request.suite.name.clone(),
        release: flow.release(&draft.head, &hardware)?,
        hardware,
        head: draft.head,
        base: draft.base,
        comparison: draft.comparison,
        self_check: draft.self_check,
        pull_request: request.pull_request,
    };
    report::write(&report, &request.output.join("report.json"))?;
    Ok(Some(Measured { report, remarks }))
}

/// Measures one program as base and head, interleaved, and compares it with itself. `None` when told to stop.
pub fn self_check(
    request: &measure::Request,
    program: &Worker,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Option<Comparison>> {
    let id = measure::session_id();
    let mut sides = ["base", "head"].map(|label| Side::new(label, program.clone(), request.suite, &id));
    if measure::run(request, &mut sides, observer, stop)? == End::Stopped {
        return Ok(None);
    }
    let [base, head] = sides.map(|side| compare::Side::from_results(side.label, &side.results));
    compare::compare(&base, &head, &Options::from(&request.suite.thresholds)).map(Some)
}

/// A report in the making.
struct Draft {
    head: Results,
    base: Option<Results>,
    comparison: Option<Comparison>,
    self_check: Option<Comparison>,
}

/// What one way of comparing gives; `None` when told to stop.
type Step = Result<Option<(Draft, Vec<String>)>>;

struct Flow<'a> {
    request: &'a Request<'a>,
    observer: &'a mut dyn Observer,
    stop: &'a Stop,
    options: Options,
}

impl Flow<'_> {
    fn against_baseline(&mut self, base: Results, program: Option<&Program>) -> Step {
        let Some(head) = self.measure_head()? else { return Ok(None) };
        let mut comparison = self.compare(&base, &head)?;
        if let Some(program) = program {
            match self.confirm(comparison, program, &base, &head)? {
                Some(confirmed) => comparison = confirmed,
                None => return Ok(None),
            }
        }
        Ok(Some((Draft { head, base: Some(base), comparison: Some(comparison), self_check: None }, Vec::new())))
    }

    fn against_program(&mut self, program: &Worker) -> Step {
        let Some((base, head)) = self.measure_both(self.request.suite, program, "")? else { return Ok(None) };
        let comparison = self.compare(&base, &head)?;
        Ok(Some((Draft { head, base: Some(base), comparison: Some(comparison), self_check: None }, Vec::new())))
    }

    fn against_local(&mut self, base: Results) -> Step {
        let Some(head) = self.measure_head()? else { return Ok(None) };
        let comparison = self.compare(&base, &head)?;
        let remarks = vec![self.request.local.extend(&base, &head)?];
        Ok(Some((Draft { head, base: Some(base), comparison: Some(comparison), self_check: None }, remarks)))
    }

    fn self_check(&mut self) -> Step {
        let itself = self.request.head.clone();
        let Some((base, head)) = self.measure_both(self.request.suite, &itself, "")? else { return Ok(None) };
        let check = self.compare(&base, &head)?;
        let remarks = if any_numbers(&head) { vec![self.request.local.start(&head)?] } else { Vec::new() };
        Ok(Some((Draft { head, base: None, comparison: None, self_check: Some(check) }, remarks)))
    }

    fn compare(&self, base: &Results, head: &Results) -> Result<Comparison> {
        let (base, head) = (compare::Side::from_results("base", base), compare::Side::from_results("head", head));
        compare::compare(&base, &head, &self.options)
    }

    /// Against the newest release, if it has a baseline for this hardware.
    fn release(&self, head: &Results, hardware: &str) -> Result<Option<ReleaseComparison>> {
        let release = self.request.committed.latest_release(&self.request.suite.name, hardware)?;
        let compare = |(label, base)| Ok(ReleaseComparison { label, comparison: self.compare(&base, head)? });
        release.map(compare).transpose()
    }

    fn measure_head(&mut self) -> Result<Option<Results>> {
        let side = Side::new("", self.request.head.clone(), self.request.suite, &measure::session_id());
        let mut sides = [side.saved_to(&self.output("", "results.json"))];
        let end = self.run(self.request.suite, &mut sides)?;
        let [head] = sides;
        Ok((end == End::Complete).then_some(head.results))
    }

    /// Base and head interleaved in one session, saved as `PREFIXbase.json` and `PREFIXresults.json`.
    fn measure_both(&mut self, suite: &Suite, base: &Worker, prefix: &str) -> Result<Option<(Results, Results)>> {
        let id = measure::session_id();
        let base = Side::new("base", base.clone(), suite, &id).saved_to(&self.output(prefix, "base.json"));
        let head = Side::new("head", self.request.head.clone(), suite, &id);
        let mut sides = [base, head.saved_to(&self.output(prefix, "results.json"))];
        let end = self.run(suite, &mut sides)?;
        let [base, head] = sides;
        Ok((end == End::Complete).then_some((base.results, head.results)))
    }

    fn run(&mut self, suite: &Suite, sides: &mut [Side]) -> Result<End> {
        let request = measure::Request { refused: self.request.refused.clone(), ..measure::Request::new(suite) };
        measure::run(&request, sides, self.observer, self.stop)
    }

    fn output(&self, prefix: &str, name: &str) -> PathBuf {
        self.request.output.join(format!("{prefix}{name}"))
    }
}

fn any_numbers(results: &Results) -> bool {
    results.sessions.iter().flat_map(|session| &session.runs).any(|run| matches!(run.outcome, Outcome::Ok(_)))
}

fn first_failure(results: &Results) -> String {
    let mut runs = results.sessions.iter().flat_map(|session| &session.runs);
    let reason = runs.find_map(|run| match &run.outcome {
        Outcome::Failed(failure) => Some(format!("{}: {}", run.case, failure.reason)),
        Outcome::Ok(_) => None,
    });
    reason.unwrap_or_else(|| "the suite has no cases".into())
}
