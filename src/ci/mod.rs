//! `bench-diff ci` as a flow: measure, find what to compare with, compare. The outcome is a [`Report`], which the next
//! step publishes.
//!
//! Head is compared with the first of these that there is:
//! 1. a committed baseline of the suite on this hardware. With a base program at hand, what looks changed is then
//!    measured again, base and head interleaved;
//! 2. a base program: both are measured interleaved in one session, and what changed is measured again;
//! 3. the local baseline that an earlier `ci` left on this machine: its program, interleaved, or where that is gone its
//!    sessions;
//! 4. itself: the same program as base and head, interleaved. That says nothing about a change, but shows the
//!    noise of the machine. The session is kept as the local baseline.

mod base;
mod base_error;
mod committed;
mod leftovers;
mod local;
mod past_baseline;
mod relation;
mod remeasure;
mod sides;
mod suite_changes;
mod waited;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

pub use base::{BaseCommits, Search};
pub use base_error::BaseError;
pub use committed::baselines_of;
pub use leftovers::{Checkout, begin, check_whose, clear, previous_report};
pub use local::Local;
pub use past_baseline::obstacle;
pub use relation::{is_unrelated, named_engines};
pub use sides::{Base, BuiltAgainstCandle, BuiltByCommand, Said, Sides};
pub use suite_changes::SuiteChanges;
use waited::Waited;

use crate::baseline::Store;
use crate::compare::{self, Comparison, Options};
use crate::config::Suite;
use crate::duel::{Contender, Duel, Duelled};
use crate::error::{Advice, Result};
use crate::files::Folder;
use crate::measure::{self, End, Halt, MeasuredSide, Observer, Saved, Stop, Worker};
use crate::programs::{OwnEngines, Program};
use crate::report::{self, Answer, Caveats, MeasuredAgain, Origin, ReleaseComparison, Report, Reproduction};
use crate::results::{Failure, Outcome, Results};

/// What to measure, and what to compare it with.
pub struct Request<'a> {
    /// The cases, and how to measure them.
    pub suite: &'a Suite,
    /// Cases that can't run, with the reason.
    pub refused: BTreeMap<String, Failure>,
    /// The program that is judged.
    pub head: Worker,
    /// The program to measure it against. Built only when it is needed.
    pub base: Base,
    /// The engines of the suite that are of this repository: those of the local baseline can be built again.
    pub engines: Option<OwnEngines>,
    /// Reasons to trust a comparison with the committed baseline less, one sentence each.
    pub warnings: Vec<String>,
    /// Measure again what looks changed against a baseline.
    pub confirm: bool,
    /// The time that measuring again may take.
    pub confirm_budget: Duration,
    /// The time that tracing what changed may take; none for no traces.
    pub trace_budget: Duration,
    /// Resume the measurement that an interrupted `ci` left in the output directory.
    pub resume: bool,
    /// Cases of the base's suite that the pull request takes out of it.
    pub taken_out: Vec<String>,
    /// What the report says of where it is from.
    pub about: About,
    /// The baselines that judge.
    pub committed: Store,
    /// What is kept beside the configuration.
    pub local: Local,
    /// The directory for `results.json`, `report.json` and the rest.
    pub output: &'a Folder,
}

/// What is measured, as the job knows it.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Its number; absent where there is none.
    pub pull_request: Option<u64>,
    /// The commit and the workflow run.
    pub origin: Origin,
    /// What keeps this from being a verdict on it, as far as that is known before anything is measured.
    pub caveats: Caveats,
    /// How to measure the same again.
    pub reproduction: Option<Reproduction>,
}

/// A measurement, finished or stopped.
#[derive(Debug)]
pub struct Measured {
    /// Also of a measurement that failed.
    pub report: Report,
    /// When stopped, the report is about what was measured until then.
    pub end: End,
    /// What to tell a person at the machine besides the report, one sentence each.
    pub remarks: Vec<String>,
}

/// Measures and compares.
pub fn measure_and_compare(request: &Request, observer: &mut dyn Observer, stop: &Stop) -> Result<Measured> {
    let hardware = measure::environment(request.suite).fingerprint();
    let mut flow = Flow {
        request,
        observer: Waited::new(observer),
        stop,
        options: Options::from(&request.suite.thresholds),
        caveats: request.about.caveats.clone(),
    };
    flow.caveats.suite_changes = flow.changes_that_matter(&hardware)?;
    let Draft { head, against, measured_again, end, remarks } = match flow.draft(&hardware) {
        Ok(draft) => draft,
        Err(Halt::Failed(error)) => return Err(error),
        Err(Halt::Stopped) => {
            let report = report_failure(request.suite, &request.about, request.output, &flow.observer.stopped())?;
            return Ok(Measured { report, end: End::Stopped, remarks: Vec::new() });
        }
    };
    let answer = if any_numbers(&head) {
        let release = flow.release(&head, &hardware)?;
        match against {
            Against::Base { base, mut comparison } => {
                flow.note_taken_out(&mut comparison);
                Answer::Compared { base, comparison, release }
            }
            Against::Itself(check) => Answer::FirstRun { self_check: Some(check), release },
        }
    } else {
        Answer::Failed { why: if end == End::Stopped { flow.observer.stopped() } else { why_nothing(&head) } }
    };
    let about = About { caveats: flow.caveats, ..request.about.clone() };
    let report = Report { measured_again, ..Report::of(head, hardware, answer) };
    let report = write(report, &about, request.output)?;
    Ok(Measured { report, end, remarks })
}

