//! `bench-diff ci`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use super::base;
use super::publish::Publishing;
use crate::baseline::{self, Store};
use crate::ci::{self, About, Base, BaseCommits, Local, Measured, Search, Sides};
use crate::config::{self, CandleSource, Selection, Suite};
use crate::device::Machine;
use crate::error::{Error, Exit, Result};
use crate::escape;
use crate::files::Folder;
use crate::git;
use crate::github::event::Context;
use crate::io::Io;
use crate::measure::{End, Stop};
use crate::page::terminal;
use crate::plan::{self, Plan};
use crate::programs::Source;
use crate::publish::publish;
use crate::report::{Origin, Report};
use crate::{progress, render};

/// Measure this build, compare it with the baseline, and tell the pull request
///
/// Plans and runs a suite, compares it with the committed baseline of this hardware, and comments on the pull request
/// that the workflow run belongs to. Anywhere else, or without a token, the comment goes to standard output.
///
/// Without a committed baseline for this hardware the first run checks the machine: it measures the same build as base
/// and head, interleaved, says which changes this machine can tell, and keeps it as a local baseline in .bench-diff/: the
/// next run measures the new build beside it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The directory of baselines [default: baselines, beside the configuration]
    #[arg(long, value_name = "DIR")]
    baseline: Option<PathBuf>,
    /// The build to judge [default: this one]
    #[arg(long, value_name = "PROGRAM")]
    head_binary: Option<PathBuf>,
    /// A build to measure it against, interleaved: settles what looks changed against a baseline, and stands in for one
    #[arg(long, value_name = "PROGRAM")]
    base_binary: Option<PathBuf>,
    /// Build the base with this command, at the root of a work tree of the commit where the branch left --base-ref; the
    /// program is then --head-binary's path in there
    #[arg(long, value_name = "COMMAND", requires = "head_binary", conflicts_with = "base_binary")]
    build_command: Option<String>,
    /// One more variable of this environment that building gets; repeat for several. Builds get what compilers, cargo
    /// and CUDA need, and nothing else (docs/security.md)
    #[arg(long, value_name = "NAME")]
    build_env: Vec<String>,
    /// Judge this checkout of candle: bench-diff is built against it, and for the base against the commit where the
    /// branch left --base-ref [default: `candle` in the configuration]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["head_binary", "base_binary"])]
    candle: Option<PathBuf>,
    /// bench-diff's own source, to build against candle
    #[arg(long, value_name = "DIR", default_value = env!("CARGO_MANIFEST_DIR"), hide_default_value = true)]
    source: PathBuf,
    /// The branch or commit that the pull request goes into [default: the event's]
    #[arg(long, value_name = "REF")]
    base_ref: Option<String>,
    /// The tip of that branch, as `bench-diff base` found it
    #[arg(long, value_name = "COMMIT", value_parser = commit, conflicts_with = "base_ref")]
    base_commit: Option<String>,
    /// Where the pull request left it, as `bench-diff base` found it
    #[arg(long, value_name = "COMMIT", value_parser = commit, requires = "base_commit")]
    merge_base: Option<String>,
    /// Don't measure again what looks changed
    #[arg(long)]
    no_confirm: bool,
    /// Minutes for measuring again
    #[arg(long, value_name = "MINUTES", default_value = "20", value_parser = minutes)]
    confirm_budget: Duration,
    /// Carry on with an interrupted `ci` of the same build: what its output directory holds is not measured again
    #[arg(long)]
    resume: bool,
    /// Measure nothing: report that nothing could be measured, and why. For a step before this one that failed
    #[arg(long, value_name = "WHY", conflicts_with = "resume")]
    failed: Option<String>,
    /// Only measure and compare: `bench-diff publish` tells the pull request later, on another machine perhaps
    #[arg(long)]
    no_publish: bool,
    /// The directory for results.json and report.json [default: .bench-diff/latest, beside the configuration]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// What to print where nothing is published
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Say nothing while measuring
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    publishing: Publishing,
    #[command(flatten)]
    selection: Selection,
}

