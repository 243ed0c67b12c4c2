//! The fields of a model's JSON files. What is asked for says which type it must have; what isn't may be anything.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Characters of a text or a key that are shown.
const SHOWN: usize = 40;
/// Bytes of a text that says something of a model: longer ones are none of these words.
const LONGEST: usize = 256;

const WHOLE: &str = "a whole number, not negative";

/// What is wrong with a file or a field.
#[derive(Debug, thiserror::Error)]
pub enum FieldError {
    #[error("not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it is {0}, not a table of fields")]
    NoTable(String),
    #[error("{0} is missing")]
    Missing(String),
    #[error("{key} is {found}; it must be {expected}")]
    Type { key: String, found: String, expected: &'static str },
}

/// A JSON object: the file, or a table in it.
pub struct Fields {
    map: Map<String, Value>,
    /// The keys down to it, with a dot after each.
    within: String,
}

impl Fields {
    /// Of a file's text, each of whose keys is there once.
    pub fn parse(text: &[u8]) -> Result<Self, FieldError> {
        match serde_json::from_slice(text)? {
            Unique(Value::Object(map)) => Ok(Self { map, within: String::new() }),
            Unique(other) => Err(FieldError::NoTable(described(&other))),
        }
    }

    /// All keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// What stands there; null is nothing.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The field is there, even if it is null.
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub fn whole(&self, key: &str) -> Result<Option<usize>, FieldError> {
        self.typed(key, WHOLE, |value| value.as_u64()?.try_into().ok())
    }

    pub fn integer(&self, key: &str) -> Result<Option<i64>, FieldError> {
        self.typed(key, "a whole number", Value::as_i64)
    }

    pub fn real(&self, key: &str) -> Result<Option<f64>, FieldError> {
        self.typed(key, "a number", Value::as_f64)
    }

    pub fn truth(&self, key: &str) -> Result<Option<bool>, FieldError> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A word, or a few.
    pub fn text(&self, key: &str) -> Result<Option<String>, FieldError> {
        self.typed(key, "a short text", short)
    }

    pub fn texts(&self, key: &str) -> Result<Option<Vec<String>>, FieldError> {
        self.list(key, "a list of short texts", "a short text", short)
    }

    pub fn wholes(&self, key: &str) -> Result<Option<Vec<u64>>, FieldError> {
        self.list(key, "a list of whole numbers", WHOLE, Value::as_u64)
    }

    fn list<T>(
        &self,
        key: &str,
        expected: &'static str,
        of_item: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, FieldError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| self.wrong(key, expected))?;
        let item = |(index, item): (usize, &Value)| {
            let key = || format!("{}[{index}]", self.path(key));
            read(item).ok_or_else(|| FieldError::Type { key: key(), found: described(item), expected: of_item })
        };
        items.iter().enumerate().map(item).collect::<Result<_, _>>().map(Some)
    }

    pub fn table(&self, key: &str) -> Result<Option<Self>, FieldError> {
        let within = format!("{}{key}.", self.within);
        self.typed(key, "a table", |value| Some(Self { map: value.as_object()?.clone(), within: within.clone() }))
    }

    /// A table whose values are texts of any length.
    pub fn all_texts(&self) -> Result<BTreeMap<String, String>, FieldError> {
        let text = |fields: &Self, key: &str| fields.typed(key, "a text", |value| value.as_str().map(str::to_owned));
        self.map.keys().map(|key| Ok((key.clone(), self.needed(key, text)?))).collect()
    }

    /// What has to be there.
    pub fn needed<T>(
        &self,
        key: &str,
        read: impl Fn(&Self, &str) -> Result<Option<T>, FieldError>,
    ) -> Result<T, FieldError> {
        read(self, key)?.ok_or_else(|| FieldError::Missing(self.path(key)))
    }

    /// For a person, in one line.
    fn path(&self, key: &str) -> String {
        let short = |text: &str| text.chars().take(2 * SHOWN).collect::<String>().escape_debug().to_string();
        format!("{}{}", short(&self.within), short(key))
    }

    /// For a value of another type than `expected`.
    pub fn wrong(&self, key: &str, expected: &'static str) -> FieldError {
        let found = self.map.get(key).map_or_else(|| "nothing".to_owned(), described);
        FieldError::Type { key: self.path(key), found, expected }
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, FieldError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.wrong(key, expected))
    }
}

/// What is to be said of it is said in one line.
fn short(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| text.len() <= LONGEST && !text.contains(char::is_control));
    text.map(str::to_owned)
}

/// As a person calls it.
fn described(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) if text.chars().count() > SHOWN => {
            format!("{:?} and more", text.chars().take(SHOWN).collect::<String>())
        }
        Value::String(text) => format!("{text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
    }
}

/// A value in which no key is there twice: programs differ in which one they take.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Unique)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(de::Error::custom(format_args!("{key:?} is there twice")));
            }
            let Unique(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<T>(text: &str, read: impl Fn(&Fields) -> Result<T, FieldError>) -> String {
        match Fields::parse(text.as_bytes()).and_then(|fields| read(&fields)) {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_has_another_type_is_said_in_plain_words() {
        let whole = |value: &str| said(&format!("{{\"a\": {value}}}"), |fields| fields.whole("a"));
        assert_eq!(["1", "null"].map(whole), ["fine", "fine"]);
        assert_eq!(whole("{}"), "a is a table; it must be a whole number, not negative");
        assert_eq!(whole("-64"), "a is -64; it must be a whole number, not negative");
        assert_eq!(whole("\"64\""), "a is \"64\"; it must be a whole number, not negative");
        assert_eq!(said("{\"a\": [1]}", |fields| fields.texts("a")), "a[0] is 1; it must be a short text");
        let inner = |fields: &Fields| fields.table("a")?.map(|table| table.real("b")).transpose();
        assert_eq!(said("{\"a\": {\"b\": false}}", inner), "a.b is false; it must be a number");
        let long = said(&format!("{{\"a\": {:?}}}", "x".repeat(1000)), |fields| fields.truth("a"));
        assert!(long.len() < 100, "{long}");
        let lines = said("{\"a\": \"llama\\n::error::\"}", |fields| fields.text("a"));
        assert_eq!(lines, "a is \"llama\\n::error::\"; it must be a short text");
        let keys = said(&format!("{{\"a\\n{}\": 1}}", "b".repeat(1000)), |fields| fields.all_texts());
        assert!(keys.starts_with("a\\nbbb") && keys.len() < 200, "{keys}");
    }

    #[test]
    fn what_is_no_table_of_fields_is_said() {
        let parsed = |text: &str| said(text, |_| Ok(()));
        assert_eq!(parsed("[]"), "it is a list, not a table of fields");
        assert_eq!(parsed("{\"a\": 1, \"a\": 1}"), "not valid JSON: \"a\" is there twice at line 1 column 12");
        assert!(parsed("").starts_with("not valid JSON: EOF"), "{}", parsed(""));
        assert!(parsed(&"[".repeat(100_000)).contains("recursion limit"), "{}", parsed(&"[".repeat(100_000)));
    }
}
