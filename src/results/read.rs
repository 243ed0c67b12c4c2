//! Reads results files: strict about meaning, lenient about unknown fields, and prepared for any content.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Results, SCHEMA, Session, v1, v2};
use crate::error::{Error, Result};
use crate::recognize::{Foreign, recognize};

/// Larger files aren't read: a file of the largest suites is a tenth of this.
const MAX_BYTES: u64 = 1 << 30;

/// Reads and checks the results file at `path`.
pub fn read(path: &Path) -> Result<Results> {
    let text = read_bytes(path)?;
    parse(&path.display().to_string(), text)
}

/// The file's content, of bounded size.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|error| Error::reading(path, error))?;
    read_bounded(file, path)
}

/// What there is to read, of bounded size; `path` stands for it in errors.
pub fn read_bounded(from: impl Read, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| Error::reading(path, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::usage(format!("{} is larger than 1 GiB: not a file to compare", path.display())));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    Ok(bytes)
}

/// Parses and checks results; `name` stands for the file in errors.
pub fn parse(name: &str, text: Vec<u8>) -> Result<Results> {
    let what = "a results file";
    if text.trim_ascii_start().starts_with(b"[") && recognize(&text).is_none() {
        return Err(Error::usage(format!("{name} is a list, as of samples, and not {what}"))
            .hint("name a file that `bench-diff run` or `bench-diff ci` wrote"));
    }
    let schema = schema_of(&text).or_else(|| schema_of(&without_bad_numbers(&text)?));
    if schema.is_some() && is_report(&text) {
        return Err(Error::usage(format!("{name} is a report of `bench-diff ci`, and not {what}"))
            .hint("name the results.json beside it"));
    }
    check_schema(name, schema.unwrap_or(SCHEMA))?;
    let parsed = match schema {
        Some(1) => from_json::<v1::Results>(name, text, what).map(v2::Results::from),
        // A file that names no schema is read as the newest, whose errors say what is missing.
        _ => from_json(name, text, what),
    };
    let results = parsed?.into();
    check(&results).map_err(|problem| Error::usage(format!("{name}: {problem}")))?;
    Ok(results)
}

/// Results within another file, a report, name their schema themselves.
impl<'de> Deserialize<'de> for Results {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let schema = value["schema"].as_u64().ok_or_else(|| de::Error::missing_field("schema"))?;
        let results = match schema {
            1 => v1::Results::deserialize(value).map(v2::Results::from),
            2 => v2::Results::deserialize(value),
            other => return Err(de::Error::custom(format_args!("results of schema {other} can't be read"))),
        };
        results.map(Into::into).map_err(de::Error::custom)
    }
}

