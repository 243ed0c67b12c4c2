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
    pub fn names(&self) -> &[GpuName] {
        &self.0
    }

    fn of(names: Vec<GpuName>) -> Result<Self, String> {
        match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
            Some((_, twice)) => Err(format!("GPU {twice} is named twice")),
            None if names.is_empty() => Err("no GPU is named: give one, such as `0`".to_owned()),
            None => Ok(Self(names)),
        }
    }
}

/// The first that is visible.
impl Default for GpuList {
    fn default() -> Self {
        Self(vec![GpuName::Number(0)])
    }
}

impl FromStr for GpuName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        if text.starts_with("GPU-") || text.starts_with("MIG-") {
            return Ok(Self::Uuid(text.to_owned()));
        }
        Err(format!(
            "{text:?} is no GPU: give its number, such as `0`, or its UUID, such as `GPU-5a3f...` (nvidia-smi -L)"
        ))
    }
}

impl FromStr for GpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::of(text.split(',').map(str::parse).collect::<Result<_, _>>()?)
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
        text.parse().map_err(E::custom)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = GpuList;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of GPUs, such as [0, 1]")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<GpuList, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<GpuList, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = items.next_element()? {
            names.push(name);
        }
        GpuList::of(names).map_err(A::Error::custom)
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
        let error = |line: &str| toml::from_str::<File>(line).err().unwrap().message().to_owned();
        assert_eq!(error("gpus = [0, 0]"), "GPU 0 is named twice");
        assert!(error("gpus = \"first\"").starts_with("\"first\" is no GPU: give its number"));
        assert_eq!(error("gpus = [9999999999]"), "there is no GPU 9999999999");
    }

    #[test]
    fn what_names_no_card_is_refused() {
        for text in ["", "0,", "-1", "gpu-5a3f", "0;1"] {
            assert!(text.parse::<GpuList>().unwrap_err().contains("is no GPU"), "{text}");
        }
    }
}
