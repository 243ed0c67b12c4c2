//! `bench-diff kernels`

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::format::Format;
use crate::error::{Error, Exit, Result};
use crate::escape;
use crate::git::{self, Remote};
use crate::io::Io;
use crate::kernel_code::KernelCode;
use crate::kernel_code::code_diff::{CodeDiff, Row};
use crate::kernel_code::code_files::Kernels;
use crate::kernel_code::kernel_source::{Place, Sources, page_of};
use crate::number::counted;
use crate::page::{Page, code, line, terminal};
use crate::plural;
use crate::render::{code_diff_page, kernel_page};

const EXAMPLES: &str = "Examples:
  bench-diff kernels target/release/my-program
  bench-diff kernels --sources kernels --match softmax target/release/my-program
  bench-diff kernels venv/lib/python3.12/site-packages/torch/lib
  bench-diff kernels --diff base-program head-program";

/// Show the kernels that lie in a program: registers, spills, shared memory, and whether their code is the same as another's
///
/// Reads machine code of NVIDIA's GPUs and PTX from any file, without a GPU and without running anything. Kernels of a library
/// lie in the library: name that, or the folder that it lies in. docs/tracing.md says what is read.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Programs, libraries, cubins, fatbins and PTX, and folders of these
    #[arg(value_name = "FILE", required_unless_present = "diff", conflicts_with = "diff")]
    files: Vec<PathBuf>,
    /// Compare two: which kernels have the same code, other code, are gone, or new
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    diff: Option<Vec<PathBuf>>,
    /// Say where kernels are written: their sources are in this folder; can be given several times
    #[arg(long, value_name = "DIR")]
    sources: Vec<PathBuf>,
    /// Only kernels with this in their names
    #[arg(long = "match", value_name = "TEXT")]
    part: Option<String>,
    /// Show so many kernels
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    top: u16,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let written = Written::read(&args.sources)?;
    match &args.diff {
        Some(files) => compare(args, files, &written, io)?,
        None => show(args, &written, io)?,
    }
    Ok(Exit::Success)
}

/// Where kernels are written, and where that can be looked at.
#[derive(Debug)]
pub struct Written(Vec<(Sources, Option<CloneOf>)>);

/// The clone that sources lie in.
#[derive(Debug)]
struct CloneOf {
    page: String,
    commit: String,
    within: String,
}

/// A place, with a link to it where it is on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    #[serde(flatten)]
    place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl Written {
    /// In these folders.
    pub fn read(folders: &[PathBuf]) -> Result<Self> {
        let read = |folder: &PathBuf| Ok((Sources::read(folder)?, CloneOf::around(folder)));
        folders.iter().map(read).collect::<Result<_>>().map(Self)
    }

    pub fn place(&self, kernel: &str) -> Option<&Place> {
        self.0.iter().find_map(|(sources, _)| sources.place(kernel))
    }

    pub fn source(&self, kernel: &str) -> Option<Source> {
        let (place, clone) = self.0.iter().find_map(|(sources, clone)| Some((sources.place(kernel)?, clone)))?;
        let link = clone.as_ref().and_then(|clone| place.link(&clone.page, &clone.commit, &clone.within));
        Some(Source { place: place.clone(), link })
    }
}

impl CloneOf {
    /// Only of a commit as it is: other lines would be elsewhere.
    fn around(folder: &Path) -> Option<Self> {
        let top = git::top(folder).ok()?;
        let page = page_of(&Remote::origin(&top).ok()?.url)?;
        let commit = git::head_commit(&top).ok().filter(|commit| git::is_commit(commit))?;
        let (folder, top) = (folder.canonicalize().ok()?, top.canonicalize().ok()?);
        let within = folder.strip_prefix(&top).ok()?.to_str()?.to_owned();
        Some(Self { page, commit, within })
    }
}

/// What `--format json` prints of a kernel.
#[derive(Serialize)]
struct JsonKernel<'a> {
    #[serde(flatten)]
    code: &'a KernelCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
}

#[derive(Serialize)]
struct Json<'a> {
    kernels: Vec<JsonKernel<'a>>,
    unreadable: usize,
}

fn show(args: &Args, written: &Written, io: &mut Io) -> Result<()> {
    let found = Kernels::read(&args.files)?;
    warn(&found, io)?;
    let wanted = |name: &str| args.part.as_deref().is_none_or(|part| name.contains(part));
    let kernels: Vec<&KernelCode> = found.all.iter().filter(|kernel| wanted(&kernel.name)).collect();
    match args.format {
        Format::Table if kernels.is_empty() && !found.all.is_empty() => print(&none_of(&found, args), io),
        Format::Table => {
            print(&kernel_page::page(&kernels, found.files, args.top.into(), &|name| written.place(name)), io)
        }
        Format::Json => {
            let kernels = kernels.into_iter().map(|code| JsonKernel { code, source: written.source(&code.name) });
            io.out.json(&Json { kernels: kernels.collect(), unreadable: found.unreadable })
        }
    }
}

/// There are kernels, of other names.
fn none_of(found: &Kernels, args: &Args) -> Page {
    let part = code(args.part.as_deref().unwrap_or_default(), 100);
    let all = counted(found.all.len(), "kernel");
    Page { headline: line!["none of ", all, " has ", part, " in its name"], ..Page::default() }
}

/// A row of `--diff`, with where it is written now.
#[derive(Serialize)]
struct JsonRow<'a> {
    #[serde(flatten)]
    row: &'a Row,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
}

#[derive(Serialize)]
struct JsonDiff<'a> {
    same: usize,
    changed: Vec<JsonRow<'a>>,
}

fn compare(args: &Args, files: &[PathBuf], written: &Written, io: &mut Io) -> Result<()> {
    let [old, new] = files else { return Err(Error::usage("two programs are compared")) };
    let [old, new] = [old, new].map(|path| Kernels::read(std::slice::from_ref(path)));
    let [mut old, mut new] = [old?, new?];
    for (kernels, path) in [(&mut old, &files[0]), (&mut new, &files[1])] {
        warn(kernels, io)?;
        if kernels.all.is_empty() && kernels.unreadable == 0 {
            writeln!(io.err, "warning: there are no kernels in {}", escape::line(&path.display().to_string()))?;
        }
        kernels.all.retain(|kernel| args.part.as_deref().is_none_or(|part| kernel.name.contains(part)));
    }
    let diff = CodeDiff::of(&old.all, &new.all);
    match args.format {
        Format::Table => print(&code_diff_page::page(&diff, args.top.into(), &|name| written.place(name)), io),
        Format::Json => {
            let changed = diff.changed.iter().map(|row| JsonRow { row, source: written.source(&row.name) });
            io.out.json(&JsonDiff { same: diff.same, changed: changed.collect() })
        }
    }
}

fn warn(found: &Kernels, io: &mut Io) -> Result<()> {
    if found.unreadable > 0 {
        writeln!(
            io.err,
            "warning: {} of what look like kernels can't be read: broken, or cut off",
            plural::counted(found.unreadable, "piece")
        )?;
    }
    if found.left_out > 0 {
        writeln!(
            io.err,
            "warning: {} files weren't looked at: too large, too many, or not to be opened",
            found.left_out
        )?;
    }
    Ok(())
}

fn print(page: &Page, io: &mut Io) -> Result<()> {
    io.out.text(&terminal::for_stdout(page))
}
