//! `bench-diff ci`

mod judging;
mod measured_how;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use super::publish::Publishing;
use super::{base, variable};
use crate::ci::{self, About, Base, BaseCommits, BaseError, Checkout, Local, Measured, Said, Search, Sides};
use crate::config::{self, CandleSource, Selection, Suite};
use crate::device::Machine;
use crate::error::{Advice, Error, Exit, Result};
use crate::escape;
use crate::files::Folder;
use crate::git;
use crate::github::event::Context;
use crate::io::Io;
use crate::measure::{End, Stop};
use crate::page::terminal;
use crate::plan::{self, Plan};
use crate::programs::{OwnEngines, Source};
use crate::publish::publish;
use crate::render::pull_request::{self, Surroundings};
use crate::report::{Caveats, Origin, Report};
use crate::results::Program;
use crate::{progress, render};

/// Measure this build, compare it with the baseline, and comment on the pull request
///
/// Runs a suite, compares it with the committed baseline of this hardware, and comments on the pull request that the
/// workflow run belongs to. Outside of a workflow, or without a token, it prints the comment instead.
///
/// Without a committed baseline for this hardware, the first run checks the machine: it measures the same build as base
/// and head, interleaved, and reports which changes this machine can detect. It keeps the build as a local baseline in
/// .bench-diff/; the next run measures the new build beside it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The directory that holds the baselines [default: baselines, beside the configuration file]
    #[arg(help_heading = SIDES, long, value_name = "DIR")]
    baseline: Option<PathBuf>,
    /// The program to judge [default: this one]
    #[arg(help_heading = SIDES, long, value_name = "PROGRAM")]
    head_binary: Option<PathBuf>,
    /// The program to judge it against. What looks changed against a baseline is measured again with both, interleaved;
    /// without a baseline, both are measured from the start
    #[arg(help_heading = SIDES, long, value_name = "PROGRAM")]
    base_binary: Option<PathBuf>,
    /// The command that builds the base: run at the root of a work tree of the commit where the branch left --base-ref.
    /// It has to leave the program there under the path of --head-binary
    #[arg(help_heading = SIDES, long, value_name = "COMMAND", requires = "head_binary", conflicts_with = "base_binary")]
    build_command: Option<String>,
    /// An environment variable to hand to builds (repeatable). Without it they get what compilers, cargo and CUDA need,
    /// and nothing else (docs/security.md)
    #[arg(help_heading = SIDES, long, value_name = "NAME")]
    build_env: Vec<String>,
    /// Judge this checkout of candle: head is bench-diff built against it, base is bench-diff built against the commit
    /// where the checkout's branch left --base-ref [default: `candle` in the configuration file]
    #[arg(help_heading = SIDES, long, value_name = "DIR", conflicts_with_all = ["head_binary", "base_binary"])]
    candle: Option<PathBuf>,
    /// bench-diff's own source, to build against candle [default: where this program was built]
    #[arg(help_heading = SIDES, long, value_name = "DIR", default_value = env!("CARGO_MANIFEST_DIR"), hide_default_value = true)]
    source: PathBuf,
    /// The branch or commit that the pull request goes into [default: from the event or from GitHub, else the default
    /// branch]
    #[arg(help_heading = SIDES, long, value_name = "REF")]
    base_ref: Option<String>,
    /// The tip of that branch, as `bench-diff base` found it
    #[arg(help_heading = SIDES, long, value_name = "COMMIT", value_parser = commit, conflicts_with = "base_ref")]
    base_commit: Option<String>,
    /// The commit where the pull request left that branch, as `bench-diff base` found it
    #[arg(help_heading = SIDES, long, value_name = "COMMIT", value_parser = commit, requires = "base_commit")]
    merge_base: Option<String>,
    /// Measure also where nothing of the pull request is in the program, as for a check of the machine. Without it, that is
    /// an error
    #[arg(help_heading = SIDES, long)]
    allow_unrelated: bool,
    /// Don't measure again
    #[arg(help_heading = CONFIRMING, long)]
    no_confirm: bool,
    /// Minutes that measuring again may take
    #[arg(help_heading = CONFIRMING, long, value_name = "MINUTES", default_value = "20", value_parser = minutes)]
    confirm_budget: Duration,
    /// Minutes that tracing what changed may take, to say which kernels got slower (docs/tracing.md); 0 traces nothing
    #[arg(help_heading = CONFIRMING, long, value_name = "MINUTES", default_value = "3", value_parser = minutes_or_none)]
    trace_budget: Duration,
    /// Resume an interrupted `ci` of the same build: keep the runs that its output directory holds
    #[arg(long)]
    resume: bool,
    /// Measure nothing, and report that nothing could be measured and why: for when an earlier step failed
    #[arg(long, value_name = "WHY", conflicts_with = "resume")]
    failed: Option<String>,
    /// Only measure and compare. `bench-diff publish` can comment later, also on another machine
    #[arg(long)]
    no_publish: bool,
    /// The directory for results.json and report.json [default: .bench-diff/latest, beside the configuration file]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// What to print [default: table on a terminal, else markdown]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// No progress while measuring
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    publishing: Publishing,
    #[command(flatten)]
    selection: Selection,
}

