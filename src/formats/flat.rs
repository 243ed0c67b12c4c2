//! An object whose fields matter by their names: its numbers and words, and the lists that somebody asks for. All else is
//! passed over, however long it is.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Lists of these names are kept.
const LISTS: [&str; 1] = ["samples_ts"];

#[derive(Debug, Default)]
pub(super) struct Flat {
    scalars: BTreeMap<String, Value>,
    lists: BTreeMap<String, Vec<Option<f64>>>,
}

impl Flat {
    /// Of columns and what they hold.
    pub fn of(fields: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self { scalars: fields.into_iter().collect(), lists: BTreeMap::new() }
    }

    /// As it is written.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.scalars.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            value => Some(value.to_string()),
        }
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        let value = self.scalars.get(name)?;
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    }

    pub fn list(&self, name: &str) -> Option<Vec<Option<f64>>> {
        self.lists.get(name).cloned()
    }
}

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Flat;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Flat, A::Error> {
        let mut flat = Flat::default();
        while let Some(name) = map.next_key::<String>()? {
            if LISTS.contains(&name.as_str()) {
                if let Some(list) = map.next_value::<Option<_>>()? {
                    flat.lists.insert(name, list);
                }
            } else if let Scalar(Some(value)) = map.next_value()? {
                flat.scalars.insert(name, value);
            }
        }
        Ok(flat)
    }
}

/// Nothing, for a list or an object.
struct Scalar(Option<Value>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.into())))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.into())))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.into())))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.into())))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.into())))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
