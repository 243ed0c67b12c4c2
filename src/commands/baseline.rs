//! `bench-diff baseline`

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::format::Format;
use crate::baseline::{self, Change, Entry, Findings, Store};
use crate::error::{Error, Exit, Result};
use crate::io::Io;
use crate::page::terminal;
use crate::plural::counted;
use crate::render;
use crate::results::{self, Occasions};

/// Keep results to compare with: update, list, show, verify
///
/// A baseline is one file for each suite and hardware, DIR/SUITE/HARDWARE.json, and holds several sessions: those of
/// five occasions, at least 6 hours apart, tell a change from the drift of the machine. Commit the directory.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// The directory of baselines
    #[arg(long, global = true, value_name = "DIR", default_value = baseline::DIRECTORY)]
    baseline: PathBuf,
}

const EXAMPLES: &str = "Examples:
  bench-diff run --output results.json && bench-diff baseline update results.json
  bench-diff baseline update results.json --replace          after a change of speed was merged
  bench-diff baseline update results.json --release v1.2.0   never changed again
  bench-diff baseline list
  bench-diff baseline verify                                 in the CI of the repository that holds them";

#[derive(Debug, Subcommand)]
enum Action {
    /// Add the sessions of results files to the baselines of their suites and hardware
    Update(Update),
    /// List all baselines
    List {
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Show the numbers of a baseline's newest session
    Show {
        /// As `list` names it: SUITE/HARDWARE, SUITE/releases/TAG/HARDWARE; not needed if there is only one
        name: Option<String>,
    },
    /// Check that all files can be read, are small enough, and hold what their names say
    Verify,
}

#[derive(Debug, clap::Args)]
struct Update {
    /// Files that `bench-diff run` or `bench-diff ci` wrote
    #[arg(required = true, value_name = "RESULTS")]
    files: Vec<PathBuf>,
    /// What the results stand for, such as a version; shown in comparisons
    #[arg(long)]
    label: Option<String>,
    /// Forget the sessions that are there: only those of the given files are kept
    #[arg(long, conflicts_with = "release")]
    replace: bool,
    /// Keep them as the baseline of this release, which is never changed again
    #[arg(long, value_name = "TAG")]
    release: Option<String>,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let store = Store::new(&args.baseline);
    match &args.action {
        Action::Update(update) => self::update(&store, update, io),
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
    for change in &changes {
        writeln!(io.out, "{}", told(change))?;
        if let Some(remark) = baseline::lacking(&change.occasions) {
            writeln!(io.out, "  {remark}")?;
        }
    }
    Ok(Exit::Success)
}

fn told(change: &Change) -> String {
    let Change { path, sessions, added, dropped, .. } = change;
    let path = path.display();
    let dropped = if *dropped > 0 { format!(", {dropped} old dropped") } else { String::new() };
    match added {
        0 => format!("{path} holds these results already"),
        _ => format!("{path} now holds {} ({added} new{dropped})", counted(*sessions, "session")),
    }
}

fn list(store: &Store, format: Format, io: &mut Io) -> Result<Exit> {
    let entries = store.list()?;
    match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&entries).map_err(Error::usage)?;
            writeln!(io.out, "{text}")?;
        }
        Format::Table if entries.is_empty() => writeln!(io.err, "{}", none(store))?,
        Format::Table => io.out.write_all(render::baseline::list(&entries).as_bytes())?,
    }
    Ok(Exit::Success)
}

fn none(store: &Store) -> String {
    format!(
        "no baselines in {}: measure with `bench-diff run`, then `bench-diff baseline update results.json`",
        store.root().display()
    )
}

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
            _ if entries.is_empty() => Error::usage(none(store)),
            Some(name) => Error::usage(format!("no baseline `{name}`: {}", crate::suggest::hint(name, &names))),
            None => Error::usage(format!("which baseline? Name {}", crate::suggest::one_of(&names))),
        });
    };
    let results = results::read(Path::new(&entry.path))?;
    io.out.write_all(terminal::for_stdout(&render::run::page(&results)).as_bytes())?;
    let occasions = Occasions::of(&results.sessions);
    writeln!(io.out, "\nThe newest of {} in {}", occasions.in_words(), entry.path.display())?;
    if let Some(remark) = baseline::lacking(&occasions) {
        writeln!(io.out, "{remark}")?;
    }
    Ok(Exit::Success)
}

fn verify(store: &Store, io: &mut Io) -> Result<Exit> {
    let Findings { files, problems, remarks } = baseline::verify(store)?;
    if problems.is_empty() {
        writeln!(io.out, "{}, all as they should be", counted(files, "baseline"))?;
        for remark in remarks {
            writeln!(io.out, "  {remark}")?;
        }
        return Ok(Exit::Success);
    }
    let (problem, baseline) = (counted(problems.len(), "problem"), counted(files, "baseline"));
    Err(Error::usage(format!("{problem} in {baseline}:")).with_details(problems))
}
