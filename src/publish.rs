//! Tells everybody the verdict: the step's summary, annotations and outputs, the comment, the check run.
//!
//! The reports are complete before this starts. Whatever GitHub refuses, or the runner's files, becomes a warning; the
//! exit code depends on the verdict alone.

mod gate;
mod nothing;
mod outcome;
mod policy;

use crate::error::{Advice, Error, Exit, Result};
use crate::escape;
use crate::files;
use crate::github::checks::{self, CheckRun};
use crate::github::event::{Context, PullRequest};
use crate::github::outputs::{self, Annotation, Files, Level};
use crate::github::sticky::{Conversation, Marker, Posted, When};
use crate::github::{ApiError, Client, Patience, Token, acceptance};
use crate::io::Io;
use crate::redact::Secrets;
use crate::render::pull_request::{self, Surroundings};
use crate::report::{Acceptance, Report};
pub use policy::{FailOn, IfNoBaseline, Options};

pub use nothing::publish_nothing;
use outcome::{StepOutcome, annotations, worth_saying};

/// The pull request on GitHub, where there is one and a token to reach it.
struct Target {
    client: Client,
    context: Context,
    pull: PullRequest,
}

/// What all that is told needs.
struct Step<'a, 'b> {
    options: &'a Options,
    variable: &'a dyn Fn(&str) -> Option<String>,
    context: Option<Context>,
    files: Files,
    io: &'a mut Io<'b>,
}

/// Publishes all reports of one measurement. `variable` is the environment.
pub fn publish(
    reports: &[Report],
    options: &Options,
    variable: &dyn Fn(&str) -> Option<String>,
    io: &mut Io,
) -> Result<Exit> {
    Step::start(options, variable, io)?.publish(reports)
}

impl<'a, 'b> Step<'a, 'b> {
    /// An event that can't be read costs the comment only.
    fn start(options: &'a Options, variable: &'a dyn Fn(&str) -> Option<String>, io: &'a mut Io<'b>) -> Result<Self> {
        let (context, wrong) = match Context::read(variable) {
            Ok(context) => (context, None),
            Err(error) => (None, Some(error)),
        };
        let mut step = Self { options, variable, context, files: Files::read(variable), io };
        if let Some(error) = wrong {
            step.warn(&error.in_one_line())?;
        }
        Ok(step)
    }

    fn publish(&mut self, reports: &[Report]) -> Result<Exit> {
        let (reports, refused): (Vec<_>, Vec<_>) = reports.iter().partition(|report| self.stranger(report).is_none());
        let refusals: Vec<_> = refused.iter().filter_map(|report| self.stranger(report)).collect();
        if let ([first, ..], []) = (&refusals[..], &reports[..]) {
            return Err(Error::usage(first).hint(OF_A_STRANGER));
        }
        refusals.iter().try_for_each(|refusal| self.warn(&format!("{refusal}; {OF_A_STRANGER}")))?;
        let target = self.target(&reports)?;
        let mut outcome = StepOutcome::default();
        let (mut summaries, mut annotated) = (String::new(), Vec::new());
        for report in reports {
            let surroundings = self.surroundings(report, target.as_ref())?;
            let accepted = surroundings.accepted.is_some();
            outcome.add(report, accepted);
            annotated.extend(annotations(report, &self.options.fail_on, accepted));
            summaries.push_str(&self.summarize(report, &surroundings)?);
            outcome.comments.extend(self.tell(report, &surroundings, target.as_ref())?);
        }
        if self.context.is_some() {
            write!(self.io.err, "{}", outputs::commands(&annotated))?;
        }
        self.end(&outcome, &summaries)?;
        Ok(if refusals.is_empty() { outcome.exit(self.options) } else { Exit::Usage })
    }

    /// Why a report is not of the run that this is about.
    fn stranger(&self, report: &Report) -> Option<String> {
        let (wanted, origin) = (self.context.as_ref()?.origin(), report.origin.as_ref()?);
        (!origin.may_be(&wanted)).then(|| {
            format!(
                "the report of {} on {} is of {origin}, not of {wanted}",
                escape::short_line(&report.suite, 60),
                escape::short_line(&report.hardware, 60)
            )
        })
    }

    /// Says why there is none.
    fn target(&mut self, reports: &[&Report]) -> Result<Option<Target>> {
        match self.find_target(reports) {
            Ok(Found::Target(target)) => return Ok(Some(*target)),
            Ok(Found::Nothing(why)) => writeln!(self.io.err, "not commenting: {why}")?,
            Err(error) => self.warn(&error.in_one_line())?,
        }
        Ok(None)
    }

    fn find_target(&self, reports: &[&Report]) -> Result<Found, ApiError> {
        let Some(context) = &self.context else { return Ok(Found::Nothing("this is not a workflow run")) };
        let Some(token) = Token::parse(&(self.variable)("GITHUB_TOKEN").unwrap_or_default())? else {
            return Ok(Found::Nothing("there is no token in GITHUB_TOKEN"));
        };
        let client = Client::new(&context.api_url, token, Patience::default())?;
        let claimed = reports.iter().find_map(|report| report.pull_request);
        Ok(match context.pull_request(&client, self.options.pr_number, claimed)? {
            Some(pull) => Found::Target(Box::new(Target { client, context: context.clone(), pull })),
            None => Found::Nothing("no open pull request belongs to this run"),
        })
    }

    fn surroundings(&mut self, report: &Report, target: Option<&Target>) -> Result<Surroundings> {
        let context = self.context.as_ref();
        let named = context.and_then(|context| context.origin().commit);
        let claimed = report.origin.as_ref().and_then(|origin| origin.commit.clone());
        Ok(Surroundings {
            run_url: context.filter(|context| context.run_id != 0).map(Context::run_url),
            commit: named.or(claimed).or_else(|| Some(target?.pull.head_sha.clone())),
            accepted: match target {
                Some(target) if gate::can_be_accepted(report) => self.accepted(target)?,
                _ => None,
            },
        })
    }

