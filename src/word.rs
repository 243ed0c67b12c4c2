//! Words that this program knows, and words that only others know.
//!
//! A file may come from a newer bench-diff, or stand for an engine that this build lacks. Such a word is kept, compared
//! and shown as text; only what has to act on it (the configuration, an engine) insists on knowing it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A closed list of words, as `words!` declares them.
pub trait Vocabulary: Copy + 'static {
    /// All of them, in the order in which they are listed for people.
    const WORDS: &'static [&'static str];

    /// What each of them means, for `--help`; empty where it says all itself.
    const MEANINGS: &'static [&'static str];

    /// The word, the same everywhere.
    fn word(self) -> &'static str;

    /// `None` for a word that this build doesn't know.
    fn from_word(word: &str) -> Option<Self>;
}

/// A word of the vocabulary `T`, or one that this build doesn't know.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Word<T> {
    /// One of `T`'s words.
    Known(T),
    /// Never one of `T`'s words: [`From`] sees to it. Foreign text: show it escaped.
    Other(String),
}

impl<T: Vocabulary> Word<T> {
    /// The word, known or not.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(known) => known.word(),
            Self::Other(word) => word,
        }
    }

    /// The word, for what has to act on it.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(known) => Some(*known),
            Self::Other(_) => None,
        }
    }
}

impl<T: Vocabulary> From<&str> for Word<T> {
    fn from(word: &str) -> Self {
        T::from_word(word).map_or_else(|| Self::Other(word.to_owned()), Self::Known)
    }
}

impl<T: Vocabulary> From<T> for Word<T> {
    fn from(known: T) -> Self {
        Self::Known(known)
    }
}

impl<T: Vocabulary + PartialEq> PartialEq<T> for Word<T> {
    fn eq(&self, other: &T) -> bool {
        self.known().as_ref() == Some(other)
    }
}

impl<T: Vocabulary> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<T: Vocabulary> fmt::Debug for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<T: Vocabulary> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, T: Vocabulary> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(&*Cow::<str>::deserialize(deserializer)?))
    }
}

/// Text; the words that this build knows are examples.
impl<T: Vocabulary> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": T::WORDS })
    }
}

/// Declares an enum whose words are the same in TOML, JSON, flags and prose.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
            schemars::JsonSchema,
        )]
        #[allow(missing_docs, reason = "a word without a meaning in --help says all itself")]
        pub enum $name { $($(#[doc = $doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All words, in the order in which they are listed for people.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word, the same everywhere.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl $crate::word::Vocabulary for $name {
            const WORDS: &'static [&'static str] = Self::WORDS;
            const MEANINGS: &'static [&'static str] = &[$(concat!($($doc),*)),+];

            fn word(self) -> &'static str {
                Self::word(self)
            }

            fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

pub(crate) use words;

/// Declares a name that somebody else hands out: text, and no list of what it can be.
macro_rules! name {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(String);

        impl $name {
            /// The name, as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(name)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

pub(crate) use name;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Quantization;

    #[test]
    fn a_word_of_a_newer_version_is_kept_as_it_is() {
        let words: Vec<Word<Quantization>> = serde_json::from_str(r#"["awq", "fp8-\u0041"]"#).unwrap();
        assert_eq!(words, [Word::Known(Quantization::Awq), Word::Other("fp8-A".into())]);
        assert_eq!(serde_json::to_string(&words).unwrap(), r#"["awq","fp8-A"]"#);
        assert!(words[0] == Quantization::Awq && words[1] != Quantization::None);
    }
}
