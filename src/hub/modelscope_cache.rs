//! The cache of Python's modelscope.
//!
//! ```text
//! models/OWNER--NAME/snapshots/REVISION/FILE    # of today; FILE.incomplete until it is whole
//! models/OWNER/NA___ME/FILE                     # before 1.38, `.` spelled `___`; it is gone on with where it is there
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use super::directory::{bytes, is_whole};
use super::file_name::is_below;
use super::{Held, HubName, ModelId, Snapshot};

/// Where none is named.
pub const BRANCH: &str = "master";

pub struct Cache(pub PathBuf);

impl Cache {
    fn snapshots(&self, model: &ModelId) -> PathBuf {
        self.0.join("models").join(format!("{}--{}", model.owner, model.name)).join("snapshots")
    }

    /// Directories of older programs, which knew one revision of a model.
    fn older(&self, model: &ModelId) -> Vec<PathBuf> {
        let spelled = model.name.replace('.', "___");
        let roots = [self.0.join("models"), self.0.join("hub/models")];
        let others = [self.0.clone(), self.0.join("hub"), self.0.join("models")];
        let roots = roots.iter().map(|root| root.join(&model.owner).join(&spelled));
        roots.chain(others.iter().map(|root| root.join(&model.owner).join(&model.name))).collect()
    }

    /// Where its files are or will be: python's program goes on with an older directory, too.
    pub fn directory(&self, model: &ModelId, revision: &str) -> PathBuf {
        let older = self.older(model).into_iter().filter(|_| revision == BRANCH).find(|path| has_files(path));
        older.unwrap_or_else(|| self.snapshots(model).join(revision))
    }

    /// What can be loaded of a revision; of any that is the only one, where none is named.
    pub fn snapshot(&self, model: &ModelId, revision: Option<&str>) -> Option<Snapshot> {
        let named = revision.unwrap_or(BRANCH);
        let found = Some(named).filter(|named| is_below(named)).map(|named| self.directory(model, named));
        let found = found.filter(|directory| is_whole(directory));
        let found = found.or_else(|| if revision.is_none() { self.only(model) } else { None });
        found.map(|directory| Snapshot { directory, commit: None })
    }

    fn only(&self, model: &ModelId) -> Option<PathBuf> {
        let mut whole = self.revisions(model).filter(|path| is_whole(path));
        whole.next().filter(|_| whole.next().is_none())
    }

    fn revisions(&self, model: &ModelId) -> impl Iterator<Item = PathBuf> + use<> {
        fs::read_dir(self.snapshots(model)).into_iter().flatten().flatten().map(|entry| entry.path())
    }

    pub fn held(&self, model: &ModelId) -> Option<Held> {
        let older = self.older(model).into_iter().find(|path| has_files(path));
        let complete = older.as_deref().is_some_and(is_whole) || self.revisions(model).any(|path| is_whole(&path));
        let path = older.unwrap_or_else(|| self.snapshots(model));
        let bytes = bytes(&path);
        (bytes > 0).then_some(Held { hub: HubName::ModelScope, path, bytes, complete })
    }
}

fn has_files(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}
