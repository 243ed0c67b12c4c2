//! The Hugging Face Hub.
//!
//! A file's headers tell its size, its hash and the commit, and a model's index its other files: mirrors of the hub may offer
//! no more. The hub's list is asked where all of a model is wanted.

use std::path::{Path, PathBuf};

use reqwest::Url;
use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap};
use serde_json::Value;

use super::directory::{INDEX, SINGLE, parts};
use super::download::turn;
use super::file_name::{is_below, is_plain};
use super::hub_client::HubClient;
use super::huggingface_cache::Cache;
use super::listing::{self, Listing, RemoteFile};
use super::patience::insist;
use super::refusal::Asked;
use super::transfer::Transfer;
use super::trouble::Trouble;
use super::{Asking, Growth, Held, Hub, HubError, HubName, ModelId, RemoteHub, Selection, Snapshot, hub_variables};

const BRANCH: &str = "main";

pub struct HuggingFace {
    client: HubClient,
    endpoint: Url,
    cache: Cache,
}

/// What is asked for, before the commit is known and after.
#[derive(Clone, Copy)]
struct At<'a> {
    model: &'a ModelId,
    revision: &'a str,
}

impl HuggingFace {
    pub fn open() -> Result<Self, HubError> {
        let place = hub_variables::hugging_face()?;
        Ok(Self { client: HubClient::new(&place, None)?, endpoint: place.endpoint, cache: Cache(place.cache) })
    }

    fn asked<'a>(&'a self, at: At<'a>, file: Option<&'a str>) -> Asked<'a> {
        let At { model, revision } = at;
        Asked { hub: HubName::HuggingFace, endpoint: &self.endpoint, model, revision, file }
    }

    fn file_address(&self, at: At, file: &str) -> Url {
        let model = [at.model.owner.as_str(), &at.model.name, "resolve", at.revision];
        self.client.address(model.into_iter().chain(file.split('/')))
    }

    /// A file's headers: which bytes it has, and the commit.
    fn head(&self, at: At, file: &str, asking: &mut Asking) -> Result<(RemoteFile, String), Trouble> {
        let url = self.file_address(at, file);
        let what = format!("{}: {file}", at.model);
        let headers = insist(asking.effort, &what, asking.watcher, || self.client.head(&url))?;
        described(file, &headers)
    }

    /// What the engine reads: config.json tells the commit, the index the rest.
    fn by_index(&self, at: At, asking: &mut Asking) -> Result<Listing, HubError> {
        let explain = |file| move |trouble| self.asked(at, Some(file)).explain(trouble);
        let (config, commit) = self.head(at, "config.json", asking).map_err(explain("config.json"))?;
        let listing = |files| Listing {
            model: at.model.clone(),
            revision: at.revision.to_owned(),
            commit: Some(commit.clone()),
            files,
        };
        if self.cache.is_whole(at.model, &commit) {
            return Ok(listing(Vec::new()));
        }
        let pinned = At { revision: &commit, ..at };
        let mut files = vec![config];
        let names = match self.head(pinned, INDEX, asking) {
            Ok((index, _)) => {
                files.push(index);
                self.parts(pinned, asking)?
            }
            // A small model has no index.
            Err(Trouble::Status { status: 404, .. }) => vec![SINGLE.to_owned()],
            Err(trouble) => return Err(self.asked(at, Some(INDEX)).explain(trouble)),
        };
        for name in names {
            let (file, _) =
                self.head(pinned, &name, asking).map_err(|trouble| self.asked(pinned, Some(&name)).explain(trouble))?;
            files.push(file);
        }
        Ok(listing(files))
    }

    /// The files that the index names.
    fn parts(&self, at: At, asking: &mut Asking) -> Result<Vec<String>, HubError> {
        let url = self.file_address(at, INDEX);
        let index = insist(asking.effort, INDEX, asking.watcher, || self.client.whole(&url))
            .map_err(|trouble| self.asked(at, Some(INDEX)).explain(trouble))?;
        let names =
            parts(&index).ok_or_else(|| HubError::new(format!("{}: {INDEX} is no index of weights", at.model)))?;
        let names: Vec<Value> = names.into_iter().map(Value::String).collect();
        let names = listing::checked(HubName::HuggingFace, at.model, &names, Value::as_str)?;
        Ok(names.into_iter().map(|(name, _)| name.to_owned()).collect())
    }

    /// The hub's own list; `None` where there is none.
    fn by_list(&self, at: At, wanted: &Selection, asking: &mut Asking) -> Result<Option<Listing>, HubError> {
        let parts = ["api", "models", &at.model.owner, &at.model.name, "revision", at.revision];
        let mut url = self.client.address(parts);
        url.set_query(Some("blobs=true"));
        let what = at.model.to_string();
        let answer = match insist(asking.effort, &what, asking.watcher, || self.client.json(&url)) {
            Err(Trouble::Status { status: 404 | 405 | 501, .. }) => return Ok(None),
            answer => answer.map_err(|trouble| self.asked(at, None).explain(trouble))?,
        };
        let commit = answer["sha"].as_str().filter(|commit| is_plain(commit));
        let (Some(commit), Some(entries)) = (commit, answer["siblings"].as_array()) else { return Ok(None) };
        let entries = listing::checked(HubName::HuggingFace, at.model, entries, |entry| entry["rfilename"].as_str())?;
        wanted.check(at.model, &entries.iter().map(|(path, _)| *path).collect::<Vec<_>>())?;
        let pinned = At { revision: commit, ..at };
        let files = entries.into_iter().filter(|(path, _)| wanted.takes(path));
        let files = files.map(|(path, entry)| match of_entry(path, entry) {
            Some(file) => Ok(file),
            None => self
                .head(pinned, path, asking)
                .map(|(file, _)| file)
                .map_err(|trouble| self.asked(pinned, Some(path)).explain(trouble)),
        });
        let files: Vec<RemoteFile> = files.collect::<Result<_, _>>()?;
        let (model, revision) = (at.model.clone(), at.revision.to_owned());
        Ok(Some(Listing { model, revision, commit: Some(commit.to_owned()), files }))
    }
}

