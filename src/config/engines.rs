//! The words of `engine` and `implementation`: those of the table of engines, for flags and for the schema of the file.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::case::{EngineName, ImplementationName};
use crate::engine::ENGINES;

pub fn engine() -> impl TypedValueParser<Value = EngineName> {
    let values = ENGINES.iter().map(|kind| PossibleValue::new(kind.name()).hide(kind.is_hidden()));
    PossibleValuesParser::new(values).map(EngineName::from)
}

pub fn implementation() -> impl TypedValueParser<Value = ImplementationName> {
    let value = |&(word, what): &(&'static str, &'static str)| PossibleValue::new(word).help(what);
    let values = ENGINES.iter().flat_map(|kind| {
        kind.implementations().iter().map(move |implementation| value(implementation).hide(kind.is_hidden()))
    });
    PossibleValuesParser::new(values).map(ImplementationName::from)
}

pub fn engine_schema(_: &mut SchemaGenerator) -> Schema {
    let shown: Vec<_> = ENGINES.iter().filter(|kind| !kind.is_hidden()).map(|kind| kind.name()).collect();
    json_schema!({ "type": ["string", "null"], "enum": shown })
}

pub fn implementation_schema(_: &mut SchemaGenerator) -> Schema {
    let shown = ENGINES.iter().filter(|kind| !kind.is_hidden()).flat_map(|kind| kind.implementations());
    let words: Vec<_> = shown.map(|(word, _)| word).collect();
    json_schema!({ "type": ["string", "null"], "enum": words })
}

/// Words that are valid although the schema doesn't show them.
pub fn is_hidden(setting: &str, word: &str) -> bool {
    ENGINES.iter().filter(|kind| kind.is_hidden()).any(|kind| match setting {
        "engine" => kind.name() == word,
        "implementation" => kind.implementations().iter().any(|(implementation, _)| *implementation == word),
        _ => false,
    })
}
