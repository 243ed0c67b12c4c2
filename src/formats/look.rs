//! What a file looks like, without reading all of it: the fields of its first JSON object, or the first lines.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::results::without_bad_numbers;

/// As far as this many bytes at the start of a text tell.
const HEAD: usize = 4096;
/// Fields further in tell nothing more.
const DEPTH: u8 = 4;
/// Nor do more of them.
const MOST_FIELDS: usize = 100;

/// The first that is seen of a file.
pub(super) struct Look<'a> {
    /// Is it a JSON array?
    pub is_list: bool,
    /// The first JSON value: of an array its first entry, of several documents the first.
    pub first: Shape,
    /// The first lines.
    pub head: Cow<'a, str>,
}

/// The fields of a JSON value; a list has those of its first entry.
#[derive(Debug, Default)]
pub(super) struct Shape(Vec<(String, Shape)>);

impl<'a> Look<'a> {
    pub fn at(text: &'a [u8]) -> Self {
        let text = text.trim_ascii_start();
        let head = String::from_utf8_lossy(&text[..text.len().min(HEAD)]);
        let (is_list, json) = match text {
            [b'[', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let first = if is_list || json.starts_with(b"{") { shape(json) } else { None };
        Self { is_list, first: first.unwrap_or_default(), head }
    }
}

fn shape(json: &[u8]) -> Option<Shape> {
    let parse = |json: &[u8]| Depth(DEPTH).deserialize(&mut serde_json::Deserializer::from_slice(json)).ok();
    parse(json).or_else(|| parse(&without_bad_numbers(json)?))
}

impl Shape {
    pub fn has(&self, fields: &[&str]) -> bool {
        fields.iter().all(|field| self.field(field).is_some())
    }

    pub fn field(&self, name: &str) -> Option<&Self> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, shape)| shape)
    }

    /// Whatever its first field holds.
    pub fn inner(&self) -> Option<&Self> {
        self.0.first().map(|(_, shape)| shape)
    }
}

/// How far fields are still looked at.
#[derive(Clone, Copy)]
struct Depth(u8);

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        match self.0 {
            0 => deserializer.deserialize_ignored_any(IgnoredAny).map(|_| Shape::default()),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.len() < MOST_FIELDS {
                fields.push((name, map.next_value_seed(Self(self.0 - 1))?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Shape(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let first = list.next_element_seed(self)?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first.unwrap_or_default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::default())
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::default())
    }
}
