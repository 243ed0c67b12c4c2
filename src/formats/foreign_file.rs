//! A file of another tool: JSON as such tools write it, or lines of text.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::cells::Cells;
use crate::error::{Error, Result};
use crate::results::without_bad_numbers;

/// The content, with the names for it in errors.
pub(super) struct ForeignFile<'a> {
    /// The path.
    pub name: &'a str,
    /// What is said to have written it.
    pub tool: &'a str,
    pub text: &'a [u8],
}

impl ForeignFile<'_> {
    pub fn error(&self, problem: &str) -> Error {
        Error::usage(format!("{}: {problem}", self.name))
    }

    /// One JSON document. A number that JSON or f64 can't hold is null.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        self.tolerant(|text| serde_json::from_slice(text))
    }

    /// The entries of an array, or documents one after the other, as a file has that results are appended to.
    pub fn documents<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        if self.text.trim_ascii_start().starts_with(b"[") {
            return self.json();
        }
        self.tolerant(|text| serde_json::Deserializer::from_slice(text).into_iter().collect())
    }

    /// Lines, also of Windows. What isn't UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.text).replace("\r\n", "\n")
    }

    /// Tools end their last line. Without that, its last number may be the half of one.
    pub fn warn_of_open_end(&self, text: &str, cells: &mut Cells) {
        if !text.ends_with('\n') {
            cells.warn(format!("{} ends in the middle of a line: its last value may be cut off", self.name));
        }
    }

    fn tolerant<T>(&self, parse: impl Fn(&[u8]) -> serde_json::Result<T>) -> Result<T> {
        let first = match parse(self.text) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        match without_bad_numbers(self.text).map(|repaired| parse(&repaired)) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(self.unreadable(error)),
            None => Err(self.unreadable(first)),
        }
    }

    fn unreadable(&self, error: serde_json::Error) -> Error {
        let Self { name, tool, text } = self;
        match error.classify() {
            _ if text.trim_ascii().is_empty() => Error::usage(format!("{name} is empty")),
            Category::Eof => {
                Error::usage(format!("{name} of {tool} ends in the middle (line {}): it looks cut off", error.line()))
            }
            _ => Error::usage(format!("{name} isn't as {tool} writes it")).because(error),
        }
    }
}

/// A number, also one in quotes; whatever else is none.
pub(super) fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()))
}
