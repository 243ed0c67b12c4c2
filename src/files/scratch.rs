//! A directory for the moment.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

const PREFIX: &str = "bench-diff-scratch-";

/// A private directory that goes when this is dropped; what killed processes left goes when the next one is made.
#[derive(Debug)]
pub struct Scratch {
    directory: TempDir,
    /// The directory itself, locked: says that somebody still uses it.
    _lock: File,
}

impl Scratch {
    /// A new one, where the system keeps what is temporary.
    pub fn new() -> io::Result<Self> {
        Self::new_in(&std::env::temp_dir())
    }

    fn new_in(parent: &Path) -> io::Result<Self> {
        sweep(parent);
        loop {
            let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            // Another process may take it for a killed one's before it is locked.
            match File::open(directory.path()).and_then(|lock| lock.lock().map(|()| lock)) {
                Ok(lock) if directory.path().is_dir() => return Ok(Self { directory, _lock: lock }),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }

    /// The directory, which is empty at first.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Removes what nobody uses any more, as far as that is possible.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && let Some(_lock) = abandoned(&path)
        {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// A directory of this user that no process has locked. It is locked now.
fn abandoned(path: &PathBuf) -> Option<File> {
    let found = path.symlink_metadata().ok()?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return None;
    }
    let directory = File::open(path).ok()?;
    directory.try_lock().ok()?;
    Some(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_processes_left_goes_and_what_is_in_use_stays() {
        let parent = tempfile::tempdir().unwrap();
        let path = |name: &str| parent.path().join(name);
        for name in ["bench-diff-scratch-left", "somebody-elses"] {
            fs::create_dir_all(path(name).join("objects")).unwrap();
        }
        fs::write(path("bench-diff-scratch-file"), "no directory").unwrap();
        std::os::unix::fs::symlink(path("somebody-elses"), path("bench-diff-scratch-link")).unwrap();
        let used = Scratch::new_in(parent.path()).unwrap();
        let next = Scratch::new_in(parent.path()).unwrap();
        assert!(used.path().is_dir() && next.path().is_dir());
        assert!(!path("bench-diff-scratch-left").exists());
        assert!(path("somebody-elses/objects").is_dir());
        assert!(path("bench-diff-scratch-file").is_file() && path("bench-diff-scratch-link").is_symlink());
        let gone = used.path().to_owned();
        drop(used);
        assert!(!gone.exists());
    }
}
