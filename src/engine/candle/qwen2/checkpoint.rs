//! The files of a checkpoint, looked at before any of them is mapped: which they are, and that they are whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::engine::EngineError;
use crate::hub::{INDEX, SINGLE};
use crate::recognize::{self, Foreign, recognize};

/// As the format's own library has it: nothing larger is a header.
const MAX_HEADER: u64 = 100_000_000;

/// The files that hold a checkpoint: those its index names, else the single one. Each is whole.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let index = directory.join(INDEX);
    let files = if index.is_file() {
        indexed_files(&index)?.iter().map(|name| directory.join(name)).collect()
    } else if directory.join(SINGLE).is_file() {
        vec![directory.join(SINGLE)]
    } else {
        return Err(instead(directory));
    };
    files.iter().try_for_each(|file| check(file))?;
    Ok(files)
}

/// The names of the files in the index at `path`; all of them lie beside it.
pub fn indexed_files(path: &Path) -> Result<BTreeSet<String>, EngineError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = std::fs::read_to_string(path).map_err(EngineError::at(path))?;
    let index: Index = serde_json::from_str(&text).map_err(EngineError::at(path))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    match names.iter().find(|name| Path::new(name).file_name().is_none_or(|file| file != name.as_str())) {
        Some(name) => Err(EngineError::at(path)(format!("{name:?} is not the name of a file"))),
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

/// A safetensors file as a whole. Its tensors are checked when they are read.
fn check(path: &Path) -> Result<(), EngineError> {
    let again = |why: String| EngineError::refused(format!("weights: {} {why}", path.display()), "download it again");
    let mut file = File::open(path).map_err(EngineError::at(path))?;
    let size = file.metadata().map_err(EngineError::at(path))?.len();
    let mut head = Vec::new();
    file.by_ref().take(recognize::HEAD as u64).read_to_end(&mut head).map_err(EngineError::at(path))?;
    if let Some(Foreign { what, hint }) = recognize(&head) {
        return Err(EngineError::refused(format!("weights: {} {what}", path.display()), hint));
    }
    let length = head.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).filter(|length| *length <= MAX_HEADER);
    let length = length.ok_or_else(|| again(format!("is not a safetensors file (it has {size} bytes)")))?;
    if size < 8 + length {
        return Err(again(format!("is cut off: it has {size} bytes, and its header alone {}", 8 + length)));
    }
    let mut header = head.split_off(8);
    file.take(length.saturating_sub(header.len() as u64)).read_to_end(&mut header).map_err(EngineError::at(path))?;
    header.truncate(length as usize);
    let end = data_bytes(&header).saturating_add(8 + length);
    if size < end { Err(again(format!("is cut off: it has {size} of {end} bytes"))) } else { Ok(()) }
}

/// Bytes of the tensors' data; 0 where the header can't be read, which the library says better.
fn data_bytes(header: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Tensor {
        data_offsets: Option<(u64, u64)>,
    }
    let tensors: BTreeMap<String, Tensor> = serde_json::from_slice(header).unwrap_or_default();
    tensors.values().filter_map(|tensor| tensor.data_offsets).map(|(_, end)| end).max().unwrap_or(0)
}
