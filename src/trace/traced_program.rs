//! A program that is started with the tracer in it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use super::trace_file::Saved;
use crate::child::{Environment, Launch, beside_the_caller};
use crate::error::{Error, Result};
use crate::files::{self, Scratch};

/// The tracer, as build.rs compiled it.
#[cfg(has_tracer)]
const TRACER: Option<&[u8]> = Some(include_bytes!(concat!(env!("OUT_DIR"), "/tracer.so")));
#[cfg(not(has_tracer))]
const TRACER: Option<&[u8]> = None;

/// What a program may start; files of more processes aren't looked at.
const MOST_FILES: usize = 1000;
/// And of all files together: those of a thousand processes are a tenth of this.
const MOST_BYTES: u64 = 256 << 20;

/// What became of a program, and what was seen of it.
#[derive(Debug)]
pub struct Ended {
    pub how: How,
    pub saved: Saved,
    /// Files that aren't what the tracer writes.
    pub unreadable: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    ByItself(ExitStatus),
    /// By us: somebody asked to stop.
    Stopped,
}

/// What the tracer keeps of a program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    #[default]
    Sums,
    /// And single kernels and copies of the newest window of each phase, as many as there is room for.
    Timeline,
}

/// Runs it to its end; `show` gets what it writes.
pub fn run(command: &[OsString], detail: Detail, show: &mut dyn FnMut(&str)) -> Result<Ended> {
    let [program, args @ ..] = command else { return Err(Error::usage("there is no program to trace")) };
    let program = beside_the_caller(Path::new(program))?;
    let tracing = Tracing::new()?;
    let environment = tracing.hearing_ranges(tracing.in_environment(Environment::traced()));
    let environment = detail.in_environment(environment);
    let how = match Launch::of(&program, environment).args(args).shown(show) {
        Ok(status) => How::ByItself(status),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => How::Stopped,
        Err(error) => return Err(Error::usage(format!("can't run {}", program.display())).because(error)),
    };
    let (saved, unreadable) = tracing.saved()?;
    Ok(Ended { how, saved, unreadable })
}

impl Detail {
    fn in_environment(self, environment: Environment) -> Environment {
        match self {
            Self::Sums => environment,
            Self::Timeline => environment.with("BENCH_DIFF_TRACE_TIMELINE", "1"),
        }
    }
}

/// The tracer in a folder of its own, for programs that are started while this lives. [`Tracers`](super::tracers::Tracers) in
/// such a program tell its phases.
#[derive(Debug)]
pub struct Tracing {
    scratch: Scratch,
    library: PathBuf,
}

impl Tracing {
    pub fn new() -> Result<Self> {
        let Some(tracer) = TRACER else {
            let why = "this build traces nothing: the tracer is for Linux with the GNU C library, where CUDA runs";
            return Err(Error::usage(why));
        };
        let scratch = Scratch::new().map_err(no_folder)?;
        let library = scratch.path().join("tracer.so");
        files::write(&library, |out| out.write_all(tracer))?;
        Ok(Self { scratch, library })
    }

    /// What makes the CUDA driver load it into a program and all that this starts.
    pub fn in_environment(&self, environment: Environment) -> Environment {
        environment
            .and_ours("BENCH_DIFF_CUPTI")
            .with("CUDA_INJECTION64_PATH", &self.library)
            .with("BENCH_DIFF_TRACE_DIRECTORY", self.scratch.path())
    }

    /// And takes its NVTX ranges for phases, as long as nobody tells them.
    fn hearing_ranges(&self, environment: Environment) -> Environment {
        environment.with("NVTX_INJECTION64_PATH", &self.library)
    }

    /// What was seen so far, and how many files are something else.
    pub fn saved(&self) -> Result<(Saved, usize)> {
        written(self.scratch.path()).map_err(|error| Error::reading(self.scratch.path(), error))
    }
}

fn no_folder(error: io::Error) -> Error {
    let hint = "TMPDIR names the folder for temporary files: it must be there, and ours to write in";
    Error::measurement("no temporary directory for the tracer").because(error).hint(hint)
}

/// What the processes left there, in the order of their numbers.
fn written(directory: &Path) -> io::Result<(Saved, usize)> {
    let mut paths = Vec::new();
    for entry in directory.read_dir()? {
        let entry = entry?;
        // The program could leave a pipe there, from which nobody could read to the end.
        if entry.file_type()?.is_file() && entry.path().extension().is_some_and(|kind| kind == "trace") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    paths.truncate(MOST_FILES);
    Ok(joined(&paths))
}

fn joined(paths: &[PathBuf]) -> (Saved, usize) {
    let (mut all, mut unreadable, mut left) = (Saved::none(), 0, MOST_BYTES);
    for path in paths {
        let size = path.metadata().map_or(u64::MAX, |data| data.len());
        let Some(rest) = left.checked_sub(size) else {
            unreadable += 1;
            continue;
        };
        left = rest;
        match Saved::read(path) {
            Ok(saved) => all.join(saved),
            Err(error) => {
                tracing::debug!("{error:?}");
                unreadable += 1;
            }
        }
    }
    (all, unreadable)
}
