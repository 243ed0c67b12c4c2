//! The two writers of a command.

use std::io::Write;

/// What a command gets to write to.
pub struct Io<'a> {
    /// Only the result.
    pub out: &'a mut dyn Write,
    /// Everything else.
    pub err: &'a mut dyn Write,
}
