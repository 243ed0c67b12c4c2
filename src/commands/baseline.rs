//! `bench-diff baseline`

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::format::Format;
use crate::baseline::{self, Entry, Findings, Store};
use crate::config;
use crate::error::{Error, Exit, Result};
use crate::io::Io;
use crate::page::terminal;
use crate::plural::counted;
use crate::render;
use crate::results;
use crate::suggest;

/// Keep results to compare with: update, list, show, verify
///
/// There is one baseline per suite and hardware: the file DIR/SUITE/HARDWARE.json, which holds several sessions. It takes
/// sessions of five occasions, at least 6 hours apart, to tell a change from the drift of the machine. Commit the
/// directory.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// The directory that holds the baselines [default: baselines, beside the configuration file]
    #[arg(long, global = true, value_name = "DIR")]
    baseline: Option<PathBuf>,
    /// Configuration file: what has no other place lies beside it [default: bench-diff.toml here or in a parent directory;
    /// without one, this directory]
    #[arg(long, global = true, value_name = "FILE", env = "BENCH_DIFF_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  bench-diff run --output results.json && bench-diff baseline update results.json
  bench-diff baseline list
  bench-diff baseline verify     # in the CI of the repository that holds the baselines";

const UPDATE_EXAMPLES: &str = "Examples:
  bench-diff baseline update results.json
  bench-diff baseline update results.json --replace          # after a change of speed was merged
  bench-diff baseline update results.json --release v1.2.0   # kept for good";

const LIST_EXAMPLES: &str = "Examples:
  bench-diff baseline list
  bench-diff baseline list --format json";

const SHOW_EXAMPLES: &str = "Examples:
  bench-diff baseline show
  bench-diff baseline show h100-small/nvidia-h100-80gb-hbm3";

const VERIFY_EXAMPLES: &str = "Examples:
  bench-diff baseline verify
  bench-diff baseline verify --baseline benchmarks/baselines";

#[derive(Debug, Subcommand)]
enum Action {
    /// Add the sessions of results files to the baselines of their suites and hardware
    ///
    /// Sessions of another build whose numbers differ by more than noise are refused, and the cells are named: mixed, they
    /// would pass for drift of the machine. --replace starts anew; a new --label keeps them together.
    Update(Update),
    /// List all baselines
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// How to print the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Show the numbers of a baseline's newest session
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The name that `list` shows: SUITE/HARDWARE or SUITE/releases/TAG/HARDWARE [default: the only one]
        name: Option<String>,
    },
    /// Check that all files can be read, are small enough, and hold what their names say
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify,
}

#[derive(Debug, clap::Args)]
#[command(after_help = UPDATE_EXAMPLES)]
struct Update {
    /// Files that `bench-diff run` or `bench-diff ci` wrote
    #[arg(required = true, value_name = "RESULTS")]
    files: Vec<PathBuf>,
    /// What the results stand for, such as a version; shown in comparisons
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Drop the sessions that the baseline holds, and keep only those of the given files
    #[arg(long, conflicts_with = "release")]
    replace: bool,
    /// Keep the results as the baseline of this release, which never changes again
    #[arg(long, value_name = "TAG")]
    release: Option<String>,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let usual = || config::directory(args.config.as_deref()).join(baseline::DIRECTORY);
    let store = Store::new(args.baseline.clone().unwrap_or_else(usual));
    match &args.action {
        Action::Update(update) => self::update(&store, update, io),
        // One that is named, and isn't the usual one, which may not be there yet.
        Action::List { .. } | Action::Show { .. } | Action::Verify
            if args.baseline.is_some() && !store.root().is_dir() =>
        {
            Err(Error::usage(format!("there is no directory {}", store.root().display()))
                .hint("name the one that holds the baselines with --baseline"))
        }
        Action::List { format } => list(&store, *format, io),
        Action::Show { name } => show(&store, name.as_deref(), io),
        Action::Verify => verify(&store, io),
    }
}

fn update(store: &Store, args: &Update, io: &mut Io) -> Result<Exit> {
    let label = args.label.as_deref();
    let files = args.files.iter().map(|file| results::read(file)).collect::<Result<Vec<_>>>()?;
    let changes = match &args.release {
        Some(tag) => store.keep_release(files, tag, label)?,
        None => store.update_all(files, label, args.replace)?,
    };
    io.out.text(&terminal::for_stdout(&render::baseline::update(&changes)))?;
    Ok(Exit::Success)
}

fn list(store: &Store, format: Format, io: &mut Io) -> Result<Exit> {
    let entries = store.list()?;
    match format {
        Format::Json => io.out.json(&entries)?,
        Format::Table if entries.is_empty() => writeln!(io.err, "{}\n  hint: {HOW_TO_MAKE_ONE}", none(store))?,
        Format::Table => io.out.text(&terminal::for_stdout(&render::baseline::list(&entries, store.root())))?,
    }
    Ok(Exit::Success)
}

fn none(store: &Store) -> String {
    format!("no baselines in `{}`", store.root().display())
}

const HOW_TO_MAKE_ONE: &str = "measure with `bench-diff run`, then `bench-diff baseline update results.json`";

fn show(store: &Store, name: Option<&str>, io: &mut Io) -> Result<Exit> {
    let entries = store.list()?;
    let entry = match name {
        Some(name) => entries.iter().find(|entry| entry.name() == name),
        None if entries.len() > 1 => None,
        None => entries.first(),
    };
    let Some(entry) = entry else {
        let names: Vec<_> = entries.iter().map(Entry::name).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        return Err(match name {
            _ if entries.is_empty() => Error::usage(none(store)).hint(HOW_TO_MAKE_ONE),
            Some(name) => Error::usage(format!("no baseline `{name}`")).hint(suggest::hint(name, &names)),
            None => Error::usage("there are several baselines").hint(format!("name {}", suggest::one_of(&names))),
        });
    };
    let results = results::read(Path::new(&entry.path))?;
    io.out.text(&terminal::for_stdout(&render::baseline::show(&results, &entry.path)))?;
    Ok(Exit::Success)
}

fn verify(store: &Store, io: &mut Io) -> Result<Exit> {
    let findings = baseline::verify(store)?;
    if findings.problems.is_empty() {
        io.out.text(&terminal::for_stdout(&render::baseline::verified(&findings, store.root())))?;
        return Ok(Exit::Success);
    }
    let Findings { files, problems, .. } = findings;
    let (problem, baseline) = (counted(problems.len(), "problem"), counted(files, "baseline"));
    Err(Error::usage(format!("{problem} in {baseline}:")).with_details(problems))
}
