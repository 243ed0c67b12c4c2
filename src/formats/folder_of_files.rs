//! A folder in place of a file: criterion's, or files of one format, whose values of one name are samples together.

use std::fs;
use std::path::{Path, PathBuf};

use super::cells::{Cells, Reading};
use super::foreign_file::ForeignFile;
use super::{Format, criterion, evalscope_db, recognize};
use crate::error::{Error, Result};

/// Folders further down aren't looked into, ...
const MOST_LEVELS: usize = 8;
/// ... nor files after so many.
const MOST_FILES: usize = 20_000;
/// The folder with criterion's last measurement of a benchmark, and the file in it.
const SAMPLE: &str = "new/sample.json";

/// What a folder's files hold together. `read` reads one.
pub fn read_folder(
    folder: &Path,
    from: Option<&'static Format>,
    read: impl Fn(&Path) -> Result<Vec<u8>>,
) -> Result<Reading> {
    let (samples, below): (Vec<_>, Vec<_>) =
        files_in(folder, MOST_LEVELS)?.into_iter().partition(|file| file.ends_with(SAMPLE));
    if samples.is_empty() {
        of_one_format(folder, from, &such_as(&below), read)
    } else {
        of_criterion(folder, &samples, read)
    }
}

/// What a person may have meant who names the folder of EvalScope's outputs.
fn such_as(files: &[PathBuf]) -> String {
    let database = files.iter().find(|file| file.ends_with(evalscope_db::FILE_NAME));
    database.map_or_else(String::new, |file| format!(", such as {}", file.display()))
}

/// A benchmark's folder is its name.
fn of_criterion(folder: &Path, samples: &[PathBuf], read: impl Fn(&Path) -> Result<Vec<u8>>) -> Result<Reading> {
    let mut cells = Cells::default();
    for path in samples {
        let benchmark = path.ancestors().nth(2).and_then(|above| above.strip_prefix(folder).ok());
        let case = benchmark.map(|below| below.display().to_string()).filter(|name| !name.is_empty());
        let (name, text) = (path.display().to_string(), read(path)?);
        let file = ForeignFile { name: &name, tool: criterion::FORMAT.tool, text: &text };
        criterion::add(&file, case.as_deref().unwrap_or(criterion::UNNAMED), &mut cells)?;
    }
    criterion::FORMAT.finish(&folder.display().to_string(), cells)
}

/// Whatever else is in the folder is left alone.
fn of_one_format(
    folder: &Path,
    from: Option<&'static Format>,
    such_as: &str,
    read: impl Fn(&Path) -> Result<Vec<u8>>,
) -> Result<Reading> {
    let (name, mut cells) = (folder.display().to_string(), Cells::default());
    let mut found: Option<&Format> = from;
    for path in files_in(folder, 1)? {
        let text = read(&path)?;
        let Some(format) = recognize(&text) else { continue };
        match found {
            Some(known) if from.is_none() && known.name != format.name => {
                let problem = format!("{name} has files of {} and of {}", known.tool, format.tool);
                return Err(
                    Error::usage(problem).hint(format!("name one of its files{such_as}, or choose with `--from`"))
                );
            }
            Some(known) if known.name != format.name => continue,
            _ => found = Some(format),
        }
        format.add(&path.display().to_string(), &text, &mut cells)?;
    }
    match found {
        Some(format) => format.finish(&name, cells),
        None => Err(Error::usage(format!("{name} is a folder without files of other tools that can be compared"))
            .hint(match such_as {
                "" => "name a file: results and samples are compared file by file".to_owned(),
                such_as => format!("name a file{such_as}"),
            })),
    }
}

/// Sorted by their names. Links aren't followed into other folders.
fn files_in(folder: &Path, levels: usize) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(folder, levels, &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(folder: &Path, levels: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |error: std::io::Error| Error::reading(folder, error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && levels > 1 {
            collect(&entry.path(), levels - 1, files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
        if files.len() > MOST_FILES {
            return Err(Error::usage(format!("{} holds more than {MOST_FILES} files", folder.display())));
        }
    }
    Ok(())
}