const EXAMPLES: &str = "Examples:
  bench-diff ci
  bench-diff ci --suite h100-small --fail-on regression
  bench-diff ci --build-command 'cargo build --release' --head-binary target/release/bench-diff --base-ref origin/main
  bench-diff ci --candle ../candle --base-ref origin/main
  bench-diff ci --base-binary main/bench-diff --head-binary pr/bench-diff --output bench-results";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The comment
    #[default]
    Markdown,
    /// For a terminal
    Table,
    /// The report, for programs
    Json,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let local = Local::in_directory(&config::directory(&args.selection));
    // Before anything is built: another `ci` may be at it.
    let output = Folder::claim(&args.output.clone().unwrap_or_else(|| local.latest()))?;
    // Whatever goes wrong from here on, no earlier report is taken for this measurement's.
    ci::clear(output.path(), args.resume)?;
    let suite = config::load_suite(&args.selection, &Machine::here())?;
    let (suite, plan) = plan::here(suite)?;
    let context = base::context(io)?;
    let sides = sides(args, &suite, &local);
    let about = about(context.as_ref(), &sides);
    let job = Job { args, suite, plan, local, output, context, sides, about };
    match job.measure(io) {
        Ok(measured) => job.tell_all(&measured, io),
        Err(error) => {
            job.tell_failure(error.message(), io)?;
            Err(error)
        }
    }
}

fn sides(args: &Args, suite: &Suite, local: &Local) -> Sides {
    Sides {
        head_binary: args.head_binary.clone(),
        base_binary: args.base_binary.clone(),
        build_command: args.build_command.clone(),
        build_env: args.build_env.clone(),
        candle: args.candle.clone().map(|path| CandleSource::Checkout { path }).or_else(|| suite.candle.clone()),
        config: config::path(&args.selection),
        source: Source::at(&args.source),
        cache: local.builds(),
    }
}

/// The commit that the event names; else the one that is checked out.
fn about(context: Option<&Context>, sides: &Sides) -> About {
    let origin = context.map(Context::origin).unwrap_or_default();
    let commit = origin.commit.or_else(|| git::commit(&sides.repository(), "HEAD").ok());
    About { pull_request: context.and_then(Context::pull_request_number), origin: Origin { commit, ..origin } }
}

/// What the flags, the configuration and the event say.
struct Job<'a> {
    args: &'a Args,
    suite: Suite,
    plan: Plan,
    local: Local,
    output: Folder,
    context: Option<Context>,
    sides: Sides,
    about: About,
}

impl Job<'_> {
    fn measure(&self, io: &mut Io) -> Result<Measured> {
        let Self { args, sides, context, .. } = self;
        if let Some(why) = &args.failed {
            return Err(Error::measurement(escape::short_line(why, 600)));
        }
        let commits = commits(args, sides, context.as_ref(), io)?;
        let head = sides.head()?.worker()?;
        let directory = config::directory(&args.selection);
        let (committed, doubt) = committed(args, &directory, &self.local, &commits, context.is_some())?;
        let base = sides.base(commits.merge_base.as_deref().map_err(Clone::clone))?;
        if let Base::OutOfReach(why) = &base {
            writeln!(io.err, "not measuring the base: {}", escape::line(why))?;
        }
        let request = ci::Request {
            suite: &self.suite,
            refused: self.plan.refused(),
            head,
            base,
            warnings: doubt.into_iter().collect(),
            confirm: !args.no_confirm,
            confirm_budget: args.confirm_budget,
            resume: args.resume,
            about: self.about.clone(),
            committed,
            local: self.local.clone(),
            output: &self.output,
        };
        let mut observer = progress::observer(args.quiet, self.plan.seconds_by_case(), io.err);
        ci::measure_and_compare(&request, observer.as_mut(), Stop::on_signals())
    }

    fn tell_all(&self, Measured { report, end, remarks }: &Measured, io: &mut Io) -> Result<Exit> {
        if let Some(why) = &report.failure {
            self.publish_failure(report, io)?;
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
                "stopped; the report is about what was measured, in {output}; carry on with the same command and --resume"
            )?;
            return Ok(Exit::Interrupted);
        }
        for remark in remarks {
            writeln!(io.err, "{remark}")?;
        }
        if report.base.is_none() {
            let results = self.output.join("results.json");
            writeln!(
                io.err,
                "to compare pull requests with it, commit it: bench-diff baseline update {}",
                results.display()
            )?;
        }
        Ok(exit)
    }

    /// The error that ended the measurement is told last; what else goes wrong must not hide it.
    fn tell_failure(&self, why: &str, io: &mut Io) -> Result<()> {
        match ci::report_failure(&self.suite, &self.about, &self.output, why) {
            Ok(report) => self.publish_failure(&report, io),
            Err(error) => Ok(writeln!(io.err, "warning: {}", escape::line(error.message()))?),
        }
    }

    fn publish_failure(&self, report: &Report, io: &mut Io) -> Result<()> {
        if self.args.no_publish || self.context.is_none() {
            return Ok(());
        }
        let mut io = Io { out: &mut std::io::sink(), err: io.err };
        let options = self.args.publishing.options();
        match publish(std::slice::from_ref(report), &options, &|name| std::env::var(name).ok(), &mut io) {
            Ok(_) => Ok(()),
            Err(error) => Ok(writeln!(io.err, "warning: {}", escape::line(error.message()))?),
        }
    }
}

