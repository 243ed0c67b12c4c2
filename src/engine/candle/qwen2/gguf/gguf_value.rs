//! The metadata of a GGUF file: keys and values. Lists are skipped, as no forward pass depends on one.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use super::gguf_bytes::Bytes;
use super::gguf_error::GgufError;

/// No file has so many entries.
const MOST_ENTRIES: u64 = 1 << 16;
/// As the format's description has it.
const LONGEST_KEY: u64 = (1 << 16) - 1;
/// Texts that are longer (chat templates, say) are none that a forward pass depends on.
const LONGEST_TEXT: usize = 256;

/// What stands at a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Whole(i128),
    /// Of 32 bits it is the number that is written so: 1e-6, not 9.99999997e-7.
    Real(f64),
    Bool(bool),
    Text(String),
    /// A list, or a long text.
    Other,
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Other => f.write_str("a list or a long text"),
        }
    }
}

/// The types of values, by their numbers.
mod kind {
    pub const TEXT: u32 = 8;
    pub const LIST: u32 = 9;
}

/// Values by their keys.
#[derive(Debug, Default)]
pub struct Metadata(BTreeMap<String, Value>);

impl Metadata {
    pub fn read(bytes: &mut Bytes, entries: u64) -> Result<Self, GgufError> {
        let mut metadata = BTreeMap::new();
        for _ in 0..entries {
            let key = bytes.name("key", LONGEST_KEY)?;
            let kind = bytes.u32()?;
            let value = value(bytes, kind, &key)?;
            if metadata.contains_key(&key) {
                return Err(GgufError::Twice { what: "key", name: key });
            }
            metadata.insert(key, value);
        }
        Ok(Self(metadata))
    }

    /// How many entries there are, by the header.
    pub fn count(bytes: &mut Bytes) -> Result<u64, GgufError> {
        bytes.count("metadata entries", MOST_ENTRIES)
    }

    pub fn whole(&self, key: &str) -> Result<Option<u64>, GgufError> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Whole(value)) if u64::try_from(*value).is_ok() => Ok(u64::try_from(*value).ok()),
            Some(value) => Err(wrong(key, value, "it must be a whole number, not negative")),
        }
    }

    pub fn real(&self, key: &str) -> Result<Option<f64>, GgufError> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Real(value)) => Ok(Some(*value)),
            Some(value) => Err(wrong(key, value, "it must be a floating-point number")),
        }
    }

    pub fn text(&self, key: &str) -> Result<Option<&str>, GgufError> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(value) => Err(wrong(key, value, "it must be a short text")),
        }
    }
}

fn wrong(key: &str, value: &Value, expected: &'static str) -> GgufError {
    GgufError::Value { key: key.to_owned(), value: value.to_string(), expected }
}

fn value(bytes: &mut Bytes, kind: u32, key: &str) -> Result<Value, GgufError> {
    Ok(match kind {
        0 | 2 | 4 | 10 => Value::Whole(bytes.unsigned(size(kind, key)?)?.into()),
        1 | 3 | 5 | 11 => {
            let size = size(kind, key)?;
            let (number, unused) = (bytes.unsigned(size)?, 64 - 8 * size as u32);
            // The sign bit goes to the top and comes back with its copies.
            Value::Whole((((number << unused) as i64) >> unused).into())
        }
        6 => {
            let value = f32::from_bits(bytes.u32()?);
            Value::Real(value.to_string().parse().unwrap_or_else(|_| f64::from(value)))
        }
        7 => Value::Bool(bytes.unsigned(1)? != 0),
        12 => Value::Real(f64::from_bits(bytes.u64()?)),
        kind::TEXT => match bytes.string()? {
            text if text.len() > LONGEST_TEXT => Value::Other,
            text => Value::Text(String::from_utf8_lossy(text).into_owned()),
        },
        kind::LIST => skip_list(bytes, key)?,
        kind => return Err(GgufError::ValueType { key: key.to_owned(), kind }),
    })
}

fn skip_list(bytes: &mut Bytes, key: &str) -> Result<Value, GgufError> {
    let (kind, length) = (bytes.u32()?, bytes.u64()?);
    match kind {
        kind::LIST => return Err(GgufError::NestedList(key.to_owned())),
        kind::TEXT => {
            for _ in 0..length {
                bytes.string()?;
            }
        }
        // A product that is too large is longer than any file.
        _ => drop(bytes.take(length.saturating_mul(size(kind, key)?))?),
    }
    Ok(Value::Other)
}

/// Bytes of a number of this type.
fn size(kind: u32, key: &str) -> Result<u64, GgufError> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        kind => Err(GgufError::ValueType { key: key.to_owned(), kind }),
    }
}
