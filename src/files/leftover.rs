//! Files of an earlier measurement, where those of another one go.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};

/// Is there a file? Anything else in its place is in the way.
pub fn is_regular(path: &Path) -> Result<bool> {
    let name = path.display();
    match fs::symlink_metadata(path) {
        Ok(file) if file.is_file() => Ok(true),
        Ok(_) => {
            Err(Error::usage(format!("{name} is not a regular file")).hint("move it away, or name another --output"))
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => {
            Err(Error::usage(format!("can't look at {name}, which is of an earlier measurement")).because(error))
        }
    }
}

/// Refuses a directory that holds files of these names: for one that `command` didn't write, where they are somebody's.
pub fn refuse_somebodys(directory: &Path, names: &[&str], command: &str) -> Result<()> {
    for name in names {
        let path = directory.join(name);
        if is_regular(&path)? {
            let problem = format!("{} would be overwritten, and no earlier `{command}` wrote it", path.display());
            return Err(Error::usage(problem).hint("name another --output, or move the file away"));
        }
    }
    Ok(())
}

/// Removes the file, if there is one: a regular file under one of our names, in a directory that was given for them.
pub fn remove(path: &Path) -> Result<()> {
    if !is_regular(path)? {
        return Ok(());
    }
    fs::remove_file(path).map_err(|error| {
        Error::usage(format!("can't remove {}, which is of an earlier measurement", path.display())).because(error)
    })
}
