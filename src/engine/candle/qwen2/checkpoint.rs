//! The files of a checkpoint, looked at before any of them is mapped: which they are, and that they are whole.

use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::safetensors_error::SafetensorsError;
use super::safetensors_header;
use crate::engine::EngineError;
use crate::engine::json_fields::Fields;
use crate::hub::{INDEX, SINGLE, model_file};
use crate::recognize::{self, Foreign, recognize};

/// As file systems have it.
const LONGEST_NAME: usize = 255;
/// That of 72B's largest part has 0.01 MB.
const MAX_HEADER: u64 = 16 << 20;

/// The files that hold a checkpoint: those its index names, else the single one. Each is whole.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let index = directory.join(INDEX);
    let has = |path: &Path| path.symlink_metadata().is_ok();
    let files = if has(&index) {
        indexed_files(&index)?.iter().map(|name| part(&index, name)).collect::<Result<_, _>>()?
    } else if has(&directory.join(SINGLE)) {
        vec![directory.join(SINGLE)]
    } else {
        return Err(instead(directory));
    };
    check(&files)?;
    Ok(files)
}

/// Each is there and whole, and no tensor is in two of them.
fn check(files: &[PathBuf]) -> Result<(), EngineError> {
    let mut place_of = HashMap::new();
    for file in files {
        for tensor in tensors(file)? {
            if let Some(other) = place_of.insert(tensor.clone(), file) {
                let why = format!("weights: the tensor {tensor:?} is in {} and in {}", other.display(), file.display());
                return Err(EngineError::refused(why, "keep the files of one model"));
            }
        }
    }
    Ok(())
}

/// The file that the index at `path` names.
fn part(path: &Path, name: &str) -> Result<PathBuf, EngineError> {
    let part = path.with_file_name(name);
    if part.symlink_metadata().is_ok() {
        return Ok(part);
    }
    let why = format!("weights: {} is missing, and {INDEX} names it", part.display());
    Err(EngineError::refused(why, "download it, too"))
}

/// The names of the files in the index at `path`; all of them lie beside it.
pub fn indexed_files(path: &Path) -> Result<BTreeSet<String>, EngineError> {
    let text = model_file::read(path).map_err(EngineError::at(path))?;
    let map = |fields: Fields| fields.needed("weight_map", Fields::table)?.all_texts();
    let map = Fields::parse(&text).and_then(map).map_err(EngineError::at(path))?;
    let names: BTreeSet<String> = map.into_values().collect();
    let is_name = |name: &&String| {
        name.len() <= LONGEST_NAME && Path::new(name).file_name().is_some_and(|file| file == name.as_str())
    };
    match names.iter().find(|name| !is_name(name)) {
        Some(name) => {
            let shown: String = name.chars().take(LONGEST_NAME).collect();
            Err(EngineError::at(path)(format!("{shown:?} is not the name of a file")))
        }
        None => Ok(names),
    }
}

/// What a directory without safetensors has instead.
fn instead(directory: &Path) -> EngineError {
    let mut names: Vec<_> =
        directory.read_dir().into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let ends = |ending: &str| names.iter().filter_map(|name| name.to_str()).find(|name| name.ends_with(ending));
    let place = directory.display();
    if let Some(name) = ends(".bin").or_else(|| ends(".pth")).or_else(|| ends(".pt")) {
        let why = format!("{place}: its weights are PyTorch's ({name}), and only safetensors are read");
        return EngineError::refused(why, "save it anew with transformers' save_pretrained");
    }
    EngineError::refused(format!("{place}: no {SINGLE} and no {INDEX}"), "is it a model's directory?")
}

/// The tensors of a safetensors file that is whole.
fn tensors(path: &Path) -> Result<Vec<String>, EngineError> {
    let wrong =
        |error: SafetensorsError| EngineError::refused(format!("weights: {} {error}", path.display()), error.hint());
    let mut file = model_file::open(path).map_err(EngineError::at(path))?;
    let size = file.metadata().map_err(EngineError::at(path))?.len();
    let mut head = Vec::new();
    file.by_ref().take(recognize::HEAD as u64).read_to_end(&mut head).map_err(EngineError::at(path))?;
    // The length of a header may begin as other files do.
    let foreign = recognize(&head).filter(|_| head.get(8) != Some(&b'{'));
    if let Some(Foreign { what, hint }) = foreign {
        return Err(EngineError::refused(format!("weights: {} {what}", path.display()), hint));
    }
    let length = head.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).filter(|length| *length <= MAX_HEADER);
    let length = length.ok_or_else(|| wrong(SafetensorsError::NotSafetensors(size)))?;
    let start = 8 + length;
    if size < start {
        return Err(wrong(SafetensorsError::HeaderCutOff { size, header: start }));
    }
    let mut header = head.split_off(8);
    file.take(length.saturating_sub(header.len() as u64)).read_to_end(&mut header).map_err(EngineError::at(path))?;
    header.truncate(length as usize);
    safetensors_header::tensors(&header, start, size).map_err(wrong)
}
