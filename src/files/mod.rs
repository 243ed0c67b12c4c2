//! Every file that the program writes: claimed, so that nobody else writes it; checked, as only the one who holds it
//! knows what is there; then written whole or not at all.
//!
//! ```text
//! let output = Output::claim(path)?; // refused, with the holder's name, while another process writes the same file
//! if output.exists() { ... }         // true until we write
//! output.write(|out| ...)?;          // a reader, or a power cut, sees the old file or the new one
//! ```
//!
//! What belongs to a file lies beside it while it is written: `.NAME.bench-diff-lock` and `.NAME.bench-diff-new`. Both
//! go when it is done, and what a killed process left there is used up by the next one that writes the file.
//!
//! Files that a person or a pull request names are read with a limit (`read_at_most`), and only regular ones.

#![expect(clippy::disallowed_methods, reason = "the one room that writes files")]

mod bounded;
mod folder;
pub(crate) mod leftover;
pub(crate) mod lock;
mod output;
mod partial;
mod place;
mod scratch;

pub use bounded::{open_regular, read_at_most, text_at_most};
pub use folder::Folder;
pub use output::{Output, append, write};
pub use partial::{Partial, free_bytes, link};
pub use scratch::Scratch;
