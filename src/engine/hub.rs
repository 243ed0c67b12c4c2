//! Models from the Hugging Face Hub, kept in the cache that Python's `huggingface_hub` uses as well.
//!
//! `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT` and `HF_TOKEN` are read by hf-hub; `HF_HUB_OFFLINE` it leaves to its caller.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};

use hf_hub::progress::{DownloadEvent, Progress as HubProgress, ProgressEvent, ProgressHandler};
use hf_hub::repository::RepoTypeModel;
use hf_hub::{HFClientSync, HFError, HFRepositorySync};

use super::candle::qwen2::checkpoint::{INDEX, SINGLE, indexed_files};
use super::{EngineError, Progress};
use crate::redact::Secrets;

/// A model's files at one commit.
pub struct Snapshot {
    /// In the hub's cache.
    pub directory: PathBuf,
    /// What the branch or tag stood for.
    pub commit: String,
}

/// Downloads config.json and the safetensors of `model`, as far as they aren't in the cache.
pub fn download(model: &str, revision: Option<&str>, progress: Progress) -> Result<Snapshot, EngineError> {
    snapshot(model, revision, is_offline(), progress)
}

/// Is all of `model` in the cache? Nothing is asked of the hub.
pub fn is_cached(model: &str, revision: Option<&str>) -> bool {
    snapshot(model, revision, true, &mut |_, _| {}).is_ok()
}

/// Has somebody said that nothing is to be downloaded?
pub fn is_offline() -> bool {
    is_set("HF_HUB_OFFLINE")
}

fn snapshot(model: &str, revision: Option<&str>, offline: bool, progress: Progress) -> Result<Snapshot, EngineError> {
    let (owner, name) = split_id(model)?;
    let client = HFClientSync::new().map_err(|error| EngineError::Failed(format!("Hugging Face Hub: {error}")))?;
    let mut repository = Repository {
        files: client.model(owner, name),
        model,
        revision: revision.unwrap_or("main").to_owned(),
        offline,
        done: 0,
        progress,
    };
    let config = repository.get("config.json")?;
    let (directory, commit) = snapshot_of(&config)
        .ok_or_else(|| EngineError::Failed(format!("{} is not in a snapshot of the hub's cache", config.display())))?;
    // The rest comes from the same commit, whatever happens to the branch meanwhile.
    repository.revision.clone_from(&commit);
    for file in repository.weights(&directory)? {
        repository.get(&file)?;
    }
    Ok(Snapshot { directory, commit })
}

/// `.../snapshots/COMMIT/config.json`: the directory and the commit.
fn snapshot_of(config: &Path) -> Option<(PathBuf, String)> {
    let directory = config.parent()?;
    let commit = directory.file_name()?.to_str()?;
    Some((directory.to_owned(), commit.to_owned()))
}

/// `owner/name`, of the letters that the hub allows.
fn split_id(model: &str) -> Result<(&str, &str), EngineError> {
    let valid = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.contains("..")
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
    };
    match model.split_once('/') {
        Some((owner, name)) if valid(owner) && valid(name) => Ok((owner, name)),
        _ => Err(EngineError::Failed(format!(
            "{model:?} is neither a directory nor a model's id on the hub, such as Qwen/Qwen2.5-0.5B-Instruct"
        ))),
    }
}

/// As Python's huggingface_hub reads a switch.
#[expect(clippy::disallowed_methods, reason = "the hub's variables, as all its programs read them")]
fn is_set(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str()))
}

struct Repository<'a> {
    files: HFRepositorySync<RepoTypeModel>,
    model: &'a str,
    revision: String,
    offline: bool,
    /// Bytes of the files that are finished.
    done: u64,
    progress: Progress<'a>,
}

impl Repository<'_> {
    fn get(&mut self, file: &str) -> Result<PathBuf, EngineError> {
        self.try_get(file).map_err(|error| self.explain(file, &error))
    }

    /// Downloads `file`, unless it is in the cache. hf-hub tells of progress from threads of its own.
    fn try_get(&mut self, file: &str) -> Result<PathBuf, HFError> {
        let (sender, receiver) = channel();
        let request = self
            .files
            .download_file()
            .filename(file)
            .revision(self.revision.clone())
            .local_files_only(self.offline)
            .progress(HubProgress::new(Reporter(sender)));
        std::thread::scope(|scope| {
            let download = scope.spawn(|| request.send());
            let mut size = 0;
            for (done, total) in receiver {
                size = total;
                (self.progress)(self.done + done, self.done + total);
            }
            self.done += size;
            download.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The names of the safetensors files. What is in the snapshot already tells without asking: the hub may be away.
    fn weights(&mut self, snapshot: &Path) -> Result<BTreeSet<String>, EngineError> {
        if snapshot.join(SINGLE).is_file() && !snapshot.join(INDEX).is_file() {
            return Ok(BTreeSet::from([SINGLE.to_owned()]));
        }
        match self.try_get(INDEX) {
            Ok(path) => indexed_files(&path),
            // A small model has no index.
            Err(HFError::EntryNotFound { .. } | HFError::LocalEntryNotFound { .. }) => {
                Ok(BTreeSet::from([SINGLE.to_owned()]))
            }
            Err(error) => Err(self.explain(INDEX, &error)),
        }
    }

    /// What went wrong and what to do about it. The hub's own error isn't kept: it may hold the token.
    fn explain(&self, file: &str, error: &HFError) -> EngineError {
        let Self { model, revision, .. } = self;
        let what = format!("{model}: {file} at revision {revision}");
        let (why, hint) = match error {
            HFError::LocalEntryNotFound { .. } if self.offline => {
                (format!("{what} is not in the hub's cache, and HF_HUB_OFFLINE is set"), "unset it to download")
            }
            HFError::AuthRequired { .. } | HFError::Forbidden { .. } => (
                format!("{what}: the hub refuses access"),
                "check the id, and set HF_TOKEN to a token that may read it",
            ),
            HFError::RepoNotFound { .. } | HFError::RevisionNotFound { .. } | HFError::EntryNotFound { .. } => (
                format!("{what} is not on the hub"),
                "check the id and the revision, and set HF_TOKEN if the model is private",
            ),
            HFError::RateLimited { .. } => (format!("{what}: too many requests"), "wait a while, or set HF_TOKEN"),
            HFError::Request { .. } => (
                format!("{what}: the hub can't be reached ({error})"),
                "check the network and HF_ENDPOINT, set HF_HUB_OFFLINE=1 for what is in the cache, or use weights = \
                 \"generated\"",
            ),
            other => return EngineError::Failed(without_secrets(&format!("{what}: {other}"))),
        };
        EngineError::refused(without_secrets(&why), hint)
    }
}

/// A server's words may hold the token that it was sent.
fn without_secrets(said: &str) -> String {
    Secrets::of_environment().redact(said)
}

/// Sends one file's bytes, done and in all.
struct Reporter(Sender<(u64, u64)>);

impl ProgressHandler for Reporter {
    fn on_progress(&self, event: &ProgressEvent) {
        let ProgressEvent::Download(event) = event else { return };
        let bytes = match event {
            DownloadEvent::Start { total_bytes, .. } => Some((0, *total_bytes)),
            DownloadEvent::Progress { files } => files.last().map(|file| (file.bytes_completed, file.total_bytes)),
            DownloadEvent::AggregateProgress { bytes_completed, total_bytes, .. } => {
                Some((*bytes_completed, *total_bytes))
            }
            DownloadEvent::Complete => None,
        };
        if let Some(bytes) = bytes {
            // The receiver is gone only when the download is over.
            let _ = self.0.send(bytes);
        }
    }
}