/// As long as a `ci` measures again that isn't told.
const CONFIRM_BUDGET: Duration = Duration::from_secs(20 * 60);

/// Headings of the help.
const SIDES: &str = "What to compare";
const CONFIRMING: &str = "Measuring again what looks changed";

const EXAMPLES: &str = "Examples:
  bench-diff ci
  bench-diff ci --suite h100-small --fail-on regression
  bench-diff ci --build-command 'cargo build --release' --head-binary target/release/bench-diff \\
      --base-ref origin/main
  bench-diff ci --candle ../candle --base-ref origin/main
  bench-diff ci --base-binary main/bench-diff --head-binary pr/bench-diff --output bench-results";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person at a terminal
    Table,
    /// The comment, if it isn't posted
    Markdown,
    /// The report, for programs
    Json,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let local = Local::in_directory(&config::directory(args.selection.config.as_deref()));
    // Before anything is built: another `ci` may be using the folder.
    let output = Folder::claim(&args.output.clone().unwrap_or_else(|| local.latest()))?;
    if args.output.is_some() {
        ci::check_whose(output.path())?;
    }
    // Whatever goes wrong from here on, no earlier report is taken for this measurement's.
    ci::clear(output.path(), args.resume)?;
    let ended = measure(args, local, &output, io);
    match ci::previous_report(output.path()) {
        Ok(Some(previous)) => writeln!(io.err, "the report of before is kept: {}", previous.display())?,
        Ok(None) => {}
        Err(error) => writeln!(io.err, "warning: {}", escape::line(&error.in_one_line()))?,
    }
    ended
}

fn measure(args: &Args, local: Local, output: &Folder, io: &mut Io) -> Result<Exit> {
    args.publishing.check()?;
    let suite = config::load_suite(&args.selection, &Machine::here())?;
    let (suite, plan) = plan::here(suite)?;
    let context = base::context(io)?;
    let sides = sides(args, &suite, &local);
    let about = about(args, &suite, context.as_ref(), &sides);
    let mut job = Job { args, suite, plan, local, output, context, sides, about };
    match job.measure(io) {
        Ok(measured) => job.tell_all(&measured, io),
        Err(error) => {
            job.tell_failure(&error, io)?;
            Err(error)
        }
    }
}

fn sides(args: &Args, suite: &Suite, local: &Local) -> Sides {
    let candle = args.candle.clone().map(|path| CandleSource::Checkout { path }).or_else(|| suite.candle.clone());
    Sides::from(Said {
        head: args.head_binary.clone(),
        base: args.base_binary.clone(),
        build_command: args.build_command.clone(),
        env: args.build_env.clone(),
        candle,
        engines: OwnEngines::of(suite, &args.selection, &args.build_env, local.builds()),
        config: config::path(&args.selection),
        source: Source::at(&args.source),
        cache: local.builds(),
    })
}

/// The commit that the event names; else the one that is checked out.
fn about(args: &Args, suite: &Suite, context: Option<&Context>, sides: &Sides) -> About {
    let origin = context.map(Context::origin).unwrap_or_default();
    let commit = origin.commit.or_else(|| git::commit(&sides.repository(), "HEAD").ok());
    let pull_request = context.and_then(Context::pull_request_number);
    let unrelated = || ci::is_unrelated(sides, suite, &Program::this(), &commits_of_pull_request(commit.as_ref()));
    // At a desk, who names a base asks what a branch does to a program of this repository.
    let at_desk = context.is_none() && args.base_ref.is_some() && suite.has_only_engines_of_others();
    let unrelated = (pull_request.is_some() || at_desk) && unrelated();
    let caveats = Caveats { unrelated, ..Caveats::default() };
    About { pull_request, origin: Origin { commit, ..origin }, caveats, reproduction: None }
}

