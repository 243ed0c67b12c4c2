//! Where models come from: the Hugging Face Hub, ModelScope, a directory.
//!
//! What a hub is, is [`Hub`]; each is a file here. All of them download in one way (`transfer.rs`), into the cache that the
//! hub's own programs use, so that a model is on a disk once. File names, sizes and hashes that a hub tells are foreign.

mod directory;
mod download;
mod file_name;
pub mod gguf_name;
mod hub_client;
mod hub_error;
mod hub_variables;
mod huggingface;
mod huggingface_cache;
mod listing;
pub mod model_file;
mod model_id;
mod modelscope;
mod modelscope_cache;
mod patience;
mod refusal;
mod selection;
mod transfer;
mod trouble;
mod waiting_time;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use directory::{Directory, INDEX, SINGLE, has_weights, is_model};
pub use download::{find, here, pull};
pub use hub_error::{Fault, HubError};
pub use hub_variables::is_offline;
pub use listing::{Listing, RemoteFile};
pub use model_id::ModelId;
pub use patience::{Effort, Watcher};
pub use selection::Selection;
pub use waiting_time::retry_after;

use crate::word::words;

words! {
    /// A hub, by name.
    HubName {
        /// The Hugging Face Hub.
        HuggingFace = "huggingface",
        /// ModelScope.
        ModelScope = "modelscope",
    }
}

/// Where a model's files are.
pub trait Hub {
    /// What `model` has at `revision` of what is wanted; the usual branch where none is named.
    fn list(
        &self,
        model: &ModelId,
        revision: Option<&str>,
        wanted: &Selection,
        asking: &mut Asking,
    ) -> Result<Listing, HubError>;

    /// Brings a file of the listing here, unless it is. `grown` is told how many of its bytes are.
    fn fetch(&self, listing: &Listing, file: &RemoteFile, grown: &mut Growth) -> Result<PathBuf, HubError>;

    /// What can be loaded without asking anybody.
    fn cached(&self, model: &ModelId, revision: Option<&str>) -> Option<Snapshot>;
}

/// A hub far away, and the directory where its own programs keep what they downloaded.
pub trait RemoteHub: Hub {
    /// The directory, which need not be there yet.
    fn cache(&self) -> &Path;

    /// Bytes of a file that are here already, all of them or what an earlier try left.
    fn here(&self, listing: &Listing, file: &RemoteFile) -> u64;

    /// What there is of a model on this machine.
    fn held(&self, model: &ModelId) -> Option<Held>;

    /// Where the files of a listing lie together, once all of them are here; the branch's name is kept.
    fn finish(&self, listing: &Listing) -> Result<Snapshot, HubError>;

    /// What whoever downloads the model holds.
    fn lock(&self, model: &ModelId) -> PathBuf;
}

/// Told how many bytes of a file are here, by whoever brings it.
pub struct Growth<'a> {
    /// Who wants to know.
    pub watcher: &'a mut dyn Watcher,
    /// Bytes of the other files: those that are here, and those of all.
    pub others: (u64, u64),
}

impl Growth<'_> {
    /// So many of this file's bytes are here, of so many.
    pub fn tell(&mut self, done: u64, size: u64) {
        self.watcher.progress(self.others.0 + done, self.others.1 + size);
    }
}

/// How a hub is asked: how long it may take, and who wants to know.
pub struct Asking<'a> {
    pub effort: Effort,
    pub watcher: &'a mut dyn Watcher,
}

/// A model's files on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// All of them are in here.
    pub directory: PathBuf,
    /// What the branch or tag stood for, where the hub told.
    pub commit: Option<String>,
}

/// What there is of a model in a cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Whose cache.
    pub hub: HubName,
    /// The model's directory.
    pub path: PathBuf,
    /// Of all its files, with what is only begun.
    pub bytes: u64,
    /// It can be loaded.
    pub complete: bool,
}

impl HubName {
    /// The variable that holds its token.
    pub fn token_variable(self) -> &'static str {
        match self {
            Self::HuggingFace => hub_variables::HF_TOKEN,
            Self::ModelScope => hub_variables::MODELSCOPE_TOKEN,
        }
    }

    /// As a sentence calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::HuggingFace => "the Hugging Face Hub",
            Self::ModelScope => "ModelScope",
        }
    }

    /// The one that is asked where none is named.
    pub const DEFAULT: Self = Self::HuggingFace;

    /// All of them.
    pub const ALL: [Self; 2] = [Self::HuggingFace, Self::ModelScope];

    /// Ready to be asked; its variables may be wrong.
    pub fn open(self) -> Result<Box<dyn RemoteHub>, HubError> {
        Ok(match self {
            Self::HuggingFace => Box::new(huggingface::HuggingFace::open()?),
            Self::ModelScope => Box::new(modelscope::ModelScope::open()?),
        })
    }
}

impl Default for HubName {
    fn default() -> Self {
        Self::DEFAULT
    }
}
