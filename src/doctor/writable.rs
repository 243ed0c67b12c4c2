//! Whether `ci` could write its files.

use super::found::Check;
use crate::ci::Local;
use crate::error::{Advice, sentence};
use crate::files::Folder;

/// Worth a line only where it couldn't.
pub fn check(local: &Local) -> Option<Check> {
    let error = Folder::check(&local.latest()).err()?;
    let check = Check::missing("files", sentence(&error));
    Some(match error.advice() {
        Some(advice) => check.hint(advice),
        None => check,
    })
}
