//! Files of a model, whoever made the folder.

use std::io;
use std::path::Path;

use crate::files;
pub use crate::files::open_regular as open;

/// No JSON file of a model is longer: the index of 72B's parts has 0.1 MB.
const MOST: u64 = 16 << 20;

/// The whole of a small file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    files::read_at_most(path, MOST)
}