fn commit(text: &str) -> std::result::Result<String, String> {
    if git::is_commit(text) { Ok(text.to_owned()) } else { Err("not the hexadecimal name of a commit".into()) }
}

fn minutes(text: &str) -> std::result::Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= 1440.0 => Ok(Duration::from_secs_f64(minutes * 60.0)),
        _ => Err("not a number of minutes up to 1440 (a day)".into()),
    }
}

/// The commits of the base, as an earlier step found them, or looked for here.
fn commits(args: &Args, sides: &Sides, context: Option<&Context>, io: &mut Io) -> Result<BaseCommits> {
    let repository = sides.repository();
    if let Some(tip) = &args.base_commit {
        let known = |repository: &Path, commit: &str| {
            git::commit(repository, commit).map_err(|_| format!("{} lacks the commit {commit}", repository.display()))
        };
        let merge_base = match &args.merge_base {
            Some(commit) => known(&repository, commit),
            None => Err(format!("where the branch left {tip} is not known; check out with `fetch-depth: 0`")),
        };
        return Ok(BaseCommits { tip: known(Path::new("."), tip), merge_base });
    }
    let client = context.map(|context| base::client(context, |name| std::env::var(name).ok())).transpose();
    let client = client.or_else(|error| writeln!(io.err, "warning: {error}").map(|()| None))?.flatten();
    let search = |repository: &Path| {
        let (client, base_ref) = (client.as_ref(), args.base_ref.as_deref());
        Search { context, client, base_ref, pr_number: None, repository }.run()
    };
    if repository == Path::new(".") {
        return search(&repository);
    }
    // The baselines are here, the base is there.
    let here = search(Path::new(".")).unwrap_or_else(|error| BaseCommits::unknown(error.message()));
    Ok(BaseCommits { tip: here.tip, merge_base: search(&repository)?.merge_base })
}

/// The baselines that count: in a workflow those of the pull request's base, as the pull request could have changed the
/// checkout's. And what to say where these have to do.
fn committed(
    args: &Args,
    directory: &Path,
    local: &Local,
    commits: &BaseCommits,
    in_workflow: bool,
) -> Result<(Store, Option<String>)> {
    let here = args.baseline.clone().unwrap_or_else(|| directory.join(baseline::DIRECTORY));
    if !in_workflow && args.base_commit.is_none() {
        return Ok((Store::new(here), None));
    }
    let tip = match &commits.tip {
        Ok(tip) => tip,
        Err(why) => {
            let doubt = format!("judged by the checkout's baselines, which a pull request could change: {why}");
            return Ok((Store::new(here), Some(doubt)));
        }
    };
    let to = local.of_base(tip);
    let failed = |error| Error::usage(format!("can't take the baselines of {tip}: {error}"));
    let base = ci::baselines_of(tip, &here, &to).map_err(failed)?;
    let doubt = base.is_none().then(|| format!("judged by the checkout's baselines, as the base ({tip}) has none"));
    Ok((Store::new(base.unwrap_or(here)), doubt))
}

/// Publishes the report, and prints it in the wanted format.
fn tell(args: &Args, report: &Report, io: &mut Io) -> Result<Exit> {
    let options = args.publishing.options();
    let variable = |name: &str| std::env::var(name).ok();
    let reports = std::slice::from_ref(report);
    if args.format == Format::Markdown {
        return publish(reports, &options, &variable, io);
    }
    let exit = publish(reports, &options, &variable, &mut Io { out: &mut std::io::sink(), err: io.err })?;
    match args.format {
        Format::Json => writeln!(io.out, "{}", serde_json::to_string_pretty(report).map_err(Error::usage)?)?,
        _ => io.out.write_all(table(report).as_bytes())?,
    }
    Ok(exit)
}

fn table(report: &Report) -> String {
    let numbers = || terminal::for_stdout(&render::run::page(&report.head));
    match (&report.comparison, &report.calibration) {
        (Some(comparison), _) => terminal::for_stdout(&render::comparison::page(comparison)),
        (None, Some(calibration)) => {
            format!("{}\n{}", numbers(), terminal::for_stdout(&render::calibration::page(calibration)))
        }
        (None, None) => numbers(),
    }
}