/// Its head, and what is checked out or started the run: of some events, its merge with its base.
fn commits_of_pull_request(head: Option<&String>) -> Vec<String> {
    let checked_out = git::commit(Path::new("."), "HEAD").ok();
    head.into_iter().cloned().chain(checked_out).chain(variable("GITHUB_SHA")).collect()
}

/// What the flags, the configuration and the event say.
struct Job<'a> {
    args: &'a Args,
    suite: Suite,
    plan: Plan,
    local: Local,
    output: &'a Folder,
    context: Option<Context>,
    sides: Sides,
    about: About,
}

impl Job<'_> {
    fn measure(&mut self, io: &mut Io) -> Result<Measured> {
        if let Some(why) = &self.args.failed {
            return Err(Error::measurement(escape::short_line(why, 600)));
        }
        ci::begin(self.output, &self.checkout(), self.args.resume)?;
        self.check_relation()?;
        if self.sides.engines().is_some() {
            // Work trees lie there, and git would take them for a part of this one.
            self.local.hide()?;
        }
        let commits = commits(self.args, &self.sides, self.context.as_ref(), io)?;
        self.relate_to_base(&commits)?;
        let Self { args, sides, .. } = &*self;
        let directory = config::directory(args.selection.config.as_deref());
        let (committed, doubt) = self.committed(&directory, &commits)?;
        let (suite, about, taken_out) = self.as_the_base_judges(&commits);
        let head = sides.head(&suite)?.worker()?;
        let base = sides.base(&commits.merge_base)?.without_engines_of_others(&suite);
        if let Base::OutOfReach(why) | Base::Absent(why) = &base {
            writeln!(io.err, "not measuring the base: {}", escape::line(why))?;
        }
        let request = ci::Request {
            suite: &suite,
            refused: self.plan.refused(),
            head,
            base,
            engines: sides.engines().cloned(),
            warnings: doubt.into_iter().collect(),
            confirm: !args.no_confirm,
            confirm_budget: args.confirm_budget,
            trace_budget: args.trace_budget,
            resume: args.resume,
            taken_out,
            about: About { reproduction: Some(self.reproduction(&commits)), ..about },
            committed,
            local: self.local.clone(),
            output: self.output,
        };
        let mut observer = progress::observer(args.quiet, self.plan.seconds_by_case(), io.err.raw());
        ci::measure_and_compare(&request, observer.as_mut(), Stop::on_signals())
    }

    /// Of a pull request that may be another commit than its head: a merge with its base, which moves. What git can't tell
    /// is as unknown the next time.
    fn checkout(&self) -> Checkout {
        let repository = self.sides.repository();
        let commit = git::commit(&repository, "HEAD").ok().or_else(|| self.about.origin.commit.clone());
        Checkout { commit, changes: git::changes(&repository).unwrap_or_default() }
    }

    fn tell_all(&self, Measured { report, end, remarks }: &Measured, io: &mut Io) -> Result<Exit> {
        if let Some(why) = report.failure() {
            self.publish_failure(report, io)?;
            self.print_failure(report, io)?;
            return match end {
                End::Complete => Err(Error::measurement(why)),
                End::Stopped => {
                    writeln!(io.err, "{why}")?;
                    Ok(Exit::Interrupted)
                }
            };
        }
        let exit = if self.args.no_publish { Exit::Success } else { tell(self.args, report, io)? };
        let output = self.output.path().display();
        if *end == End::Stopped {
            writeln!(
                io.err,
                "stopped; the report covers what was measured, in {output}; continue with the same command and --resume"
            )?;
            return Ok(Exit::Interrupted);
        }
        for remark in remarks {
            writeln!(io.err, "{remark}")?;
        }
        if report.base().is_none() {
            let results = self.output.join("results.json");
            writeln!(
                io.err,
                "to compare pull requests with it, commit it: bench-diff baseline update {}",
                results.display()
            )?;
        }
        Ok(exit)
    }

    /// The error that ended the measurement is reported last; what else goes wrong must not hide it.
    fn tell_failure(&self, error: &Error, io: &mut Io) -> Result<()> {
        match ci::report_failure(&self.suite, &self.about, self.output, &error.in_one_line()) {
            Ok(report) => {
                self.publish_failure(&report, io)?;
                // Of wrong arguments nothing is published.
                if error.exit == Exit::Measurement { self.print_failure(&report, io) } else { Ok(()) }
            }
            Err(error) => writeln!(io.err, "warning: {}", escape::line(&error.in_one_line())),
        }
    }

    fn publish_failure(&self, report: &Report, io: &mut Io) -> Result<()> {
        if self.args.no_publish || self.context.is_none() {
            return Ok(());
        }
        let mut sink = std::io::sink();
        let mut io = Io::new(&mut sink, io.err.raw());
        let options = self.args.publishing.options();
        match publish(std::slice::from_ref(report), &options, &variable, &mut io) {
            Ok(_) => Ok(()),
            Err(error) => writeln!(io.err, "warning: {}", escape::line(&error.in_one_line())),
        }
    }

    /// At a desk, what would be published of a measurement that failed. The error alone is enough for a person.
    fn print_failure(&self, report: &Report, io: &mut Io) -> Result<()> {
        let at_desk = !self.args.no_publish && self.context.is_none();
        match format(self.args) {
            Format::Markdown if at_desk => io.out.text(&pull_request::comment(report, &Surroundings::default())),
            Format::Json if at_desk => io.out.json(report),
            _ => Ok(()),
        }
    }
}

