//! Checks a configuration file against its JSON Schema, so that the schema which editors use is the one that holds.
//!
//! Knows the parts of JSON Schema that schemars writes for [`super::file`].

use serde_json::Value as Schema;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::engines;
use super::source::{Problem, Source};
use crate::suggest;

/// Words of the field that stand elsewhere: calling them unknown would mislead.
const ELSEWHERE: [(&str, &str, &str); 2] =
    [("weights", "modelscope", "hub = \"modelscope\""), ("weights", "huggingface", "weights = \"hub\"")];

/// Everything in the file that the schema forbids.
pub fn check(source: &Source, schema: &Schema) -> Checked {
    let checked = Checked { problems: Vec::new(), settings: Vec::new() };
    let mut checker = Checker { source, root: schema, path: Vec::new(), checked };
    let root = source.root();
    checker.table("", root.get_ref(), root.span().start, schema);
    checker.checked
}

/// What is wrong with a file's shape.
pub struct Checked {
    pub problems: Vec<Problem>,
    /// The paths of the settings that have a problem.
    pub settings: Vec<Vec<String>>,
}

struct Checker<'a> {
    source: &'a Source<'a>,
    root: &'a Schema,
    /// Keys and indices down to the setting that is being checked.
    path: Vec<String>,
    checked: Checked,
}

impl<'a> Checker<'a> {
    fn problem(&mut self, offset: usize, reason: String) {
        let line = Some(self.source.line(offset));
        self.checked.problems.push(Problem { line, reason });
        self.checked.settings.push(self.path.clone());
    }

    /// `key` is the nearest key above `value`.
    fn value(&mut self, key: &str, value: &Spanned<DeValue>, schema: &'a Schema) {
        let offset = value.span().start;
        let schema = self.applicable(value.get_ref(), schema);
        if let Some(words) = words(schema) {
            self.word(key, value, &words);
            return;
        }
        match (type_of(schema), value.get_ref()) {
            ("object", DeValue::Table(table)) => self.table(key, table, offset, schema),
            ("array", DeValue::Array(items)) => {
                if (items.len() as u64) < schema["minItems"].as_u64().unwrap_or(0) {
                    self.problem(offset, format!("`{key}` is empty"));
                }
                for (index, item) in items.iter().enumerate() {
                    self.path.push(index.to_string());
                    self.value(key, item, &schema["items"]);
                    self.path.pop();
                }
            }
            ("integer", DeValue::Integer(_)) => self.range(key, offset, value.get_ref(), schema),
            ("number", DeValue::Integer(_) | DeValue::Float(_)) => self.range(key, offset, value.get_ref(), schema),
            ("string", DeValue::String(_)) | ("boolean", DeValue::Boolean(_)) => {}
            (expected, other) => {
                let (expected, found) = (plain_type(expected), plain_type(other.type_str()));
                self.problem(offset, format!("`{key}` must be a {expected}, not a {found}"));
            }
        }
    }

