//! The words of `engine` and `implementation`: those of the table of engines, for flags and for the schema of the file.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::plain_name::is_plain_name;
use crate::case::{EngineName, ImplementationName};
use crate::engine::server::check_address;
use crate::engine::{ENGINES, EngineKind, ServerSpec};

pub fn engine() -> impl TypedValueParser<Value = EngineName> {
    let values = ENGINES.iter().map(|kind| PossibleValue::new(kind.name()).hide(kind.is_hidden()));
    PossibleValuesParser::new(values).map(EngineName::from)
}

/// Any word, as a program of the engine `command` has its own; the engine refuses what it doesn't know. Help shows those of
/// our engines.
pub fn implementation() -> impl TypedValueParser<Value = ImplementationName> {
    AnyOr(values(|kind| kind.implementations()))
}

fn values(of: fn(&'static dyn EngineKind) -> &'static [(&'static str, &'static str)]) -> Vec<PossibleValue> {
    let value = |&(word, what): &(&'static str, &'static str)| PossibleValue::new(word).help(what);
    ENGINES.iter().flat_map(|&kind| of(kind).iter().map(move |word| value(word).hide(kind.is_hidden()))).collect()
}

/// A plain word, be it among those that help shows or not.
#[derive(Clone)]
struct AnyOr(Vec<PossibleValue>);

impl TypedValueParser for AnyOr {
    type Value = ImplementationName;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Self::Value, clap::Error> {
        let word = StringValueParser::new().parse_ref(command, arg, value)?;
        match is_plain_name(&word) {
            true => Ok(word.into()),
            false => Err(clap::Error::raw(
                ErrorKind::InvalidValue,
                format!("an implementation is a word of letters, digits, `-`, `_` and `.`, unlike {word:?}\n"),
            )),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().cloned()))
    }
}

/// A command of the command line as words: it may be a list in JSON, as the file has it, which was cut at its spaces.
pub fn words_of(command: Vec<String>) -> Vec<String> {
    let listed = || serde_json::from_str(&command.join(" ")).ok();
    command.first().filter(|first| first.starts_with('[')).and_then(|_| listed()).unwrap_or(command)
}

/// A server that runs already.
pub fn server_at(url: &str) -> Result<ServerSpec, String> {
    check_address(url).map(|_| ServerSpec { url: url.to_owned(), ..ServerSpec::default() })
}

pub fn engine_schema(_: &mut SchemaGenerator) -> Schema {
    let shown: Vec<_> = ENGINES.iter().filter(|kind| !kind.is_hidden()).map(|kind| kind.name()).collect();
    json_schema!({ "type": ["string", "null"], "enum": shown })
}

pub fn implementation_schema(_: &mut SchemaGenerator) -> Schema {
    let shown = ENGINES.iter().filter(|kind| !kind.is_hidden()).flat_map(|kind| kind.implementations());
    let words: Vec<_> = shown.map(|(word, _)| word).collect();
    json_schema!({ "type": ["string", "null"], "examples": words })
}

/// Words that are valid although the schema doesn't show them.
pub fn is_hidden(setting: &str, word: &str) -> bool {
    ENGINES.iter().filter(|kind| kind.is_hidden()).any(|kind| match setting {
        "engine" => kind.name() == word,
        _ => false,
    })
}
