//! How a person names GPUs: by number or by UUID, in a file or a flag.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// One GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuName {
    /// Among those that are visible, counted from 0 in the order of `nvidia-smi`, or of `CUDA_VISIBLE_DEVICES`.
    Number(u32),
    /// `GPU-...`, of which the beginning is enough, or a card's part, `MIG-...`.
    Uuid(String),
}

/// GPUs in order: `[0, 1]`, `"0,1"` or `"GPU-5a3f..."`. At least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuList(Vec<GpuName>);

impl GpuList {
    /// In the order in which they were written.
    pub fn names(&self) -> &[GpuName] {
        &self.0
    }

    /// What is wrong with the names themselves, whatever the machine. A file's are checked once it is known where they
    /// stand.
    pub fn check(&self) -> Result<(), String> {
        if self.0.is_empty() {
            return Err("no GPU is named: give one, such as `0`".to_owned());
        }
        for (index, name) in self.0.iter().enumerate() {
            name.check()?;
            if self.0[..index].contains(name) {
                return Err(format!("GPU {name} is named twice"));
            }
        }
        Ok(())
    }
}

/// The first that is visible.
impl Default for GpuList {
    fn default() -> Self {
        Self(vec![GpuName::Number(0)])
    }
}

impl GpuName {
    fn of(text: &str) -> Self {
        let text = text.trim();
        text.parse().map_or_else(|_| Self::Uuid(text.to_owned()), Self::Number)
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Uuid(text) if !text.starts_with("GPU-") && !text.starts_with("MIG-") => Err(format!(
                "{text:?} is no GPU: give its number, such as `0`, or its UUID, such as `GPU-5a3f...` (nvidia-smi -L)"
            )),
            _ => Ok(()),
        }
    }
}

impl GpuList {
    fn split(text: &str) -> Self {
        Self(text.split(',').map(GpuName::of).collect())
    }
}

impl FromStr for GpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let list = Self::split(text);
        list.check().map(|()| list)
    }
}

impl fmt::Display for GpuName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Uuid(uuid) => f.write_str(uuid),
        }
    }
}

impl<'de> Deserialize<'de> for GpuName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameVisitor)
    }
}

impl<'de> Deserialize<'de> for GpuList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = GpuName;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a GPU's number or UUID")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<GpuName, E> {
        u32::try_from(number).map(GpuName::Number).map_err(|_| E::custom(format!("there is no GPU {number}")))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<GpuName, E> {
        u32::try_from(number).map(GpuName::Number).map_err(|_| E::custom(format!("there is no GPU {number}")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<GpuName, E> {
        Ok(GpuName::of(text))
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = GpuList;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of GPUs, such as [0, 1]")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<GpuList, E> {
        Ok(GpuList::split(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<GpuList, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = items.next_element()? {
            names.push(name);
        }
        Ok(GpuList(names))
    }
}

impl JsonSchema for GpuList {
    fn schema_name() -> Cow<'static, str> {
        "GpuList".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "GPUs by number or UUID: `[0, 1]`, `\"0,1\"` or `[\"GPU-5a3f...\"]`.",
            "anyOf": [
                {
                    "type": "array",
                    "minItems": 1,
                    "items": { "anyOf": [
                        { "type": "integer", "minimum": 0, "maximum": u32::MAX },
                        { "type": "string" },
                    ] },
                },
                { "type": "string" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_the_same_in_a_file_and_in_a_flag() {
        #[derive(Deserialize)]
        struct File {
            gpus: GpuList,
        }
        let of_flag: GpuList = "1, GPU-5a3f ,MIG-7".parse().unwrap();
        for line in [
            "gpus = [1, \"GPU-5a3f\", \"MIG-7\"]",
            "gpus = \"1,GPU-5a3f,MIG-7\"",
            "gpus = [\"1\", \"GPU-5a3f\", \"MIG-7\"]",
        ] {
            assert_eq!(toml::from_str::<File>(line).unwrap().gpus, of_flag, "{line}");
        }
        let wrong = |line: &str| toml::from_str::<File>(line).unwrap().gpus.check().unwrap_err();
        assert_eq!(wrong("gpus = [0, 0]"), "GPU 0 is named twice");
        assert!(wrong("gpus = \"first\"").starts_with("\"first\" is no GPU: give its number"));
        assert!(wrong("gpus = []").starts_with("no GPU is named"));
    }

    #[test]
    fn what_names_no_card_is_refused() {
        for text in ["", "0,", "-1", "gpu-5a3f", "0;1"] {
            assert!(text.parse::<GpuList>().unwrap_err().contains("is no GPU"), "{text}");
        }
    }
}
