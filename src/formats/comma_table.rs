//! CSV with a header.

use csv::{ReaderBuilder, StringRecord};

use super::cells::Cells;
use super::foreign_file::ForeignFile;
use crate::error::{Error, Result};

/// All rows, and where their columns are.
pub(super) struct Table {
    header: StringRecord,
    rows: Vec<StringRecord>,
}

/// A row by the names of its columns.
pub(super) struct Row<'a> {
    header: &'a StringRecord,
    fields: &'a StringRecord,
}

impl Table {
    /// A row that is shorter or longer than the header is an error: the last one of a file that was cut off.
    ///
    /// Headers of files that were put together one after the other are left out.
    pub fn read(file: &ForeignFile, cells: &mut Cells) -> Result<Self> {
        let text = file.text();
        file.warn_of_open_end(&text, cells);
        let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
        let unreadable = |error: csv::Error| {
            let line = error.position().map_or(0, csv::Position::line);
            file.error(&format!("line {line} doesn't fit the header: the file looks cut off"))
        };
        let header = reader.headers().map_err(unreadable)?.clone();
        let rows: Result<Vec<StringRecord>, csv::Error> = reader.into_records().collect();
        let rows = rows.map_err(unreadable)?.into_iter().filter(|row| *row != header).collect();
        Ok(Self { header, rows })
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|fields| Row { header: &self.header, fields })
    }

    pub fn has(&self, column: &str) -> bool {
        self.header.iter().any(|name| name.trim() == column)
    }
}

impl Row<'_> {
    pub fn text(&self, column: &str) -> Option<&str> {
        let at = self.header.iter().position(|name| name.trim() == column)?;
        Some(self.fields.get(at)?.trim()).filter(|text| !text.is_empty())
    }

    /// Each column that isn't empty, and what it holds.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.header.iter().zip(self.fields.iter());
        pairs.map(|(name, text)| (name.trim(), text.trim())).filter(|(_, text)| !text.is_empty())
    }

    pub fn number(&self, column: &str) -> Option<f64> {
        self.text(column)?.parse().ok()
    }

    pub fn error(&self, file: &ForeignFile, problem: &str) -> Error {
        let line = self.fields.position().map_or(0, csv::Position::line);
        file.error(&format!("line {line} {problem}"))
    }
}
