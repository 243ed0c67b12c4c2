//! The two writers of a command.

use std::fmt::Arguments;
use std::io::{self, Write};

use serde::Serialize;

use crate::error::{Error, Result};

/// What a command gets to write to.
pub struct Io<'a> {
    /// Only the result.
    pub out: Writer<'a>,
    /// Everything else.
    pub err: Writer<'a>,
}

impl<'a> Io<'a> {
    pub fn new(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { out: Writer(out), err: Writer(err) }
    }
}

/// Writes, or ends the command.
pub struct Writer<'a>(&'a mut dyn Write);

impl Writer<'_> {
    /// What `write!` and `writeln!` call.
    pub fn write_fmt(&mut self, text: Arguments) -> Result<()> {
        self.0.write_fmt(text).map_err(unwritable)
    }

    pub fn text(&mut self, text: &str) -> Result<()> {
        self.0.write_all(text.as_bytes()).map_err(unwritable)
    }

    /// As indented JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(|error| unwritable(error.into()))?;
        self.text(&(text + "\n"))
    }

    /// As JSON in one line.
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).map_err(|error| unwritable(error.into()))?;
        self.text(&(text + "\n"))
    }

    /// For whoever writes in other ways; what then fails is [`unwritable`].
    pub fn raw(&mut self) -> &mut dyn Write {
        self.0
    }
}

/// Output that can't be written: a closed pipe, a full disk.
pub fn unwritable(cause: io::Error) -> Error {
    Error::output(cause)
}
