//! Tells everybody the verdict: the step's summary, annotations and outputs, the comment, the check run.
//!
//! The reports are complete before this starts. Whatever GitHub refuses becomes a warning; the exit code depends on the
//! verdict alone.

use std::path::PathBuf;

use crate::cli::Io;
use crate::compare::{Counts, Row, Verdict};
use crate::error::{Error, Exit, Result};
use crate::github::checks::{self, CheckRun, Conclusion};
use crate::github::event::{Context, PullRequest};
use crate::github::outputs::{self, Annotation, Files, Level};
use crate::github::sticky::{Conversation, Marker, Posted, When};
use crate::github::{ApiError, Client, Patience, Token, acceptance};
use crate::render::comment::{self, Acceptance, Surroundings};
use crate::render::escape;
use crate::report::Report;

/// What to tell, and what makes the step fail.
#[derive(Debug, Clone)]
pub struct Options {
    pub comment: When,
    pub fail_on: FailOn,
    pub if_no_baseline: IfNoBaseline,
    /// Where to write the summary as a file as well.
    pub summary: Option<PathBuf>,
    /// Where the event doesn't say it.
    pub pr_number: Option<u64>,
    pub check_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// Exit with 1 when a row regressed or a case is missing or failed
    Regression,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum IfNoBaseline {
    Pass,
    Warn,
    /// Exit with 1
    Fail,
}

/// The pull request on GitHub, where there is one and a token to reach it.
struct Target {
    client: Client,
    context: Context,
    pull: PullRequest,
}

/// Publishes all reports of one measurement. `variable` is the environment.
pub fn publish(
    reports: &[Report],
    options: &Options,
    variable: &dyn Fn(&str) -> Option<String>,
    io: &mut Io,
) -> Result<Exit> {
    let files = Files::read(variable);
    let target = match find_target(reports, options, variable) {
        Ok(Found::Target(target)) => Some(*target),
        Ok(Found::Nothing(why)) => {
            writeln!(io.err, "not commenting: {why}")?;
            None
        }
        Err(error) => {
            warn(io, &error.to_string())?;
            None
        }
    };
    let context = Context::read(variable).ok().flatten();
    let mut outcome = Outcome::default();
    let mut summaries = String::new();
    let mut annotated = Vec::new();
    for report in reports {
        let surroundings = surroundings(report, context.as_ref(), target.as_ref(), io)?;
        let accepted = surroundings.accepted.is_some();
        outcome.add(report, accepted);
        let summary = comment::summary(report, &surroundings);
        files.summarize(&summary)?;
        summaries.push_str(&summary);
        if report.comparison.is_none() && options.if_no_baseline != IfNoBaseline::Pass {
            warn(io, &format!("no baseline of {} for {}: nothing was compared", report.suite, report.hardware))?;
        }
        annotated.extend(annotations(report, options.fail_on, accepted));
        let text = comment::comment(report, &surroundings);
        match &target {
            Some(target) => {
                if let Some(url) = tell(target, report, &surroundings, &text, options, io)? {
                    outcome.comments.push(url);
                }
            }
            None => write!(io.out, "{text}")?,
        }
    }
    if context.is_some() {
        write!(io.err, "{}", outputs::commands(&annotated))?;
    }
    outcome.write(&files)?;
    if let Some(path) = &options.summary {
        std::fs::write(path, summaries)
            .map_err(|error| Error::usage(format!("can't write {}: {error}", path.display())))?;
        files.set("summary", &path.display().to_string())?;
    }
    let unjudged = outcome.uncompared && options.if_no_baseline == IfNoBaseline::Fail;
    let failed = outcome.failing && options.fail_on == FailOn::Regression;
    Ok(if failed || unjudged { Exit::Regression } else { Exit::Success })
}

enum Found {
    Target(Box<Target>),
    Nothing(&'static str),
}

fn find_target(
    reports: &[Report],
    options: &Options,
    variable: &dyn Fn(&str) -> Option<String>,
) -> std::result::Result<Found, ApiError> {
    let Some(context) = Context::read(variable)? else { return Ok(Found::Nothing("this is not a workflow run")) };
    let Some(token) = Token::parse(&variable("GITHUB_TOKEN").unwrap_or_default())? else {
        return Ok(Found::Nothing("there is no token in GITHUB_TOKEN"));
    };
    let client = Client::new(&context.api_url, token, Patience::default())?;
    let claimed = reports.iter().find_map(|report| report.pull_request);
    Ok(match context.pull_request(&client, options.pr_number, claimed)? {
        Some(pull) => Found::Target(Box::new(Target { client, context, pull })),
        None => Found::Nothing("no open pull request belongs to this run"),
    })
}

fn surroundings(
    report: &Report,
    context: Option<&Context>,
    target: Option<&Target>,
    io: &mut Io,
) -> Result<Surroundings> {
    Ok(Surroundings {
        run_url: context.filter(|context| context.run_id != 0).map(Context::run_url),
        commit: target.map(|target| target.pull.head_sha.as_str()).or_else(|| context?.head_sha()).map(str::to_owned),
        accepted: match target {
            Some(target) if regressed(report).next().is_some() => accepted(target, io)?,
            _ => None,
        },
    })
}

fn accepted(target: &Target, io: &mut Io) -> Result<Option<Acceptance>> {
    match acceptance::find(&target.client, &target.context.repository, target.pull.number) {
        Ok(accepted) => Ok(accepted),
        Err(error) => {
            warn(io, &format!("can't look for an acceptance: {error}"))?;
            Ok(None)
        }
    }
}

/// Comments and sets the check run; the comment's address.
fn tell(
    target: &Target,
    report: &Report,
    surroundings: &Surroundings,
    text: &str,
    options: &Options,
    io: &mut Io,
) -> Result<Option<String>> {
    if options.check_run {
        check_run(target, report, surroundings, text, options, io)?;
    }
    match post(target, report, surroundings, text, options.comment) {
        Ok(posted) => {
            let (what, url) = match &posted {
                Posted::Created { url } => ("commented", url.as_str()),
                Posted::Updated { url } => ("updated the comment", url.as_str()),
                Posted::Superseded { url } => ("a newer run has commented already", url.as_str()),
                Posted::Skipped => ("not commenting: nothing changed, or comments are off", ""),
            };
            writeln!(io.err, "{what} {}", escape::line(url))?;
            Ok(posted.url().map(escape::line))
        }
        Err(error) => {
            warn(io, &format!("the comment was not posted: {error}"))?;
            write!(io.out, "{text}")?;
            Ok(None)
        }
    }
}

fn post(
    target: &Target,
    report: &Report,
    surroundings: &Surroundings,
    text: &str,
    when: When,
) -> std::result::Result<Posted, ApiError> {
    if when == When::Never {
        return Ok(Posted::Skipped);
    }
    let marker = Marker::new(&report.suite, &report.hardware, target.context.measuring_run());
    let mut conversation = Conversation::open(&target.client, &target.context.repository, target.pull.number)?;
    let worth_saying = report.comparison.as_ref().is_none_or(|comparison| {
        let says = |row: &Row| matches!(row.verdict, Verdict::Regressed | Verdict::Improved);
        comparison.rows.iter().any(says) || !comparison.notes.is_empty()
    });
    match conversation.upsert(&marker, text, when, worth_saying) {
        // Too long after all: GitHub counts in its own way.
        Err(ApiError::Refused { status: 422, message, .. }) if message.contains("too long") => {
            let short = comment::too_long(report, surroundings);
            conversation.upsert(&marker, &short, when, worth_saying)
        }
        result => result,
    }
}

fn check_run(
    target: &Target,
    report: &Report,
    surroundings: &Surroundings,
    text: &str,
    options: &Options,
    io: &mut Io,
) -> Result<()> {
    let accepted = surroundings.accepted.is_some();
    let unjudged = report.comparison.is_none() && options.if_no_baseline == IfNoBaseline::Fail;
    let conclusion = match (fails(report, accepted), options.fail_on) {
        (false, _) if unjudged => Conclusion::Failure,
        (false, _) => Conclusion::Success,
        (true, FailOn::Regression) => Conclusion::Failure,
        (true, FailOn::Never) => Conclusion::Neutral,
    };
    let check = CheckRun {
        name: &format!(
            "bench-diff {} {}",
            escape::short_line(&report.suite, 60),
            escape::short_line(&report.hardware, 60)
        ),
        head_sha: &target.pull.head_sha,
        run_id: target.context.measuring_run(),
        conclusion,
        title: &comment::headline(report),
        summary: text,
        details_url: &target.context.run_url(),
    };
    match checks::publish(&target.client, &target.context.repository, &check) {
        Ok(()) => {}
        Err(error) if matches!(error.status(), Some(403 | 404)) => {
            writeln!(io.err, "no check run: the job has no `checks: write` permission")?;
        }
        Err(error) => warn(io, &format!("no check run: {error}"))?,
    }
    Ok(())
}

/// A warning in the log, which a runner also shows on the run's page.
fn warn(io: &mut Io, message: &str) -> Result<()> {
    let annotation =
        Annotation { level: Level::Warning, title: "bench-diff".into(), message: escape::short_line(message, 600) };
    if std::env::var_os("GITHUB_ACTIONS").is_some() {
        write!(io.err, "{}", outputs::commands(&[annotation]))?;
    } else {
        writeln!(io.err, "warning: {}", annotation.message)?;
    }
    Ok(())
}

fn regressed(report: &Report) -> impl Iterator<Item = &Row> {
    let rows = report.comparison.iter().flat_map(|comparison| &comparison.rows);
    rows.filter(|row| row.verdict == Verdict::Regressed)
}

/// Cases that the baseline has and this measurement lacks: a gate that lets them pass can be passed by a crash.
fn lost(report: &Report) -> bool {
    let mut notes = report.comparison.iter().flat_map(|comparison| &comparison.notes);
    notes.any(|note| note.fails)
}

fn fails(report: &Report, accepted: bool) -> bool {
    lost(report) || (regressed(report).next().is_some() && !accepted)
}

fn annotations(report: &Report, fail_on: FailOn, accepted: bool) -> Vec<Annotation> {
    let level = if fail_on == FailOn::Regression && !accepted { Level::Error } else { Level::Warning };
    let regressions = regressed(report).map(|row| {
        let change = row.change.map_or_else(String::new, |change| format!(" changed by {:+.1}%", change * 100.0));
        Annotation {
            level,
            title: format!("bench-diff: regression in {}", escape::short_line(&row.case, 80)),
            message: format!("{}{change}", escape::short_line(&row.metric, 60)),
        }
    });
    let notes = report.comparison.iter().flat_map(|comparison| &comparison.notes);
    let lost = notes.filter(|note| note.fails).map(|note| Annotation {
        level: Level::Warning,
        title: format!("bench-diff: no numbers for {}", escape::short_line(&note.case, 80)),
        message: escape::short_line(&note.reason, 300),
    });
    regressions.chain(lost).collect()
}

/// Over all reports of a step.
#[derive(Default)]
struct Outcome {
    verdict: Option<Verdict>,
    counts: Counts,
    failing: bool,
    /// There is a report without a baseline.
    uncompared: bool,
    comments: Vec<String>,
}

impl Outcome {
    fn add(&mut self, report: &Report, accepted: bool) {
        self.failing |= fails(report, accepted);
        self.uncompared |= report.comparison.is_none();
        for row in report.comparison.iter().flat_map(|comparison| &comparison.rows) {
            let count = match row.verdict {
                Verdict::Regressed => &mut self.counts.regressed,
                Verdict::Improved => &mut self.counts.improved,
                Verdict::Inconclusive => &mut self.counts.inconclusive,
                Verdict::Unchanged => &mut self.counts.unchanged,
                Verdict::NotComparable => &mut self.counts.not_comparable,
            };
            *count += 1;
            self.verdict = self.verdict.max(Some(row.verdict));
        }
    }

    fn write(&self, files: &Files) -> Result<()> {
        let verdict = match self.verdict {
            Some(Verdict::Regressed) => "regressed",
            Some(Verdict::Improved) => "improved",
            Some(Verdict::Inconclusive) => "inconclusive",
            Some(Verdict::Unchanged) => "unchanged",
            Some(Verdict::NotComparable) => "not_comparable",
            None => "no_baseline",
        };
        for (name, value) in [
            ("verdict", verdict.to_owned()),
            ("regressed", self.counts.regressed.to_string()),
            ("improved", self.counts.improved.to_string()),
            ("inconclusive", self.counts.inconclusive.to_string()),
            ("unchanged", self.counts.unchanged.to_string()),
            ("comment-url", self.comments.join("\n")),
        ] {
            files.set(name, &value)?;
        }
        Ok(())
    }
}
