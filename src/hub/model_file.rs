//! Files of a model. Whoever made the folder may have put a pipe or a device there, which would be read for ever.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// No JSON file of a model is longer: the index of 72B's parts has 0.1 MB.
const MOST: u64 = 16 << 20;

/// Opens a regular file, links followed.
pub fn open(path: &Path) -> io::Result<File> {
    let found = fs::metadata(path).map_err(|error| match path.symlink_metadata() {
        Ok(_) if error.kind() == io::ErrorKind::NotFound => io::Error::other("it is a link to nothing"),
        _ => error,
    })?;
    if !found.is_file() {
        return Err(io::Error::other(if found.is_dir() { "it is a directory" } else { "it is no regular file" }));
    }
    File::open(path)
}

/// The whole of a small file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other(format!("it has more than {} MiB, as no such file has", MOST >> 20)));
    }
    Ok(bytes)
}
