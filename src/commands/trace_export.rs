//! `bench-diff trace --export`

use std::ffi::OsString;
use std::path::Path;

use clap::ValueEnum;

use crate::error::{Error, Result};
use crate::files::Output;
use crate::trace::trace_file::Saved;
use crate::trace::{Trace, chrome, folded};

/// A file for another tool.
#[derive(Debug)]
pub struct Export {
    pub to: Tool,
    file: Output,
}

/// By its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    Chrome,
    Folded,
}

impl Export {
    /// Where nothing else is written, before anything runs.
    pub fn asked(export: Option<&[OsString]>, force: bool) -> Result<Option<Self>> {
        let Some([format, path]) = export else { return Ok(None) };
        let to = Tool::from_str(&format.to_string_lossy(), false).map_err(|_| {
            Error::usage(format!("--export: no format `{}`, but `chrome` and `folded`", format.to_string_lossy()))
        })?;
        Ok(Some(Self { to, file: claimed(path.as_ref(), force)? }))
    }

    pub fn write(self, saved: &Saved, trace: &Trace, phase: Option<&str>) -> Result<()> {
        match self.to {
            Tool::Chrome => self.write_chrome(saved, phase),
            Tool::Folded => self.write_folded(trace, phase),
        }
    }

    fn write_chrome(self, saved: &Saved, phase: Option<&str>) -> Result<()> {
        let timelines = saved.timelines(phase);
        if timelines.is_empty() {
            let hint = "`bench-diff trace --timeline --output FILE -- PROGRAM` keeps them";
            return Err(Error::usage("the trace has no single kernels and copies, only sums").hint(hint));
        }
        self.file.write(|out| chrome::write(&timelines, out)).map_err(|error| Error::writing(self.file.path(), error))
    }

    fn write_folded(self, trace: &Trace, phase: Option<&str>) -> Result<()> {
        let text = folded::text(trace, phase);
        self.file.write(|out| out.write_all(text.as_bytes())).map_err(|error| Error::writing(self.file.path(), error))
    }
}

/// A file to write, which isn't there unless it may be replaced.
pub fn claimed(path: &Path, force: bool) -> Result<Output> {
    if path == Path::new("-") {
        return Err(Error::usage("`-` is no file: standard output has the page").hint("name a file"));
    }
    let output = Output::claim(path)?;
    if output.exists() && !force {
        let there = format!("{} is there already", path.display());
        return Err(Error::usage(there).hint("--force replaces it; or name another file"));
    }
    Ok(output)
}
