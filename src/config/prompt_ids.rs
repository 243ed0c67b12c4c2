//! A prompt of one's own: a file with token ids, for models of other vocabularies.

use std::path::Path;

use super::file::MAX_LENGTH;
use crate::files;

/// A list of the longest prompt takes less.
const MAX_BYTES: u64 = 2 << 20;

/// The ids of a JSON list, in its order. The problem, in one sentence.
pub fn read(path: &Path) -> Result<Vec<u32>, String> {
    let wrong = |why: String| format!("can't read the token ids of {}: {why}", path.display());
    let text = files::read_at_most(path, MAX_BYTES).map_err(|error| wrong(error.to_string()))?;
    let ids: Vec<u32> =
        serde_json::from_slice(&text).map_err(|_| wrong("it must be a JSON list of whole numbers".to_owned()))?;
    match ids.len() {
        0 => Err(wrong("the list is empty".to_owned())),
        length if length > MAX_LENGTH as usize => {
            Err(wrong(format!("{length} ids are more than the {MAX_LENGTH} that a context can have")))
        }
        _ => Ok(ids),
    }
}
