//! GGUF: files of llama.cpp that have a model's shape and its tensors in them. Read here with every length, offset and type
//! checked; candle's own reader trusts some of them.
//!
//! `unsafe` here is memory-mapping: the files must not be changed while they are read, as for safetensors.

#![expect(unsafe_code, reason = "maps files into memory")]

mod gguf_bytes;
mod gguf_error;
mod gguf_header;
mod gguf_metadata;
mod gguf_parts;
mod gguf_type;
mod gguf_value;
pub mod mixture;
mod tensor_names;
mod tensor_types;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

pub use self::gguf_error::GgufError;
use self::gguf_header::Header;
pub use self::gguf_header::TensorInfo;
pub use self::gguf_parts::{files, has_any, has_one, of_kind};
pub use self::gguf_type::type_name;
pub use self::tensor_names::gguf_name;
pub use self::tensor_types::{TensorTypes, is_blocks};
use super::config::ModelConfig;
use crate::engine::EngineError;
use crate::hub::gguf_name::Part;
use crate::models::Model;
use crate::recognize::{self, Foreign, recognize};

/// A model's files, mapped, with headers that fit them.
pub struct GgufFiles {
    /// At least one; the first has the metadata.
    parts: Vec<MappedFile>,
}

impl GgufFiles {
    /// `path` is one of its files, or a directory that has no other model.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let parts = files(path)?.into_iter().map(MappedFile::open).collect::<Result<_, _>>()?;
        let files = Self { parts };
        files.parts.iter().try_for_each(MappedFile::check_place)?;
        files.check_set().map_err(|error| files.wrong(error))?;
        Ok(files)
    }

    /// What the metadata say. The model is called `name`, and its quantization if that isn't in the name.
    pub fn config(&self, name: &str) -> Result<ModelConfig, EngineError> {
        let metadata = &self.parts[0].header.metadata;
        let vocabulary = self.tensor("token_embd.weight").and_then(|(info, _)| info.shape.first().copied());
        let tied = self.tensor("output.weight").is_none();
        let config = gguf_metadata::config(metadata, vocabulary, tied, name.to_owned());
        let mut config = config.map_err(|error| self.wrong(error))?;
        config.shape.id = self.named(&config.shape).map_err(|error| self.wrong(error))?;
        Ok(config)
    }

    /// A tensor, and its bytes.
    pub fn tensor(&self, name: &str) -> Option<(&TensorInfo, &[u8])> {
        self.parts.iter().find_map(|part| {
            let info = part.header.tensors.get(name)?;
            Some((info, &part.map[info.place.clone()]))
        })
    }

    /// All tensors, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.parts.iter().flat_map(|part| part.header.tensors.iter().map(|(name, info)| (name.as_str(), info)))
    }

    /// For what is wrong with the model as a whole.
    pub fn wrong(&self, error: GgufError) -> EngineError {
        wrong(&self.parts[0].path, &error)
    }

    /// Two quantizations of a model are never cases of the same name.
    fn named(&self, model: &Model) -> Result<String, GgufError> {
        let name = model.id.as_str();
        let tensors: Vec<_> = self.tensors().collect();
        let quantization = gguf_metadata::quantization(&self.parts[0].header.metadata, &tensors, model)?;
        let is_said = name.to_ascii_lowercase().contains(&quantization);
        Ok(if is_said { name.to_owned() } else { format!("{name}:{quantization}") })
    }

    /// All tensors are there, once.
    fn check_set(&self) -> Result<(), GgufError> {
        let mut seen = BTreeMap::new();
        if let Some((name, _)) = self.tensors().find(|(name, info)| seen.insert(*name, *info).is_some()) {
            return Err(GgufError::Twice { what: "tensor", name: name.to_owned() });
        }
        match self.parts[0].header.metadata.whole("split.tensors.count")? {
            Some(expected) if expected != seen.len() as u64 => {
                Err(GgufError::PartsMiss { found: seen.len(), expected })
            }
            _ => Ok(()),
        }
    }
}

struct MappedFile {
    path: PathBuf,
    map: Mmap,
    header: Header,
}

impl MappedFile {
    fn open(path: PathBuf) -> Result<Self, EngineError> {
        let file = File::open(&path).map_err(EngineError::at(&path))?;
        // SAFETY: see the module's head.
        let map = unsafe { Mmap::map(&file) }.map_err(EngineError::at(&path))?;
        match Header::read(&map) {
            Ok(header) => Ok(Self { path, map, header }),
            Err(GgufError::NotGguf) => Err(foreign(&path, &map)),
            Err(error) => Err(wrong(&path, &error)),
        }
    }

    /// A part is the one that its name says.
    fn check_place(&self) -> Result<(), EngineError> {
        let metadata = &self.header.metadata;
        let by_name = self.path.file_name().and_then(|name| Part::of(name.to_str()?));
        let (place, places) = by_name.map_or((1, 1), |part| (part.number, part.count));
        let read = |key: &str| metadata.whole(key).map_err(|error| wrong(&self.path, &error));
        let number = read("split.no")?.unwrap_or(0).saturating_add(1);
        let count = read("split.count")?.unwrap_or(1).max(1);
        if (number, count) == (place as u64, places as u64) {
            return Ok(());
        }
        Err(wrong(&self.path, &GgufError::WrongPart { number, count, place, places }))
    }
}

fn wrong(path: &Path, error: &GgufError) -> EngineError {
    EngineError::refused(format!("weights: {} {error}", path.display()), error.hint())
}

/// What was downloaded in a file's place, mostly.
fn foreign(path: &Path, content: &[u8]) -> EngineError {
    match recognize(&content[..content.len().min(recognize::HEAD)]) {
        Some(Foreign { what, hint }) => EngineError::refused(format!("weights: {} {what}", path.display()), hint),
        None => wrong(path, &GgufError::NotGguf),
    }
}