    fn table(&mut self, key: &str, table: &DeTable, offset: usize, schema: &'a Schema) {
        let no_properties = serde_json::Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&no_properties);
        for (name, value) in table {
            let (word, at) = (name.get_ref().as_ref(), name.span().start);
            self.path.push(word.to_owned());
            if let Some(property) = schema["properties"].get(word) {
                self.value(word, value, property);
            } else if let Some(any) = schema.get("additionalProperties").filter(|schema| schema.is_object()) {
                self.value(word, value, any);
            } else {
                let keys: Vec<_> = properties.keys().map(String::as_str).collect();
                self.problem(at, format!("unknown key `{word}`: {}", suggest::hint(word, &keys)));
            }
            self.path.pop();
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Schema::as_str) {
            if !table.contains_key(required) {
                let place = if key.is_empty() { "the file".into() } else { format!("`{key}`") };
                let line = Some(self.source.line(offset));
                self.checked.problems.push(Problem { line, reason: format!("{place} lacks `{required}`") });
            }
        }
    }

    fn word(&mut self, key: &str, value: &Spanned<DeValue>, words: &[&str]) {
        let offset = value.span().start;
        match value.get_ref().as_str() {
            Some(word) if words.contains(&word) || engines::is_hidden(key, word) => {}
            Some(word) if elsewhere(key, word).is_some() => {
                let instead = elsewhere(key, word).unwrap_or_default();
                self.problem(offset, format!("`{key} = \"{word}\"` is written `{instead}`"));
            }
            Some(word) => self.problem(offset, format!("`{key}` can't be `{word}`: {}", suggest::hint(word, words))),
            None => self.problem(offset, format!("`{key}` must be {}", suggest::one_of(words))),
        }
    }

    fn range(&mut self, key: &str, offset: usize, value: &DeValue, schema: &Schema) {
        // A number too large for 64 bits is infinite: outside of every range.
        let (number, text) = match value {
            DeValue::Integer(digits) => {
                let number = i64::from_str_radix(digits.as_str(), digits.radix());
                (number.map_or(f64::INFINITY, |number| number as f64), digits.as_str())
            }
            DeValue::Float(digits) => (digits.as_str().parse().unwrap_or(f64::NAN), digits.as_str()),
            _ => return,
        };
        let low = schema["minimum"].as_f64().unwrap_or(f64::NEG_INFINITY);
        let high = schema["maximum"].as_f64().unwrap_or(f64::INFINITY);
        if !(low..=high).contains(&number) || number.is_infinite() {
            let range = if high.is_finite() { format!("from {low} to {high}") } else { format!("at least {low}") };
            self.problem(offset, format!("`{key}` must be {range}, not {text}"));
        }
    }

    /// Follows references, and takes the alternative that suits the value's type.
    fn applicable(&self, value: &DeValue, schema: &'a Schema) -> &'a Schema {
        if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
            return self.applicable(value, &self.root["$defs"][name]);
        }
        let Some(alternatives) = schema["anyOf"].as_array() else { return schema };
        let suits = |schema: &&Schema| type_of(schema) == json_type(value);
        let resolved: Vec<_> = alternatives.iter().map(|alternative| self.applicable(value, alternative)).collect();
        let real = || resolved.iter().copied().filter(|schema| type_of(schema) != "null");
        // Where none suits, a table's schema would say less of another value.
        let near = || real().find(|schema| type_of(schema) != "object").or_else(|| real().next());
        real().find(suits).or_else(near).unwrap_or(schema)
    }
}

/// How the setting is written that somebody means by this.
fn elsewhere(key: &str, word: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(wrong, value, _)| (*wrong, *value) == (key, word)).map(|(_, _, right)| *right)
}

/// The words of an enumeration: `enum`, or `oneOf` constants with descriptions.
fn words(schema: &Schema) -> Option<Vec<&str>> {
    if let Some(words) = schema["enum"].as_array() {
        return Some(words.iter().filter_map(Schema::as_str).collect());
    }
    let alternatives = schema["oneOf"].as_array()?;
    Some(
        alternatives
            .iter()
            .flat_map(|one| words(one).unwrap_or_else(|| one["const"].as_str().into_iter().collect()))
            .collect(),
    )
}

/// The type that a schema asks for; optional settings also allow null, which TOML hasn't.
fn type_of(schema: &Schema) -> &str {
    match &schema["type"] {
        Schema::Array(types) => types.iter().filter_map(Schema::as_str).find(|name| *name != "null").unwrap_or(""),
        name => name.as_str().unwrap_or(""),
    }
}

/// The type that a schema must ask for to suit a value.
fn json_type(value: &DeValue) -> &'static str {
    match value {
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
        _ => "string",
    }
}

/// The name of a JSON or TOML type in plain words.
fn plain_type(name: &str) -> &str {
    match name {
        "object" => "table",
        "array" => "list",
        "integer" => "whole number",
        "float" => "number",
        "boolean" => "truth value",
        "string" => "string",
        other => other,
    }
}
