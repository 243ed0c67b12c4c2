//! Where a program is.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The program to start for a name, absolute: a path from `directory` (ours where there is none), a bare name from `path`,
/// which is like `PATH`.
pub(super) fn program(name: &Path, directory: Option<&Path>, path: Option<&OsStr>) -> io::Result<PathBuf> {
    let found = if is_bare(name) {
        on(path.unwrap_or_default(), name).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "not on the PATH"))?
    } else {
        executable(&directory.unwrap_or(Path::new("")).join(name))?
    };
    std::path::absolute(found)
}

/// What a user means by a program's name: a bare name is looked for in the current directory first, then on the PATH.
/// A path is taken as it is.
pub fn beside_the_caller(name: &Path) -> Result<PathBuf> {
    if !is_bare(name) {
        return Ok(name.to_owned());
    }
    if name.is_file() {
        return Ok(Path::new(".").join(name));
    }
    on(&std::env::var_os("PATH").unwrap_or_default(), name).ok_or_else(|| {
        let name = name.display();
        Error::usage(format!("no program {name}: it is neither in the current directory nor on the PATH"))
            .hint("give its path")
    })
}

fn is_bare(name: &Path) -> bool {
    name.file_name() == Some(name.as_os_str())
}

fn on(path: &OsStr, name: &Path) -> Option<PathBuf> {
    std::env::split_paths(path).map(|directory| directory.join(name)).find(|file| executable(file).is_ok())
}

fn executable(file: &Path) -> io::Result<PathBuf> {
    let data = file.metadata()?;
    if data.is_dir() || data.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not an executable file"));
    }
    Ok(file.to_owned())
}
