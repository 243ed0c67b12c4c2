//! One holder at a time, over all processes that see the directory. The kernel frees a lock whatever ends its holder;
//! its file goes with the holder, or else with the next one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{Timestamp, Unit};

use super::place;
use crate::escape;

const RETRY: Duration = Duration::from_millis(20);

/// Held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// Why there is no lock.
#[derive(Debug)]
pub enum Refused {
    /// Who has it, for a person.
    Held(String),
    Failed(io::Error),
}

impl Lock {
    /// Waits at most so long for whoever holds it.
    pub fn take(path: &Path, patience: Duration) -> Result<Self, Refused> {
        let deadline = Instant::now() + patience;
        loop {
            let mut file = open(path).map_err(Refused::Failed)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, path) => return Ok(Self::signed(file, path)),
                // Its last holder removed it in the meantime: it locks nobody out any more.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(Refused::Held(holder(&mut file)));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(RETRY),
                Err(TryLockError::Error(error)) => return Err(Refused::Failed(error)),
            }
        }
    }

    /// Says in the file whose it is. Only for people: the lock holds without.
    fn signed(mut file: File, path: &Path) -> Self {
        let since = Timestamp::now();
        let since = since.round(Unit::Second).unwrap_or(since);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let text = format!("process {} on {host} since {since}", std::process::id());
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{text}"));
        Self { file, path: path.to_owned() }
    }
}

/// The file goes before the lock: whoever waits for it sees that it is gone, and makes a new one.
impl Drop for Lock {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens a lock file, or makes it.
///
/// It belongs to whoever came first. Others may only be allowed to read it, which is enough to lock it; and a link that
/// somebody put there is never written through.
pub fn open(path: &Path) -> io::Result<File> {
    loop {
        match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => return result,
        }
        match open_existing(path) {
            // It was removed in the meantime.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => return result,
        }
    }
}

fn open_existing(path: &Path) -> io::Result<File> {
    if !path.symlink_metadata()?.is_file() {
        return Err(place::in_the_way(path));
    }
    OpenOptions::new().read(true).write(true).open(path).or_else(|_| File::open(path))
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), path.symlink_metadata()) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(200).read_to_string(&mut text) {
        Ok(_) if text.starts_with("process ") => escape::short_line(text.trim(), 120),
        _ => "another process".to_owned(),
    }
}