/// The report of a measurement that failed, or never began.
pub fn report_failure(suite: &Suite, about: &About, output: &Folder, why: &str) -> Result<Report> {
    let head = Results {
        suite: suite.name.clone(),
        label: None,
        cases: suite.cases().cloned().collect(),
        settings: suite.settings.clone(),
        sessions: Vec::new(),
    };
    let answer = Answer::Failed { why: why.to_owned() };
    write(Report::of(head, measure::environment(suite).fingerprint(), answer), about, output)
}

fn write(report: Report, about: &About, output: &Folder) -> Result<Report> {
    let About { pull_request, origin, caveats, reproduction } = about.clone();
    let report = Report { pull_request, origin: Some(origin), caveats, reproduction, ..report.derived() };
    report::write(&report, &output.join(leftovers::REPORT))?;
    Ok(report)
}

/// A report that isn't finished.
struct Draft {
    head: Results,
    against: Against,
    measured_again: Option<MeasuredAgain>,
    end: End,
    remarks: Vec<String>,
}

/// What the head was compared with.
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
enum Against {
    /// A baseline, or a program that was measured beside it.
    Base { base: Results, comparison: Comparison },
    /// The same program.
    Itself(Comparison),
}

impl Draft {
    fn compared(base: Results, head: Results, comparison: Comparison, end: End) -> Self {
        let against = Against::Base { base, comparison };
        Self { head, against, measured_again: None, end, remarks: Vec::new() }
    }
}

struct Flow<'a> {
    request: &'a Request<'a>,
    observer: Waited<'a>,
    stop: &'a Stop,
    options: Options,
    caveats: Caveats,
}

impl<'a> Flow<'a> {
    /// Stopped before there is one only while a program is built.
    fn draft(&mut self, hardware: &str) -> Result<Draft, Halt> {
        let request = self.request;
        let committed = request.committed.find(&request.suite.name, hardware)?;
        Ok(match (committed, &request.base) {
            (Some(baseline), base) => match self.obstacle(&baseline) {
                Some(obstacle) => self.past_the_baseline(baseline, base, &obstacle)?,
                None => self.against_baseline(baseline, base)?,
            },
            (None, Base::Program(base)) => match self.made(base) {
                Ok(program) => self.against_program(&program)?,
                // How it is built is the base's own to say, and the caller can't mend that.
                Err(Halt::Failed(why)) if matches!(base, Program::Engines(_)) => {
                    self.without_base(&Base::OutOfReach(why.in_one_line()), hardware)?
                }
                Err(halt) => return Err(halt),
            },
            (None, base) => self.without_base(base, hardware)?,
        })
    }

    /// Against what this machine has kept, or itself.
    fn without_base(&mut self, base: &Base, hardware: &str) -> Result<Draft> {
        self.note_base_out_of_reach(base);
        match self.request.local.find(self.request.suite, hardware)? {
            Some(baseline) => self.against_local(baseline, hardware),
            None => self.self_check(),
        }
    }

    /// The program to start; a build that fails when we are told to stop was stopped.
    fn made(&self, program: &Program) -> Result<Worker, Halt> {
        let halted = |error| if self.stop.is_requested() { Halt::Stopped } else { Halt::Failed(error) };
        program.worker().map_err(halted)
    }

    fn against_baseline(&mut self, base: Results, program: &Base) -> Result<Draft> {
        let (head, mut end) = self.measure_head()?;
        let (mut comparison, mut measured_again) = (self.compare(&base, &head)?, None);
        if self.request.confirm && end == End::Complete && comparison.same_program.is_none() {
            (comparison, measured_again, end) = self.confirm(comparison, program, &base, &head)?;
        }
        comparison.warnings.extend(self.request.warnings.iter().cloned());
        Ok(Draft { measured_again, ..Draft::compared(base, head, comparison, end) })
    }

    fn against_program(&mut self, program: &Worker) -> Result<Draft> {
        let Duelled { base, head, mut comparison, ended, .. } = self.duelled(program)?;
        comparison.acquit(compare::same_program_of(&base, &head));
        let (comparison, measured_again, end) = self.confirm_changes(comparison, ended.end(), program, &head)?;
        Ok(Draft { measured_again, ..Draft::compared(base, head, comparison, end) })
    }

