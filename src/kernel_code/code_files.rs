//! Files that may have kernels in them: programs, libraries, folders of these, caches of compilers.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::KernelCode;
use super::found_code::Found;
use crate::error::{Error, Result};

/// Larger files aren't read: the largest libraries known have half of it.
const MAX_BYTES: u64 = 4 << 30;
/// Of folders, more files aren't looked at.
const MOST_FILES: usize = 100_000;

/// What was found in them.
#[derive(Debug, Default)]
pub struct Kernels {
    /// In the order of their names.
    pub all: BTreeSet<KernelCode>,
    /// Files that have any.
    pub files: usize,
    /// Pieces that look like kernels' code and can't be read.
    pub unreadable: usize,
    /// Files that are too large, or more than are looked at.
    pub left_out: usize,
}

impl Kernels {
    /// In these files and in all files of these folders.
    pub fn read(paths: &[PathBuf]) -> Result<Self> {
        let mut kernels = Self::default();
        for path in paths {
            let data = path.metadata().map_err(|error| Error::reading(path, error))?;
            if data.is_dir() {
                kernels.add_folder(path)?;
            } else if data.is_file() {
                kernels.add_file(path).map_err(|error| Error::reading(path, error))?;
            } else {
                return Err(Error::usage(format!("{} is neither a file nor a folder", path.display())));
            }
        }
        Ok(kernels)
    }

    /// Without what can't be opened there, or is no file: nobody named it.
    fn add_folder(&mut self, folder: &Path) -> Result<()> {
        let (mut folders, mut left) = (vec![folder.to_owned()], MOST_FILES);
        while let Some(folder) = folders.pop() {
            for (path, kind) in entries(&folder).map_err(|error| Error::reading(&folder, error))? {
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() && left > 0 {
                    left -= 1;
                    if let Err(error) = self.add_file(&path) {
                        tracing::debug!("{}: {error}", path.display());
                        self.left_out += 1;
                    }
                } else {
                    self.left_out += usize::from(kind.is_file());
                }
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path) -> io::Result<()> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            self.left_out += 1;
            return Ok(());
        }
        let found = Found::in_file(&bytes);
        self.files += usize::from(!found.kernels.is_empty());
        self.unreadable += found.unreadable;
        self.all.extend(found.kernels);
        Ok(())
    }
}

/// In the order of their names. Links aren't followed: what they lead to is there as well, or somewhere else.
fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, fs::FileType)>> {
    let mut entries = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        entries.push((entry.path(), entry.file_type()?));
    }
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}
