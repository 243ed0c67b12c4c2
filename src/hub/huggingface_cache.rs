//! The cache of Python's huggingface_hub: bytes by their entity tags, and for each commit a directory of links to them.
//!
//! ```text
//! models--OWNER--NAME/refs/main                   # a commit
//! models--OWNER--NAME/snapshots/COMMIT/FILE       # a link to
//! models--OWNER--NAME/blobs/TAG                   # the bytes; TAG.incomplete until they are all there
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use super::directory::{bytes, is_whole};
use super::file_name::{is_below, is_plain, with_end};
use super::listing::{Listing, RemoteFile};
use super::{Held, HubError, HubName, ModelId, Snapshot};
use crate::files;

/// Longer than any commit's name.
const MOST: u64 = 200;

pub struct Cache(pub PathBuf);

impl Cache {
    fn name(model: &ModelId) -> String {
        format!("models--{}--{}", model.owner, model.name)
    }

    fn model(&self, model: &ModelId) -> PathBuf {
        self.0.join(Self::name(model))
    }

    pub fn locks(&self, model: &ModelId) -> PathBuf {
        self.0.join(".locks").join(Self::name(model))
    }

    pub fn blob(&self, listing: &Listing, file: &RemoteFile) -> Result<PathBuf, HubError> {
        Ok(self.model(&listing.model).join("blobs").join(tag(file)?))
    }

    pub fn blob_lock(&self, listing: &Listing, file: &RemoteFile) -> Result<PathBuf, HubError> {
        Ok(self.locks(&listing.model).join(format!("{}.lock", tag(file)?)))
    }

    pub fn partial(&self, blob: &Path) -> PathBuf {
        with_end(blob, ".incomplete")
    }

    fn commit_directory(&self, model: &ModelId, commit: &str) -> PathBuf {
        self.model(model).join("snapshots").join(commit)
    }

    pub fn path(&self, listing: &Listing, file: &RemoteFile) -> Result<PathBuf, HubError> {
        let commit = listing.commit.as_deref().filter(|commit| is_plain(commit) && is_below(&file.path));
        let commit = commit.ok_or_else(|| HubError::new(format!("{}: no commit", listing.model)))?;
        Ok(self.commit_directory(&listing.model, commit).join(&file.path))
    }

    /// Relative, so that a cache can move.
    pub fn link(&self, listing: &Listing, file: &RemoteFile) -> Result<(), HubError> {
        let link = self.path(listing, file)?;
        let up = "../".repeat(2 + file.path.matches('/').count());
        let target = PathBuf::from(format!("{up}blobs/{}", tag(file)?));
        files::link(&target, &link).map_err(HubError::at(&link))
    }

    pub fn is_whole(&self, model: &ModelId, commit: &str) -> bool {
        is_plain(commit) && is_whole(&self.commit_directory(model, commit))
    }

    /// What can be loaded of a branch, tag or commit.
    pub fn snapshot(&self, model: &ModelId, revision: &str) -> Option<Snapshot> {
        if !is_below(revision) {
            return None;
        }
        let reference = self.model(model).join("refs").join(revision);
        let named = files::text_at_most(&reference, MOST).ok();
        let commit = named.map_or_else(|| revision.to_owned(), |text| text.trim().to_owned());
        let directory = self.commit_directory(model, &commit);
        self.is_whole(model, &commit).then_some(Snapshot { directory, commit: Some(commit) })
    }

    pub fn finish(&self, listing: &Listing) -> Result<Snapshot, HubError> {
        let commit = listing.commit.clone().unwrap_or_default();
        if listing.revision != commit {
            let reference = self.model(&listing.model).join("refs").join(&listing.revision);
            let parent = reference.parent().unwrap_or(&self.0);
            fs::create_dir_all(parent).map_err(HubError::at(parent))?;
            if files::text_at_most(&reference, MOST).is_ok_and(|there| there == commit) {
                // Others may only be allowed to read the cache.
            } else {
                let write = |out: &mut dyn std::io::Write| out.write_all(commit.as_bytes());
                files::write(&reference, write).map_err(HubError::at(&reference))?;
            }
        }
        Ok(Snapshot { directory: self.commit_directory(&listing.model, &commit), commit: Some(commit) })
    }

    pub fn held(&self, model: &ModelId) -> Option<Held> {
        let path = self.model(model);
        let bytes = bytes(&path.join("blobs")) + bytes(&path.join("snapshots"));
        let snapshots = fs::read_dir(path.join("snapshots")).into_iter().flatten().flatten();
        let complete = snapshots.map(|entry| entry.path()).any(|snapshot| is_whole(&snapshot));
        (bytes > 0).then_some(Held { hub: HubName::HuggingFace, path, bytes, complete })
    }
}

fn tag(file: &RemoteFile) -> Result<&str, HubError> {
    let tag = file.tag.as_deref().filter(|tag| is_plain(tag));
    tag.ok_or_else(|| HubError::new(format!("the hub gives {} no entity tag that can be a file's name", file.path)))
}
