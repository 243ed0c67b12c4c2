//! A whole model: one at a time, after looking whether there is room; and what of the caches can be loaded.

use std::path::Path;
use std::time::Duration;

use super::hub_error::Fault;
use super::patience::{Effort, Watcher};
use super::{Asking, Growth, HubError, HubName, Listing, ModelId, RemoteHub, Selection, Snapshot, is_offline};
use crate::files;
use crate::files::lock::{Lock, Refused};
use crate::number::bytes;

/// What can be loaded without asking anybody: of this hub's cache, or of another's. Qwen publishes the same files on both.
pub fn here(hub: HubName, model: &str, revision: Option<&str>) -> Option<(HubName, Snapshot)> {
    let (model, wanted) = Selection::of(model).ok()?;
    let cached = |hub: HubName| {
        let snapshot = hub.open().ok()?.cached(&model, revision)?;
        wanted.is_in(&snapshot.directory).then_some((hub, snapshot))
    };
    cached(hub).or_else(|| others(hub, revision).find_map(cached))
}

/// A branch or tag of one hub says nothing about another's.
fn others(hub: HubName, revision: Option<&str>) -> impl Iterator<Item = HubName> {
    HubName::ALL.into_iter().filter(move |other| *other != hub && revision.is_none())
}

/// What the engine reads of a model: of the hub's cache, if that is the newest; of another hub's; else downloaded.
pub fn find(
    hub: HubName,
    model: &str,
    revision: Option<&str>,
    watcher: &mut dyn Watcher,
) -> Result<Snapshot, HubError> {
    let (id, wanted) = Selection::of(model)?;
    let cached = here(hub, model, revision);
    match cached {
        Some((_, snapshot)) if is_offline() => Ok(snapshot),
        None if is_offline() => Err(offline(model, revision)),
        Some((other, snapshot)) if other != hub => Ok(snapshot),
        Some((_, snapshot)) => match bring(&*hub.open()?, &id, revision, &wanted, Effort::Once, watcher) {
            Err(error) if error.fault == Fault::Unreachable => {
                tracing::debug!("{model}: {error}; the cache's is taken");
                Ok(snapshot)
            }
            newest => newest,
        },
        None => bring(&*hub.open()?, &id, revision, &wanted, Effort::Persistent, watcher),
    }
}

/// Downloads what is wanted of a model into the hub's cache, as far as it isn't there.
pub fn pull(
    hub: HubName,
    model: &ModelId,
    revision: Option<&str>,
    wanted: &Selection,
    watcher: &mut dyn Watcher,
) -> Result<Snapshot, HubError> {
    if is_offline() {
        return Err(HubError::new(format!("{model} can't be downloaded: HF_HUB_OFFLINE is set")).hint("unset it"));
    }
    bring(&*hub.open()?, model, revision, wanted, Effort::Persistent, watcher)
}

fn offline(model: &str, revision: Option<&str>) -> HubError {
    let revision = revision.map(|revision| format!(" at revision {revision}")).unwrap_or_default();
    HubError::new(format!("{model}{revision} is not in the cache of any hub, and HF_HUB_OFFLINE is set"))
        .hint("unset it to download")
}

fn bring(
    hub: &dyn RemoteHub,
    model: &ModelId,
    revision: Option<&str>,
    wanted: &Selection,
    effort: Effort,
    watcher: &mut dyn Watcher,
) -> Result<Snapshot, HubError> {
    let listing = hub.list(model, revision, wanted, &mut Asking { effort, watcher })?;
    if listing.files.is_empty() {
        return hub.finish(&listing);
    }
    let _turn = turn(&hub.lock(model), model, watcher)?;
    let mut here: Vec<u64> = listing.files.iter().map(|file| hub.here(&listing, file)).collect();
    let total: u64 = listing.files.iter().map(|file| file.size).sum();
    check_room(hub, &listing, total - here.iter().sum::<u64>())?;
    for (index, file) in listing.files.iter().enumerate() {
        let others = (here.iter().sum::<u64>() - here[index], total - file.size);
        hub.fetch(&listing, file, &mut Growth { watcher, others })?;
        here[index] = file.size;
    }
    hub.finish(&listing)
}

fn check_room(hub: &dyn RemoteHub, listing: &Listing, missing: u64) -> Result<(), HubError> {
    let Some(free) = files::free_bytes(hub.cache()).filter(|free| *free < missing) else { return Ok(()) };
    let (model, place) = (&listing.model, hub.cache().display());
    Err(HubError::new(format!("{model} needs {} more, but {place} has room for {}", bytes(missing), bytes(free)))
        .hint("make room, or set HF_HUB_CACHE or MODELSCOPE_CACHE to a directory on a larger disk"))
}

/// Waits for whoever downloads the same. The kernel frees the lock whatever ends its holder.
pub fn turn(path: &Path, model: &ModelId, watcher: &mut dyn Watcher) -> Result<Lock, HubError> {
    const LOOK: Duration = Duration::from_millis(200);
    let parent = path.parent().unwrap_or(path);
    std::fs::create_dir_all(parent).map_err(HubError::at(parent))?;
    let mut told = false;
    loop {
        match Lock::take(path, LOOK) {
            Ok(lock) => return Ok(lock),
            Err(Refused::Failed(error)) => return Err(HubError::at(path)(error)),
            Err(Refused::Held(_)) if watcher.is_stopped() => {
                return Err(HubError::new(format!("{model}: stopped")).fault(Fault::Stopped));
            }
            Err(Refused::Held(holder)) if !told => {
                watcher.notice(&format!("{holder} is downloading {model}: waiting for it"));
                told = true;
            }
            Err(Refused::Held(_)) => {}
        }
    }
}
