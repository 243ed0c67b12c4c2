//! What a path stands for, once all links are followed.

use std::ffi::OsString;
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, stderr, stdout};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// As many as Linux follows.
const MAX_LINKS: usize = 40;
/// What we put before and after a file's name must fit into the 255 bytes of a name. Files whose names differ only
/// further on share a lock: they can't be written at the same time, and that is all.
const MAX_NAME: usize = 200;

#[derive(Debug)]
pub enum Place {
    /// A regular file, or nothing yet: the directory without links, and the name.
    File(PathBuf),
    /// What is written there is gone: a terminal, a pipe, the null device, or a file that somebody has opened for us.
    Stream(File),
}

/// Follows `path`. A link that leads nowhere stands for the file that it names, as in a shell's `>`.
pub fn find(path: &Path) -> io::Result<Place> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let place = without_links(&path)?;
        // Names in there are no names of files: what is opened can't be replaced.
        if place.starts_with("/proc") {
            return descriptor(&place).map(Place::Stream);
        }
        match place.symlink_metadata() {
            Ok(found) if found.is_symlink() => path = parent(&place).join(fs::read_link(&place)?),
            Ok(found) if found.is_file() => return Ok(Place::File(place)),
            Ok(found) if found.file_type().is_char_device() => {
                return OpenOptions::new().write(true).open(place).map(Place::Stream);
            }
            Ok(found) => return Err(refusal(found.file_type())),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Place::File(place)),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("its symbolic links go round in circles, or there are too many"))
}

/// What we keep beside a file while it is written.
pub fn beside(file: &Path, what: &str) -> PathBuf {
    let name = file.file_name().unwrap_or_default().as_bytes();
    let name = [b".", &name[..name.len().min(MAX_NAME)], b".bench-diff-", what.as_bytes()].concat();
    parent(file).join(OsString::from_vec(name))
}

pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The one spelling of the directory, and the last name as it is.
fn without_links(path: &Path) -> io::Result<PathBuf> {
    let names_directory = [&b"/"[..], b"/."].iter().any(|end| path.as_os_str().as_bytes().ends_with(end));
    match path.file_name() {
        Some(name) if !names_directory => Ok(parent(path).canonicalize()?.join(name)),
        _ => Err(io::Error::other("it names a directory, not a file")),
    }
}

/// An open file of a process. Ours are shared, so that what else goes there comes before or after, not over it.
fn descriptor(place: &Path) -> io::Result<File> {
    let ours = PathBuf::from(format!("/proc/{}/fd", std::process::id()));
    let shared = match place.strip_prefix(ours).ok().and_then(Path::to_str) {
        Some("1") => stdout().as_fd().try_clone_to_owned(),
        Some("2") => stderr().as_fd().try_clone_to_owned(),
        _ => return OpenOptions::new().append(true).open(place),
    };
    shared.map(File::from)
}

/// What is where we keep something for a moment.
pub fn in_the_way(path: &Path) -> io::Error {
    let why = format!("{} is in the way: it is no file of ours", path.display());
    io::Error::other(Error::usage(why).hint("remove it"))
}

fn refusal(kind: FileType) -> io::Error {
    let why = if kind.is_fifo() {
        let pipe = Error::usage("it is a named pipe");
        return io::Error::other(pipe.hint("write to /dev/stdout and send that there"));
    } else if kind.is_dir() {
        "it is a directory, not a file"
    } else if kind.is_socket() {
        "it is a socket, not a file"
    } else {
        "it is a block device, not a file"
    };
    io::Error::other(why)
}
