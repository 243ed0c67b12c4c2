//! Files that somebody named or made: there may be a pipe or a device in their place, which would be read for ever, or
//! gigabytes.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// Opens a regular file, links followed.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let found = fs::metadata(path).map_err(|error| match path.symlink_metadata() {
        Ok(_) if error.kind() == io::ErrorKind::NotFound => io::Error::other("it is a link to nothing"),
        _ => error,
    })?;
    if !found.is_file() {
        return Err(io::Error::other(if found.is_dir() { "it is a directory" } else { "it is no regular file" }));
    }
    File::open(path)
}

/// The whole of a regular file that has no more than so many bytes.
pub fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than {} MiB, as no such file has", most >> 20)));
    }
    Ok(bytes)
}

/// The same of text.
pub fn text_at_most(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read_at_most(path, most)?).map_err(|_| io::Error::other("it isn't UTF-8 text"))
}
