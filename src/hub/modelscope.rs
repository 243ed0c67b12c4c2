//! ModelScope. It lists a model with sizes and SHA-256; a branch has no commit, only its files have.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use reqwest::Url;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::file_name::{is_below, with_end};
use super::hub_client::HubClient;
use super::listing::{self, Listing, RemoteFile};
use super::modelscope_cache::{BRANCH, Cache};
use super::patience::insist;
use super::refusal::Asked;
use super::transfer::Transfer;
use super::trouble::Trouble;
use super::{Asking, Growth, Held, Hub, HubError, HubName, ModelId, RemoteHub, Selection, Snapshot, hub_variables};
use crate::hex::hex;

/// Where older addresses of the hub look for the token.
const COOKIE: &str = "m_session_id";
/// Smaller files are read again to know whether they are the hub's; of larger ones the size tells.
const SMALL: u64 = 1 << 20;

pub struct ModelScope {
    client: HubClient,
    endpoint: Url,
    cache: Cache,
}

impl ModelScope {
    pub fn open() -> Result<Self, HubError> {
        let place = hub_variables::model_scope()?;
        Ok(Self { client: HubClient::new(&place, Some(COOKIE))?, endpoint: place.endpoint, cache: Cache(place.cache) })
    }

    fn asked<'a>(&'a self, model: &'a ModelId, revision: &'a str, file: Option<&'a str>) -> Asked<'a> {
        Asked { hub: HubName::ModelScope, endpoint: &self.endpoint, model, revision, file }
    }

    /// `/api/v1/models/OWNER/NAME/...?...`
    fn address(&self, model: &ModelId, parts: &[&str], query: &[(&str, &str)]) -> Url {
        let model = ["api", "v1", "models", &model.owner, &model.name];
        let mut url = self.client.address(model.into_iter().chain(parts.iter().copied()));
        url.query_pairs_mut().extend_pairs(query);
        url
    }
}

/// `{"Code": 200, "Success": true, "Data": {"Files": [...]}}`. What went wrong may come with status 200.
fn entries<'a>(answer: &'a Value, client: &HubClient) -> Result<&'a Vec<Value>, Trouble> {
    let failed = answer["Success"] == false || answer["Code"].as_u64().is_some_and(|code| code != 200);
    if failed {
        let said = client.shown(answer["Message"].as_str().unwrap_or_default());
        let status = answer["Code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(404);
        return Err(Trouble::Status { status, code: None, said, retry_after: None });
    }
    let files = answer["Data"]["Files"].as_array();
    files.ok_or_else(|| Trouble::Wrong("the hub's list of files has none".to_owned()))
}

/// Does this file hold what the hub lists? As far as that can be told at once.
fn is_same(path: &Path, file: &RemoteFile) -> bool {
    let has_size = path.metadata().is_ok_and(|found| found.is_file() && found.len() == file.size);
    let Some(listed) = file.sha256.as_ref().filter(|_| file.size <= SMALL && has_size) else { return has_size };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|open| open.take(SMALL).read_to_end(&mut bytes));
    read.is_ok() && hex(&Sha256::digest(&bytes)) == *listed
}

impl Hub for ModelScope {
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
        let url = self.address(model, &["repo", "files"], &[("Revision", revision), ("Recursive", "true")]);
        let explain = |trouble| self.asked(model, revision, None).explain(trouble);
        let answer = insist(asking.effort, &model.to_string(), asking.watcher, || {
            let answer = self.client.json(&url)?;
            entries(&answer, &self.client).cloned()
        });
        let answer = answer.map_err(explain)?;
        let entries = listing::checked(HubName::ModelScope, model, &answer, |entry| entry["Path"].as_str())?;
        let files: Vec<_> = entries.into_iter().filter(|(_, entry)| entry["Type"] != "tree").collect();
        wanted.check(model, &files.iter().map(|(path, _)| *path).collect::<Vec<_>>())?;
        let files = files.into_iter().filter(|(path, _)| wanted.takes(path)).map(|(path, entry)| {
            let size = listing::size(HubName::ModelScope, model, path, entry["Size"].as_u64())?;
            let sha256 = listing::sha256(entry["Sha256"].as_str());
            Ok(RemoteFile { path: path.to_owned(), size, sha256, tag: None })
        });
        let files = files.collect::<Result<_, HubError>>()?;
        Ok(Listing { model: model.clone(), revision: revision.to_owned(), commit: None, files })
    }

    fn fetch(&self, listing: &Listing, file: &RemoteFile, growth: &mut Growth) -> Result<PathBuf, HubError> {
        let Listing { model, revision, .. } = listing;
        let target = self.cache.directory(model, revision).join(&file.path);
        if !is_same(&target, file) {
            let url = self.address(model, &["repo"], &[("Revision", revision), ("FilePath", &file.path)]);
            let (client, partial) = (&self.client, &with_end(&target, ".incomplete"));
            Transfer { client, url, file, partial, target: &target }
                .run(growth)
                .map_err(|trouble| self.asked(model, revision, Some(&file.path)).explain(trouble))?;
        }
        growth.tell(file.size, file.size);
        Ok(target)
    }

    fn cached(&self, model: &ModelId, revision: Option<&str>) -> Option<Snapshot> {
        self.cache.snapshot(model, revision)
    }
}

impl RemoteHub for ModelScope {
    fn cache(&self) -> &Path {
        &self.cache.0
    }

    fn here(&self, listing: &Listing, file: &RemoteFile) -> u64 {
        let target = self.cache.directory(&listing.model, &listing.revision).join(&file.path);
        let partial = || with_end(&target, ".incomplete").metadata().map_or(0, |found| found.len());
        if is_same(&target, file) { file.size } else { partial().min(file.size) }
    }

    fn held(&self, model: &ModelId) -> Option<Held> {
        self.cache.held(model)
    }

    fn finish(&self, listing: &Listing) -> Result<Snapshot, HubError> {
        Ok(Snapshot { directory: self.cache.directory(&listing.model, &listing.revision), commit: None })
    }

    fn lock(&self, model: &ModelId) -> PathBuf {
        self.cache.0.join(".lock").join(format!("bench-diff--{}--{}.lock", model.owner, model.name))
    }
}
