//! What a hub says that a model consists of.

use serde_json::Value;

use super::file_name::is_below;
use super::{HubError, HubName, ModelId};

/// A model of the collection has some fifty files.
const MOST_FILES: usize = 10_000;
/// More than any disk holds: sums of such sizes stay numbers.
pub const MOST_BYTES: u64 = 1 << 50;

/// A model's files at a revision, as far as they are wanted.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Whose files.
    pub model: ModelId,
    /// The branch, tag or commit that was asked for.
    pub revision: String,
    /// What that stood for, where the hub told.
    pub commit: Option<String>,
    /// None where the cache has all of them at this commit.
    pub files: Vec<RemoteFile>,
}

/// A file that a hub has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Below the model's directory.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// In lower-case hexadecimal digits, where the hub told.
    pub sha256: Option<String>,
    /// The name that the hub gives these bytes, where it gives one.
    pub tag: Option<String>,
}

/// The names in a hub's list; an error for a list that no model has.
pub fn checked<'a>(
    hub: HubName,
    model: &ModelId,
    entries: &'a [Value],
    name: impl Fn(&'a Value) -> Option<&'a str>,
) -> Result<Vec<(&'a str, &'a Value)>, HubError> {
    let title = hub.title();
    if entries.len() > MOST_FILES {
        return Err(strange(format!("{title} lists {} files of {model}, more than any model has", entries.len())));
    }
    let names = entries.iter().map(|entry| match name(entry) {
        Some(path) if is_below(path) => Ok((path, entry)),
        Some(path) => {
            Err(strange(format!("{title} lists the file {path:?} of {model}, which leads out of its directory")))
        }
        None => Err(strange(format!("{title} lists a file of {model} without a name"))),
    });
    names.collect()
}

/// A size that a disk can have.
pub fn size(hub: HubName, model: &ModelId, path: &str, size: Option<u64>) -> Result<u64, HubError> {
    let title = hub.title();
    size.filter(|size| *size <= MOST_BYTES)
        .ok_or_else(|| strange(format!("{title} doesn't say how large {path:?} of {model} is")))
}

/// 64 hexadecimal digits, or nothing that can be checked.
pub fn sha256(text: Option<&str>) -> Option<String> {
    let text = text?.trim_matches('"');
    (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
}

fn strange(why: String) -> HubError {
    HubError::new(why).hint("nothing was downloaded: is that the hub you meant?")
}