/// `{"rfilename": ..., "size": ..., "blobId": ..., "lfs": {"sha256": ...}}`; `None` where it tells less.
fn of_entry(path: &str, entry: &Value) -> Option<RemoteFile> {
    let sha256 = listing::sha256(entry["lfs"]["sha256"].as_str());
    let tag = sha256.clone().or_else(|| entry["blobId"].as_str().filter(|tag| is_plain(tag)).map(str::to_owned))?;
    let size = entry["size"].as_u64().filter(|size| *size <= listing::MOST_BYTES)?;
    Some(RemoteFile { path: path.to_owned(), size, sha256, tag: Some(tag) })
}

/// A file by its headers. Large files lie elsewhere: the hub tells of them in headers of its own.
fn described(path: &str, headers: &HeaderMap) -> Result<(RemoteFile, String), Trouble> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let lacks = |what: &str| Trouble::Wrong(format!("the hub doesn't tell {what} of {path}"));
    let tag = header("x-linked-etag").or_else(|| header(ETAG.as_str()));
    let tag = tag.map(|tag| tag.trim_start_matches("W/").trim_matches('"')).filter(|tag| is_plain(tag));
    let tag = tag.ok_or_else(|| lacks("the entity tag"))?;
    let size = header("x-linked-size").or_else(|| header(CONTENT_LENGTH.as_str()));
    let size = size.and_then(|size| size.parse().ok()).filter(|size| *size <= listing::MOST_BYTES);
    let size = size.ok_or_else(|| lacks("the size"))?;
    let commit = header("x-repo-commit").filter(|commit| is_plain(commit)).ok_or_else(|| lacks("the commit"))?;
    let (path, sha256) = (path.to_owned(), listing::sha256(Some(tag)));
    Ok((RemoteFile { path, size, sha256, tag: Some(tag.to_owned()) }, commit.to_owned()))
}

impl Hub for HuggingFace {
    fn list(
        &self,
        model: &ModelId,
        revision: Option<&str>,
        wanted: &Selection,
        asking: &mut Asking,
    ) -> Result<Listing, HubError> {
        let revision = revision.unwrap_or(BRANCH);
        if !is_below(revision) {
            return Err(HubError::new(format!("{revision:?} is no branch, tag or commit")));
        }
        let at = At { model, revision };
        let listed = if *wanted == Selection::Weights { None } else { self.by_list(at, wanted, asking)? };
        match listed {
            Some(listing) => Ok(listing),
            None if matches!(wanted, Selection::Matching(_) | Selection::Gguf(_)) => Err(HubError::new(format!(
                "{model} at revision {revision} is not on the hub, or the hub has no list of its files"
            ))
            .hint("check the id; a hub without lists needs --include left out")),
            None => self.by_index(at, asking),
        }
    }

    fn fetch(&self, listing: &Listing, file: &RemoteFile, growth: &mut Growth) -> Result<PathBuf, HubError> {
        let (link, blob) = (self.cache.path(listing, file)?, self.cache.blob(listing, file)?);
        // What other programs hold, too, while they download these bytes.
        let _turn = turn(&self.cache.blob_lock(listing, file)?, &listing.model, growth.watcher)?;
        if self.here(listing, file) < file.size || !blob.is_file() {
            let at = At { model: &listing.model, revision: listing.commit.as_deref().unwrap_or(&listing.revision) };
            let (client, url, partial) = (&self.client, self.file_address(at, &file.path), &self.cache.partial(&blob));
            Transfer { client, url, file, partial, target: &blob }
                .run(growth)
                .map_err(|trouble| self.asked(at, Some(&file.path)).explain(trouble))?;
        }
        growth.tell(file.size, file.size);
        self.cache.link(listing, file)?;
        Ok(link)
    }

    fn cached(&self, model: &ModelId, revision: Option<&str>) -> Option<Snapshot> {
        self.cache.snapshot(model, revision.unwrap_or(BRANCH))
    }
}

impl RemoteHub for HuggingFace {
    fn cache(&self) -> &Path {
        &self.cache.0
    }

    fn here(&self, listing: &Listing, file: &RemoteFile) -> u64 {
        let Ok(blob) = self.cache.blob(listing, file) else { return 0 };
        let length = |path: &Path| path.metadata().ok().map(|found| found.len());
        match length(&blob) {
            Some(length) if length == file.size => length,
            _ => length(&self.cache.partial(&blob)).unwrap_or(0).min(file.size),
        }
    }

    fn held(&self, model: &ModelId) -> Option<Held> {
        self.cache.held(model)
    }

    fn finish(&self, listing: &Listing) -> Result<Snapshot, HubError> {
        self.cache.finish(listing)
    }

    fn lock(&self, model: &ModelId) -> PathBuf {
        self.cache.locks(model).join("bench-diff.lock")
    }
}
