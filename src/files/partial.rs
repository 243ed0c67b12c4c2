//! A file that comes in pieces, from far away: it grows beside its place, over several tries, and goes there as a whole.
//!
//! Unlike an [`Output`](super::Output), what an interrupted process left is gone on with. Whoever grows one holds a lock.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::place;

/// A file that isn't whole yet.
#[derive(Debug)]
pub struct Partial {
    file: File,
    path: PathBuf,
    length: u64,
}

impl Partial {
    /// Opens it, or begins it; `seen` is told what there is already.
    pub fn open(path: &Path, mut seen: impl FnMut(&[u8])) -> io::Result<Self> {
        fs::create_dir_all(place::parent(path))?;
        if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
            return Err(place::in_the_way(path));
        }
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        let (mut buffer, mut length) = (vec![0; 1 << 20], 0);
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => {
                    seen(&buffer[..count]);
                    length += count as u64;
                }
            }
        }
        Ok(Self { file, path: path.to_owned(), length })
    }

    /// Bytes of it that are here.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// From the beginning.
    pub fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.length = 0;
        Ok(())
    }

    /// Adds what came.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// It is whole: from now on it is at `target`, also after a power cut.
    pub fn place(self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::create_dir_all(place::parent(target))?;
        fs::rename(&self.path, target)?;
        // The rename itself is on the disk once the directory is; not every file system can do that.
        let _ = File::open(place::parent(target)).and_then(|directory| directory.sync_all());
        Ok(())
    }

    /// Nothing of it is of use.
    pub fn discard(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Makes `link` a link to `target`, in place of another link or file.
pub fn link(target: &Path, link: &Path) -> io::Result<()> {
    fs::create_dir_all(place::parent(link))?;
    if fs::read_link(link).is_ok_and(|there| there == target) {
        return Ok(());
    }
    let new = place::beside(link, "new");
    let _ = fs::remove_file(&new);
    symlink(target, &new)?;
    fs::rename(&new, link)
}

/// Bytes that can still be written below a directory, which may not be there yet.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|part| part.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let found = rustix::fs::statvfs(there).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}
