//! The output directory: what an earlier `ci` left there must never be taken for this one's.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};

/// What is made from the measurements, and made anew also when these are carried on.
pub const REPORT: &str = "report.json";
/// The measurements that `--resume` carries on.
const MEASUREMENTS: [&str; 4] = ["results.json", "base.json", "confirm-results.json", "confirm-base.json"];

/// Removes the files that this `ci` will write, and nothing else: what isn't a regular file is somebody's.
pub fn clear(directory: &Path, resume: bool) -> Result<()> {
    let measurements = if resume { &[][..] } else { &MEASUREMENTS };
    [REPORT].iter().chain(measurements).try_for_each(|name| remove(&directory.join(name)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a regular file under one of our names, in the directory that this run was given"
)]
fn remove(path: &Path) -> Result<()> {
    let name = path.display();
    let gone = match std::fs::symlink_metadata(path) {
        Ok(file) if file.is_file() => std::fs::remove_file(path),
        Ok(_) => {
            return Err(
                Error::usage(format!("{name} is not a regular file")).hint("move it away, or name another --output")
            );
        }
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Error::usage(format!("can't remove {name}, which is of an earlier measurement")).because(error))
        }
        _ => Ok(()),
    }
}
