//! An SQLite database that anybody may have written. It is read from memory, and as <https://www.sqlite.org/security.html>
//! advises: nothing that it says is run, and what is damaged is found before a row is read.

use std::fs;
use std::io::{self, Read};

use rusqlite::config::DbConfig;
use rusqlite::ffi::code_to_str;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OptionalExtension, Row};

use super::MAX_BYTES;
use super::foreign_file::ForeignFile;
use crate::error::{Error, Result};

/// How such a file begins.
pub(super) const MAGIC: &str = "SQLite format 3\0";

/// Steps of SQLite's machine between two looks at how many there were, ...
const STEPS: i32 = 1000;
/// ... and how many it may take for each byte of a file: a row of a hundred bytes takes about as many.
const STEPS_PER_BYTE: usize = 4;
/// More than a small file needs.
const FEWEST_STEPS: usize = 1_000_000;

/// What a database may have at most: those that are read have one table.
const LIMITS: [(Limit, i32); 4] = [
    (Limit::SQLITE_LIMIT_LENGTH, MAX_BYTES as i32),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 10_000),
    (Limit::SQLITE_LIMIT_COLUMN, 100),
    (Limit::SQLITE_LIMIT_SCHEMA, 100),
];

pub(super) struct Database<'a> {
    file: &'a ForeignFile<'a>,
    connection: Connection,
}

impl<'a> Database<'a> {
    pub fn open(file: &'a ForeignFile<'a>) -> Result<Self> {
        if let Some(beside) = unfinished(file.name) {
            let problem = format!("{} is written still, or was never finished: {beside} holds the rest", file.name);
            let hint = format!(
                "wait until {} has ended; if it was stopped, opening it once with `sqlite3` settles it",
                file.tool
            );
            return Err(Error::usage(problem).hint(hint));
        }
        if is_cut_off(file.text) {
            return Err(Error::usage(format!("{} of {} ends in the middle: it looks cut off", file.name, file.tool)));
        }
        let connection = opened(file.text).map_err(|error| unreadable(file, error))?;
        Ok(Self { file, connection })
    }

    /// The names of the table's columns. There is none of a table that isn't there, or that isn't plain: one that computes.
    pub fn columns(&self, table: &str) -> Result<Vec<String>> {
        self.columns_of(table).map_err(|error| unreadable(self.file, error))
    }

    /// Each row of a table that is plain and whole, with the values of these columns.
    pub fn for_each(&self, table: &str, columns: &[&str], row: impl FnMut(&Row)) -> Result<()> {
        let damaged = |what: &str| self.file.error(&format!("the database is damaged ({what})"));
        match self.check(table).map_err(|error| unreadable(self.file, error))? {
            fine if fine == "ok" => {}
            what => return Err(damaged(what.trim().lines().last().unwrap_or_default())),
        }
        self.read(table, columns, row).map_err(|error| unreadable(self.file, error))
    }

    fn columns_of(&self, table: &str) -> rusqlite::Result<Vec<String>> {
        let schema = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        let sql: Option<String> = self.connection.query_row(schema, [table], |row| row.get(0)).optional()?;
        if !sql.is_some_and(|sql| is_plain(&sql)) {
            return Ok(Vec::new());
        }
        let mut statement = self.connection.prepare(&format!("PRAGMA table_info({table})"))?;
        statement.query_map([], |row| row.get("name"))?.collect()
    }

    /// `ok`, or what is wrong.
    fn check(&self, table: &str) -> rusqlite::Result<String> {
        self.connection.query_row(&format!("PRAGMA quick_check({table})"), [], |row| row.get(0))
    }

    fn read(&self, table: &str, columns: &[&str], mut each: impl FnMut(&Row)) -> rusqlite::Result<()> {
        let query = format!("SELECT {} FROM {table} NOT INDEXED", columns.join(", "));
        let mut statement = self.connection.prepare(&query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(row);
        }
        Ok(())
    }
}

/// Whatever computes (a view, a virtual table, a generated column, a check) is no plain list of columns: it is another
/// statement, or has parentheses of its own.
fn is_plain(sql: &str) -> bool {
    sql.starts_with("CREATE TABLE") && sql.matches('(').count() == 1
}

fn opened(text: &[u8]) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    for off in [
        DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
        DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
        DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
    ] {
        connection.set_db_config(off, false)?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.execute_batch("PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;")?;
    for (limit, most) in LIMITS {
        connection.set_limit(limit, most)?;
    }
    let mut looks = FEWEST_STEPS.max(text.len() * STEPS_PER_BYTE) / STEPS as usize;
    let too_long = move || {
        looks = looks.saturating_sub(1);
        looks == 0
    };
    connection.progress_handler(STEPS, Some(too_long))?;
    connection.deserialize_read_exact(MAIN_DB, in_one_file(text), text.len(), true)?;
    Ok(connection)
}

/// A database whose header says that changes are kept beside it (WAL) can't be opened in memory, though it is whole.
fn in_one_file(text: &[u8]) -> impl Read {
    const MODES: std::ops::Range<usize> = 18..20;
    let modes: Vec<u8> = text[MODES].iter().map(|&mode| if mode == 2 { 1 } else { mode }).collect();
    text[..MODES.start].chain(io::Cursor::new(modes)).chain(&text[MODES.end..])
}

/// A file in which SQLite keeps what belongs to the database, while somebody writes it.
fn unfinished(name: &str) -> Option<String> {
    let beside = ["-journal", "-wal"].map(|end| format!("{name}{end}"));
    beside.into_iter().find(|path| fs::metadata(path).is_ok_and(|file| file.len() > 0))
}

/// Is it shorter than its header says?
fn is_cut_off(text: &[u8]) -> bool {
    const HEADER: usize = 100;
    if text.len() < HEADER {
        return true;
    }
    let page = match u16::from_be_bytes([text[16], text[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let pages = u32::from_be_bytes([text[28], text[29], text[30], text[31]]);
    // Versions before 3.7 leave an old number of pages.
    let is_counted = text[24..28] == text[92..96];
    is_counted && (text.len() as u64) < page * u64::from(pages)
}

/// What SQLite itself says of it has no end: it repeats the file's own words.
fn unreadable(file: &ForeignFile, error: rusqlite::Error) -> Error {
    match error.sqlite_error() {
        Some(failed) if failed.code == ErrorCode::OperationInterrupted => {
            file.error(&format!("reading it takes too long: it isn't as {} writes it", file.tool))
        }
        Some(failed) => file.error("the database can't be read").because(code_to_str(failed.extended_code & 0xff)),
        None => file.error("the database can't be read").because(error),
    }
}
