//! `bench-diff publish`

use std::path::{Path, PathBuf};

use super::variable;
use crate::error::{Error, Exit, Result};
use crate::escape;
use crate::files::Output;
use crate::flags;
use crate::github::sticky::When;
use crate::io::Io;
use crate::publish::{FailOn, IfNoBaseline, Options, publish, publish_nothing};
use crate::report::{self, Report};

/// More than any measurement makes. An artifact of a fork may hold anything.
const MAX_REPORTS: usize = 16;
const MAX_ENTRIES: usize = 10_000;
const MAX_DEPTH: usize = 3;

/// Report what was measured to a pull request: comment, check run, summary, annotations, outputs
///
/// Reads the `report.json` files that `bench-diff ci` wrote, perhaps on a machine that nobody trusts: it takes only numbers
/// and names from them, and writes every sentence anew. Which pull request it is comes from the event of the workflow run;
/// after `workflow_run`, it must be one whose head is the commit that was measured.
///
/// Outside of a workflow it prints the comment. What GitHub refuses becomes a warning: the exit code depends on the verdict
/// alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bench-diff publish --results bench-results                        # in a workflow
  bench-diff publish --results bench-results --fail-on regression   # and end with exit code 1
  bench-diff publish --results bench-results > comment.md           # outside of a workflow
  bench-diff publish --failed 'the artifact is missing' --fail-on never   # nothing to compare")]
pub struct Args {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    publishing: Publishing,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// The directory that holds the reports, up to 3 levels deep
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// There are no reports: say that nothing was measured, and why, in the comments of earlier runs as well
    #[arg(long, value_name = "WHY")]
    failed: Option<String>,
}

/// Flags of every command that publishes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Publishing")]
pub struct Publishing {
    /// When to comment on the pull request
    #[arg(long, value_parser = flags::word::<When>(), default_value = "always", value_name = "WHEN")]
    comment: When,
    /// What makes the exit code 1: regression, missing, not-comparable, inconclusive, counters (several with commas), or never
    #[arg(long, default_value = FailOn::DEFAULT, value_name = "WHAT")]
    fail_on: FailOn,
    /// What to do without a baseline for this hardware
    #[arg(long, value_parser = flags::word::<IfNoBaseline>(), default_value = "warn", value_name = "WHAT")]
    if_no_baseline: IfNoBaseline,
    /// Also write the whole report as Markdown to this file
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// The pull request, if the event doesn't name one
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pr_number: Option<u64>,
    /// Don't set a check run
    #[arg(long)]
    no_check_run: bool,
}

impl Publishing {
    /// Fails where the summary couldn't be written: for who measures first.
    pub fn check(&self) -> Result<()> {
        self.summary.as_deref().map_or(Ok(()), |path| Output::wait_for(path).map(drop))
    }

    pub fn options(&self) -> Options {
        Options {
            comment: self.comment,
            fail_on: self.fail_on.clone(),
            if_no_baseline: self.if_no_baseline,
            summary: self.summary.clone(),
            pr_number: self.pr_number,
            check_run: !self.no_check_run,
        }
    }
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let options = args.publishing.options();
    match &args.what {
        What { results: Some(results), .. } => publish(&read_all(results)?, &options, &variable, io),
        What { failed, .. } => {
            let why = escape::short_line(failed.as_deref().unwrap_or_default(), 600);
            publish_nothing(&why, &options, &variable, io)
        }
    }
}

fn read_all(directory: &Path) -> Result<Vec<Report>> {
    let mut paths = Vec::new();
    find(directory, MAX_DEPTH, &mut 0, &mut paths).map_err(|error| Error::reading(directory, error))?;
    paths.sort();
    match paths.len() {
        0 => {
            let place = directory.display();
            Err(Error::usage(format!("no report.json in {place}"))
                .hint(format!("`bench-diff ci --output {place}` writes it")))
        }
        1..=MAX_REPORTS => paths.iter().map(|path| report::read(path)).collect(),
        many => Err(Error::usage(format!("{many} reports in {}; at most {MAX_REPORTS}", directory.display()))),
    }
}

/// Regular files only: a link could lead anywhere.
fn find(directory: &Path, depth: usize, seen: &mut usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        *seen += 1;
        if *seen > MAX_ENTRIES {
            return Err(std::io::Error::other(format!("more than {MAX_ENTRIES} files")));
        }
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            find(&entry.path(), depth - 1, seen, found)?;
        } else if kind.is_file() && entry.file_name() == "report.json" {
            found.push(entry.path());
        }
    }
    Ok(())
}
