//! A prompt of one's own: a file with token ids, for models of other vocabularies.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::file::MAX_LENGTH;

/// A list of the longest prompt takes less.
const MAX_BYTES: u64 = 2 << 20;

/// The ids of a JSON list, in its order. The problem, in one sentence.
pub fn read(path: &Path) -> Result<Vec<u32>, String> {
    let wrong = |why: String| format!("can't read the token ids of {}: {why}", path.display());
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(wrong(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
    }
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