    fn accepted(&mut self, target: &Target) -> Result<Option<Acceptance>> {
        match acceptance::find(&target.client, &target.context.repository, target.pull.number) {
            Ok(accepted) => Ok(accepted),
            Err(error) => {
                self.warn(&format!("can't look for an acceptance: {}", error.in_one_line()))?;
                Ok(None)
            }
        }
    }

    /// Into the step's summary; the text. A runner's file that can't be written costs nothing else.
    fn summarize(&mut self, report: &Report, surroundings: &Surroundings) -> Result<String> {
        let summary = pull_request::summary(report, surroundings);
        if let Err(error) = self.files.summarize(&summary) {
            self.warn(&format!("can't write the step's summary: {error}"))?;
        }
        if report.is_first_run() && self.options.if_no_baseline != IfNoBaseline::Pass {
            self.warn(&format!("no baseline of {} for {}: nothing was compared", report.suite, report.hardware))?;
        }
        Ok(summary)
    }

    /// Comments and sets the check run; the comment's address.
    fn tell(
        &mut self,
        report: &Report,
        surroundings: &Surroundings,
        target: Option<&Target>,
    ) -> Result<Option<String>> {
        let text = pull_request::comment(report, surroundings);
        let Some(target) = target else {
            write!(self.io.out, "{text}")?;
            return Ok(None);
        };
        if self.options.check_run {
            self.check_run(target, report, surroundings, &text)?;
        }
        match post(target, report, surroundings, &text, self.options.comment) {
            Ok(posted) => {
                let (what, url) = match &posted {
                    Posted::Created { url } => ("commented", url.as_str()),
                    Posted::Updated { url } => ("updated the comment", url.as_str()),
                    Posted::Superseded { url } => ("a newer run has commented already", url.as_str()),
                    Posted::Skipped => ("not commenting: nothing changed, or comments are off", ""),
                };
                writeln!(self.io.err, "{what} {}", escape::line(url))?;
                Ok(posted.url().map(escape::line))
            }
            Err(error) => {
                self.warn(&format!("the comment was not posted: {}", error.in_one_line()))?;
                write!(self.io.out, "{text}")?;
                Ok(None)
            }
        }
    }

    fn check_run(&mut self, target: &Target, report: &Report, surroundings: &Surroundings, text: &str) -> Result<()> {
        let head_sha = &target.pull.head_sha;
        // What an artifact claims must not choose the commit that becomes green.
        if surroundings.commit.as_ref().is_some_and(|commit| !commit.eq_ignore_ascii_case(head_sha)) {
            writeln!(self.io.err, "no check run: the pull request is at {head_sha}, which is not what was measured")?;
            return Ok(());
        }
        let check = CheckRun {
            name: &format!(
                "bench-diff {} {}",
                escape::short_line(&report.suite, 60),
                escape::short_line(&report.hardware, 60)
            ),
            head_sha,
            run_id: target.context.measuring_run(),
            conclusion: outcome::conclusion(report, surroundings.accepted.is_some(), self.options),
            title: &pull_request::title(report),
            summary: text,
            details_url: &target.context.run_url(),
        };
        match checks::publish(&target.client, &target.context.repository, &check) {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.status(), Some(403 | 404)) => {
                writeln!(self.io.err, "no check run: the job has no `checks: write` permission")
            }
            Err(error) => self.warn(&format!("no check run: {}", error.in_one_line())),
        }
    }

    /// The outputs, and the summary as a file. Only the file was asked for by name: without it, the step fails.
    fn end(&mut self, outcome: &StepOutcome, summaries: &str) -> Result<()> {
        if let Err(error) = outcome.write(&self.files) {
            self.warn(&format!("can't set the step's outputs: {error}"))?;
        }
        let Some(path) = &self.options.summary else { return Ok(()) };
        files::write(path, |out| out.write_all(Secrets::of_environment().redact(summaries).as_bytes()))?;
        match self.files.set("summary", &path.display().to_string()) {
            Ok(()) => Ok(()),
            Err(error) => self.warn(&format!("can't set the step's output `summary`: {error}")),
        }
    }

    /// A warning in the log, which a runner also shows on the run's page.
    fn warn(&mut self, message: &str) -> Result<()> {
        let message = escape::short_line(message, 600);
        if (self.variable)("GITHUB_ACTIONS").is_some() {
            let annotation = Annotation { level: Level::Warning, title: "bench-diff".into(), message };
            write!(self.io.err, "{}", outputs::commands(&[annotation]))?;
        } else {
            writeln!(self.io.err, "warning: {message}")?;
        }
        Ok(())
    }
}

/// What to do about a report of another run.
const OF_A_STRANGER: &str = "measure again, or publish the results of that run";

enum Found {
    Target(Box<Target>),
    Nothing(&'static str),
}

fn post(
    target: &Target,
    report: &Report,
    surroundings: &Surroundings,
    text: &str,
    when: When,
) -> Result<Posted, ApiError> {
    if when == When::Never {
        return Ok(Posted::Skipped);
    }
    let marker = Marker::new(&report.suite, &report.hardware, target.context.measuring_run());
    let mut conversation = Conversation::open(&target.client, &target.context.repository, target.pull.number)?;
    match conversation.upsert(&marker, text, when, worth_saying(report)) {
        // Too long after all: GitHub counts in its own way.
        Err(ApiError::Refused { status: 422, message, .. }) if message.contains("too long") => {
            let short = pull_request::too_long(report, surroundings);
            conversation.upsert(&marker, &short, when, worth_saying(report))
        }
        result => result,
    }
}