fn commit(text: &str) -> Result<String, String> {
    if git::is_commit(text) { Ok(text.to_owned()) } else { Err("not the hexadecimal name of a commit".into()) }
}

fn minutes(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= 1440.0 => Ok(Duration::from_secs_f64(minutes * 60.0)),
        Ok(0.0) => Err("must be above 0: with --no-confirm nothing is measured again".into()),
        _ => Err("must be a number of minutes above 0 and up to 1440 (a day), such as 20".into()),
    }
}

fn minutes_or_none(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(0.0) => Ok(Duration::ZERO),
        _ => minutes(text).map_err(|_| "must be a number of minutes up to 1440 (a day), such as 3; 0 for none".into()),
    }
}

/// The commits of the base, as an earlier step found them, or looked for here.
fn commits(args: &Args, sides: &Sides, context: Option<&Context>, io: &mut Io) -> Result<BaseCommits> {
    let repository = sides.repository();
    if let Some(tip) = &args.base_commit {
        let known = |repository: &Path, commit: &str| {
            let lacking = || BaseError::LackingIn { repository: repository.to_owned(), commit: commit.to_owned() };
            git::commit(repository, commit).map_err(|_| lacking())
        };
        let merge_base = match &args.merge_base {
            Some(commit) => known(&repository, commit),
            None => Err(BaseError::NoMergeBase(tip.clone())),
        };
        return Ok(BaseCommits { tip: known(Path::new("."), tip), merge_base });
    }
    let client = context.map(|context| base::client(context, variable)).transpose();
    let client = client.or_else(|error| writeln!(io.err, "warning: {}", error.in_one_line()).map(|()| None))?.flatten();
    let search = |repository: &Path| {
        let (client, base_ref) = (client.as_ref(), args.base_ref.as_deref());
        Search { context, client, base_ref, pr_number: None, repository }.run()
    };
    if repository == Path::new(".") {
        return search(&repository).map_err(|error| Error::of(Exit::Usage, error));
    }
    // The baselines are here, the base is there.
    let here = search(Path::new(".")).unwrap_or_else(BaseCommits::unknown);
    let there = search(&repository).map_err(|error| Error::of(Exit::Usage, error))?;
    Ok(BaseCommits { tip: here.tip, merge_base: there.merge_base })
}

/// Who sits at a terminal reads tables; what is piped goes where Markdown is read.
fn format(args: &Args) -> Format {
    args.format.unwrap_or(if terminal::is_stdout() { Format::Table } else { Format::Markdown })
}

/// Publishes the report, and prints it in the wanted format.
fn tell(args: &Args, report: &Report, io: &mut Io) -> Result<Exit> {
    let options = args.publishing.options();
    let reports = std::slice::from_ref(report);
    let format = format(args);
    if format == Format::Markdown {
        return publish(reports, &options, &variable, io);
    }
    let exit = publish(reports, &options, &variable, &mut Io::new(&mut std::io::sink(), io.err.raw()))?;
    match format {
        Format::Json => io.out.json(report)?,
        _ => io.out.text(&table(report))?,
    }
    Ok(exit)
}

fn table(report: &Report) -> String {
    let pages: Vec<String> = render::report_tables::pages(report).iter().map(terminal::for_stdout).collect();
    pages.join("\n")
}