/// Parses JSON as foreign tools write it: a number that JSON or f64 can't hold (`NaN`, `Infinity`, 1e999) is read as
/// null, so that it can be reported in its place instead of failing the file.
pub(crate) fn from_json<T: de::DeserializeOwned>(name: &str, text: Vec<u8>, what: &str) -> Result<T> {
    let first = match serde_json::from_slice(&text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let error = match without_bad_numbers(&text).map(|repaired| serde_json::from_slice(&repaired)) {
        Some(Ok(value)) => return Ok(value),
        Some(Err(error)) => error,
        None => first,
    };
    Err(match error.classify() {
        serde_json::error::Category::Eof if text.trim_ascii().is_empty() => Error::usage(format!("{name} is empty")),
        serde_json::error::Category::Eof => {
            Error::usage(format!("{name} ends in the middle (line {}): it looks cut off", error.line()))
        }
        _ => match recognize(&text) {
            Some(Foreign { what, hint }) => Error::usage(format!("{name} {what}")).hint(hint),
            None => Error::usage(format!("{name} is not {what}")).because(error),
        },
    })
}

/// The text with `null` in place of numbers that have no finite f64; `None` if there are none.
pub(crate) fn without_bad_numbers(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut repaired = false;
    while at < text.len() {
        let end = at + token_length(&text[at..]);
        let token = &text[at..end];
        if is_bad_number(token) {
            out.extend_from_slice(b"null");
            repaired = true;
        } else {
            out.extend_from_slice(token);
        }
        at = end;
    }
    repaired.then_some(out)
}

/// The length of the string, word, number or single byte that `text` (not empty) begins with.
fn token_length(text: &[u8]) -> usize {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    match text[0] {
        b'"' => {
            let mut at = 1;
            while at < text.len() && text[at] != b'"' {
                at += if text[at] == b'\\' { 2 } else { 1 };
            }
            (at + 1).min(text.len())
        }
        byte if is_word(byte) => text.iter().position(|&byte| !is_word(byte)).unwrap_or(text.len()),
        _ => 1,
    }
}

fn is_bad_number(token: &[u8]) -> bool {
    match token {
        b"NaN" | b"Infinity" | b"-Infinity" => true,
        [b'-' | b'0'..=b'9', ..] => {
            std::str::from_utf8(token).ok().and_then(|token| token.parse().ok()).is_some_and(f64::is_infinite)
        }
        _ => false,
    }
}

/// The schema that the text names. Files of ours name it first, and reading stops there.
pub(crate) fn schema_of(text: &[u8]) -> Option<u32> {
    first_of(text, &["schema"]).and_then(|(_, schema)| schema)
}

/// Does the text have what only a report has, before what only results have? Reading stops at the first of them.
fn is_report(text: &[u8]) -> bool {
    first_of(text, &["hardware", "head", "cases", "settings", "sessions"])
        .is_some_and(|(field, _)| matches!(field, "hardware" | "head"))
}

/// The first of these fields that the text has, and the number that it holds, if it does.
fn first_of<'f>(text: &[u8], fields: &[&'f str]) -> Option<(&'f str, Option<u32>)> {
    struct First<'a, 'f>(&'a [&'f str], &'a mut Option<(&'f str, Option<u32>)>);
    impl<'de> Visitor<'de> for First<'_, '_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<Cow<str>>()? {
                if let Some(field) = self.0.iter().find(|field| **field == key) {
                    *self.1 = Some((field, None));
                    *self.1 = Some((field, Some(map.next_value()?)));
                    return Ok(());
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }
    let mut found = None;
    // Stopping early is an error to the parser; what is wrong with the rest is told by who reads all.
    let _ = serde_json::Deserializer::from_slice(text).deserialize_map(First(fields, &mut found));
    found
}

fn check_schema(name: &str, schema: u32) -> Result<()> {
    match schema {
        1..=SCHEMA => Ok(()),
        0 => {
            Err(Error::usage(format!("{name} has schema 0, which never existed"))
                .hint("check that it is a results file"))
        }
        newer => Err(Error::usage(format!(
            "{name} has schema {newer}, but this bench-diff reads only schemas up to {SCHEMA}"
        ))
        .hint("update bench-diff")),
    }
}

/// What the types can't say. The problem, in one sentence.
fn check(results: &Results) -> Result<(), String> {
    let mut cases = HashSet::new();
    for case in &results.cases {
        if !cases.insert(case.id.as_str()) {
            return Err(format!("the case `{}` is planned twice", case.id));
        }
    }
    let mut sessions = HashSet::new();
    for Session { id, runs, .. } in &results.sessions {
        if !sessions.insert(id) {
            return Err(format!("the session `{id}` occurs twice"));
        }
        let mut seen = HashSet::new();
        for run in runs {
            if !cases.contains(run.case.as_str()) {
                return Err(format!("session `{id}` ran `{}`, which isn't planned", run.case));
            }
            if !seen.insert((run.case.as_str(), run.round)) {
                return Err(format!("session `{id}` holds run {} of `{}` twice", run.round, run.case));
            }
        }
    }
    Ok(())
}
