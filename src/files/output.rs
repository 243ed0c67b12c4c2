//! A file to write.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lock::{Lock, Refused};
use super::place::{self, Place};
use crate::error::{Error, Result};
use crate::redact::Secrets;

/// For a holder that is just ending: it may have been killed this very moment.
pub(super) const MOMENT: Duration = Duration::from_millis(500);
/// For one that reads, adds and writes.
pub(super) const WHILE: Duration = Duration::from_secs(60);

/// A file that nobody else of us writes, until this is dropped.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    to: To,
}

#[derive(Debug)]
enum To {
    File { target: PathBuf, _lock: Lock },
    Stream(File),
}

impl Output {
    /// Claims a file that others write for long: they won't be waited for.
    pub fn claim(path: &Path) -> Result<Self> {
        Self::within(MOMENT, path)
    }

    /// Claims a file that others write in no time.
    pub fn wait_for(path: &Path) -> Result<Self> {
        Self::within(WHILE, path)
    }

    fn within(patience: Duration, path: &Path) -> Result<Self> {
        let failed = |error: io::Error| Error::writing(path, error);
        let to = match place::find(path).map_err(failed)? {
            Place::Stream(stream) => To::Stream(stream),
            Place::File(target) => {
                let lock = Lock::take(&place::beside(&target, "lock"), patience).map_err(|why| refused(path, why))?;
                // Ours is the lock, so nobody is writing it.
                clear(&place::beside(&target, "new")).map_err(failed)?;
                To::File { target, _lock: lock }
            }
        };
        Ok(Self { path: path.to_owned(), to })
    }

    /// As the caller named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Is there a file that writing would replace? A stream replaces nothing.
    pub fn exists(&self) -> bool {
        match &self.to {
            To::File { target, .. } => target.symlink_metadata().is_ok(),
            To::Stream(_) => false,
        }
    }

    /// What is written to a stream comes after what was written before, not in its place.
    pub fn is_stream(&self) -> bool {
        matches!(self.to, To::Stream(_))
    }

    /// Is it where this process's standard output goes?
    pub fn is_stdout(&self) -> bool {
        let To::Stream(stream) = &self.to else { return false };
        let stdout = io::stdout().as_fd().try_clone_to_owned().map(File::from);
        let (Ok(there), Ok(stdout)) = (stream.metadata(), stdout.and_then(|stdout| stdout.metadata())) else {
            return false;
        };
        (there.dev(), there.ino()) == (stdout.dev(), stdout.ino())
    }

    /// Replaces the file: a reader, or a power cut, sees the old one or the new one. Who may read it stays as it was.
    pub fn write(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let write = |out: &mut dyn Write| without_secrets(&Secrets::for_data(), out, write);
        match &self.to {
            To::File { target, .. } => replace(target, None, write),
            To::Stream(stream) => buffered(stream, write).map(drop),
        }
    }

    /// Makes it a copy of the file `source`, which others may be running in the meantime.
    pub fn copy(&self, source: &Path) -> io::Result<()> {
        let mut from = File::open(source)?;
        let permissions = from.metadata()?.permissions();
        let copy = |out: &mut dyn Write| io::copy(&mut from, out).map(drop);
        match &self.to {
            To::File { target, .. } => replace(target, Some(permissions), copy),
            To::Stream(stream) => buffered(stream, copy).map(drop),
        }
    }
}

/// Opens a file to add to it, which others may do at the same time. What isn't a file or a stream is refused, as when
/// writing: nobody may ever read from a pipe.
pub fn append(path: &Path) -> io::Result<File> {
    match place::find(path)? {
        Place::File(file) => File::options().create(true).append(true).open(file),
        Place::Stream(stream) => Ok(stream),
    }
}

/// Writes a file that depends on nothing that was there.
pub fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    Output::wait_for(path)?.write(write).map_err(|error| Error::writing(path, error))
}

pub(super) fn refused(path: &Path, why: Refused) -> Error {
    let path = path.display();
    match why {
        Refused::Held(holder) => Error::usage(format!("{holder} is writing {path}"))
            .hint("wait until it ends, stop it, or write somewhere else"),
        Refused::Failed(error) => Error::usage(format!("can't write {path}: no lock beside it")).because(error),
    }
}

/// Writes beside `target`, flushes to the disk, and renames. The caller holds the target's lock.
fn replace(
    target: &Path,
    permissions: Option<Permissions>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let new = place::beside(target, "new");
    clear(&new)?;
    let written = write_new(&new, target, permissions, write).and_then(|()| fs::rename(&new, target));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written?;
    // The rename itself is on the disk once the directory is; not every file system can do that.
    let _ = File::open(place::parent(target)).and_then(|directory| directory.sync_all());
    Ok(())
}

fn write_new(
    new: &Path,
    target: &Path,
    permissions: Option<Permissions>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(new)?;
    let old = target.symlink_metadata().ok();
    if let Some(old) = &old {
        // Only root can give a file away; for others the file becomes theirs.
        let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
    }
    if let Some(permissions) = permissions.or(old.map(|old| old.permissions())) {
        file.set_permissions(permissions)?;
    }
    buffered(&file, write)?.sync_all()
}

/// What costs nothing where there are none.
fn without_secrets(
    secrets: &Secrets,
    out: &mut dyn Write,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    if secrets.is_empty() {
        return write(out);
    }
    let mut buffer = BufWriter::new(secrets.writer(out));
    write(&mut buffer)?;
    buffer.into_inner()?.finish()
}

fn buffered(file: &File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<&File> {
    let mut buffer = BufWriter::new(file);
    write(&mut buffer)?;
    Ok(buffer.into_inner()?)
}

/// Removes what a killed process left half written, and nothing else.
fn clear(new: &Path) -> io::Result<()> {
    match new.symlink_metadata() {
        Ok(found) if found.is_file() => fs::remove_file(new),
        Ok(_) => Err(place::in_the_way(new)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
