//! A model in a directory of one's own: a hub whose files are all here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::gguf_name::is_named;
use super::listing::{Listing, RemoteFile};
use super::{Asking, Growth, Hub, HubError, ModelId, Selection, Snapshot, model_file};

/// Which file of a checkpoint holds which tensor, where there are several.
pub const INDEX: &str = "model.safetensors.index.json";
/// Of the only file where there is one.
pub const SINGLE: &str = "model.safetensors";

/// A directory with config.json and weights. It has one model, whatever that is called, and no revisions.
pub struct Directory(pub PathBuf);

/// Are config.json and all weights there? A GGUF file has both in it.
pub fn is_whole(directory: &Path) -> bool {
    let has = |name: &str| directory.join(name).is_file();
    let has_weights = || match model_file::read(&directory.join(INDEX)) {
        Ok(index) => parts(&index).is_some_and(|parts| !parts.is_empty() && parts.iter().all(|part| has(part))),
        Err(_) => has(SINGLE),
    };
    has("config.json") && has_weights() || has_gguf(directory)
}

/// May a model be there? In a directory, or in a GGUF file.
pub fn is_model(path: &Path) -> bool {
    path.is_dir() || is_named(path) && path.is_file()
}

/// Is there anything at `path` that could be weights? Whether all of them are there shows when they are read.
pub fn has_weights(path: &Path) -> bool {
    let has = |name: &str| path.join(name).symlink_metadata().is_ok();
    !path.is_dir() || has(SINGLE) || has(INDEX) || has_gguf(path)
}

fn has_gguf(directory: &Path) -> bool {
    let mut names = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().ends_with(".gguf"))
}

/// The files that an index names; `None` for what is no index.
pub fn parts(index: &[u8]) -> Option<BTreeSet<String>> {
    let index: Value = serde_json::from_slice(index).ok()?;
    let names = index.get("weight_map")?.as_object()?.values();
    names.map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Bytes of all files below, links followed to files alone.
pub fn bytes(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |path: PathBuf| match path.symlink_metadata() {
        Ok(found) if found.is_dir() => bytes(&path),
        Ok(found) if found.is_file() => found.len(),
        _ => 0,
    };
    entries.map(|entry| size(entry.path())).sum()
}

impl Hub for Directory {
    fn list(&self, model: &ModelId, _: Option<&str>, wanted: &Selection, _: &mut Asking) -> Result<Listing, HubError> {
        let entries = fs::read_dir(&self.0)
            .map_err(|error| HubError::new(format!("can't read the directory {}: {error}", self.0.display())))?;
        let file = |entry: fs::DirEntry| {
            let (path, found) = (entry.file_name().into_string().ok()?, fs::metadata(entry.path()).ok()?);
            let is_wanted = found.is_file() && wanted.takes(&path);
            is_wanted.then_some(RemoteFile { path, size: found.len(), sha256: None, tag: None })
        };
        let files = entries.flatten().filter_map(file).collect();
        Ok(Listing { model: model.clone(), revision: String::new(), commit: None, files })
    }

    fn fetch(&self, _: &Listing, file: &RemoteFile, _: &mut Growth) -> Result<PathBuf, HubError> {
        Ok(self.0.join(&file.path))
    }

    fn cached(&self, _: &ModelId, _: Option<&str>) -> Option<Snapshot> {
        is_whole(&self.0).then(|| Snapshot { directory: self.0.clone(), commit: None })
    }
}