    /// The machine may be slower or faster now, so the baseline's program is measured again if it still exists.
    fn against_local(&mut self, kept: Results, hardware: &str) -> Result<Draft> {
        self.request.local.check(&self.request.suite.name)?;
        let draft = match self.kept_program(&kept, hardware) {
            Some(program) => self.against_program(&program)?,
            None => {
                let (head, end) = self.measure_head()?;
                let comparison = self.compare(&kept, &head)?;
                Draft::compared(kept.clone(), head, comparison, end)
            }
        };
        // Half a session is no history.
        let complete = draft.end == End::Complete && any_numbers(&draft.head);
        let remarks = if complete { vec![self.request.local.extend(&kept, &draft.head)?] } else { Vec::new() };
        Ok(Draft { remarks, ..draft })
    }

    /// The program of the local baseline; a program without its engines is none.
    fn kept_program(&self, kept: &Results, hardware: &str) -> Option<Worker> {
        if !self.request.suite.has_engines_of_others() {
            return self.request.local.program(&self.request.suite.name, hardware);
        }
        let commit = kept.sessions.last()?.measured().commit.as_ref()?;
        let program = self.request.engines.as_ref()?.at_commit(Path::new("."), commit).ok()?;
        self.made(&program).map_err(|_| tracing::warn!("the local baseline's engine can't be built again")).ok()
    }

    fn self_check(&mut self) -> Result<Draft> {
        self.request.local.check(&self.request.suite.name)?;
        let itself = self.request.head.clone();
        let Duelled { head, comparison, ended, .. } = self.duelled(&itself)?;
        let end = ended.end();
        let keep = end == End::Complete && any_numbers(&head);
        let program = (!self.request.suite.has_engines_of_others()).then_some(&itself);
        let remarks = if keep { vec![self.request.local.start(&head, program)?] } else { Vec::new() };
        Ok(Draft { head, against: Against::Itself(comparison), measured_again: None, end, remarks })
    }

    fn compare(&self, base: &Results, head: &Results) -> Result<Comparison> {
        let same = compare::same_program_of(base, head);
        let (base, head) = (compare::Side::from_results("base", base), compare::Side::from_results("head", head));
        let mut comparison = compare::compare(&base, &head, &self.options)?;
        comparison.acquit(same);
        Ok(comparison)
    }

    /// Against the newest release, if it has a baseline for this hardware.
    fn release(&self, head: &Results, hardware: &str) -> Result<Option<ReleaseComparison>> {
        let release = self.request.committed.latest_release(&self.request.suite.name, hardware)?;
        let compare = |(label, base)| Ok(ReleaseComparison { label, comparison: self.compare(&base, head)? });
        release.map(compare).transpose()
    }

    fn measure_head(&mut self) -> Result<(Results, End)> {
        let suite = self.request.suite;
        let side = MeasuredSide::new("", self.request.head.clone(), suite, &measure::session_id());
        let mut sides = [side.kept(&self.saved("results.json"), suite)?];
        let end = measure::run(&self.measuring(), &mut sides, &mut self.observer, self.stop)?;
        let [head] = sides;
        Ok((head.results, end))
    }

    /// All runs of the suite, base and head in turn.
    fn duelled(&mut self, base: &Worker) -> Result<Duelled> {
        let options = self.options.clone();
        let contender = |program: &Worker, name: &str| self.contender(program, name);
        let (base, head) = (contender(base, "base.json"), contender(&self.request.head, "results.json"));
        self.duel(base, head, None).complete(&options)
    }

    /// A program whose results are saved under this name.
    fn contender(&self, program: &Worker, name: &str) -> Contender {
        Contender { program: program.clone(), saved: Some(self.saved(name)) }
    }

    fn duel(&mut self, base: Contender, head: Contender, base_again: Option<Contender>) -> Duel<'_> {
        Duel { base, head, base_again, request: self.measuring(), observer: &mut self.observer, stop: self.stop }
    }

    fn measuring(&self) -> measure::Request<'a> {
        measure::Request { refused: self.request.refused.clone(), ..measure::Request::new(self.request.suite) }
    }

    fn saved(&self, name: &str) -> Saved {
        Saved { path: self.request.output.join(name), resume: self.request.resume }
    }
}

fn any_numbers(results: &Results) -> bool {
    results.sessions.iter().flat_map(|session| &session.runs).any(|run| matches!(run.outcome, Outcome::Ok(_)))
}

fn why_nothing(results: &Results) -> String {
    let mut runs = results.sessions.iter().flat_map(|session| &session.runs);
    let reason = runs.find_map(|run| match &run.outcome {
        Outcome::Failed(failure) => Some(format!("{}: {}", run.case, failure.reason)),
        Outcome::Ok(_) => None,
    });
    format!("every run failed: {}", reason.unwrap_or_else(|| "the suite has no cases".into()))
}
