//! Weights as they are: safetensors of floating-point numbers, by the names of the published checkpoints.
//!
//! `unsafe` here is memory-mapping: the files must not be changed while they are read, as for every loader of
//! safetensors. They are only read during loading.

#![expect(unsafe_code, reason = "maps files into memory")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Result, Tensor};

use super::format::{EMBEDDING, Format, HEAD};
use super::target::Target;
use super::unexpected_tensors;
use crate::engine::EngineError;
use crate::engine::candle::candle_error::message;
use crate::engine::candle::qwen2::checkpoint;
use crate::engine::candle::qwen2::config::ModelConfig;

/// The safetensors of a directory.
pub struct SafetensorFiles {
    tensors: MmapedSafetensors,
    directory: PathBuf,
}

/// A tensor as it lies in its file.
pub struct Stored<'a> {
    pub dtype: Option<DType>,
    pub shape: Vec<usize>,
    /// Little end first.
    pub bytes: &'a [u8],
}

impl SafetensorFiles {
    /// Maps the files of `directory`, after a look at whether they are whole.
    pub fn open(directory: &Path) -> std::result::Result<Self, EngineError> {
        let files = checkpoint::files(directory)?;
        // SAFETY: see the module's head.
        let tensors = unsafe { MmapedSafetensors::multi(&files) }
            .map_err(|error| EngineError::Failed(format!("weights: {}", message(&error))))?;
        Ok(Self { tensors, directory: directory.to_owned() })
    }

    /// All tensors of `config` are there.
    pub fn checked(self, config: &ModelConfig) -> Result<Self> {
        let tensors = config.tensors();
        tensors.iter().try_for_each(|(name, shape)| self.check(name, shape))?;
        self.check_layers(config)?;
        self.check_no_other(&tensors.into_iter().map(|(name, _)| name).collect())?;
        Ok(self)
    }

    /// No tensor is of a layer that `config` doesn't count: without it, another model would be measured.
    pub fn check_layers(&self, config: &ModelConfig) -> Result<()> {
        let layers = config.shape.num_hidden_layers;
        let uncounted = |name: &str| layer_of(name).is_some_and(|layer| layer >= layers);
        match self.names().into_iter().filter(|name| uncounted(name)).min() {
            Some(name) => {
                let why = format!("is of a layer too many: num_hidden_layers of config.json is {layers}");
                Err(self.error(&name, &why))
            }
            None => Ok(()),
        }
    }

    /// No tensor beside the `known` ones may change what is computed.
    pub fn check_no_other(&self, known: &HashSet<String>) -> Result<()> {
        let is_zeros = |name: &str| self.find(name).is_some_and(|tensor| tensor.bytes.iter().all(|byte| *byte == 0));
        match unexpected_tensors::first(self.names(), known, is_zeros) {
            Some((name, why)) => Err(self.error(&name, &why)),
            None => Ok(()),
        }
    }

    /// Of all tensors, in no order.
    fn names(&self) -> Vec<String> {
        self.tensors.tensors().into_iter().map(|(name, _)| name).collect()
    }

    /// The tensor `name` is there, has this shape, and is of floating-point numbers.
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        let stored = self.stored(name)?;
        if stored.shape != shape {
            let why = format!("has the shape {:?}, config.json asks for {shape:?}", stored.shape);
            return Err(self.error(name, &why));
        }
        match stored.dtype {
            Some(dtype) if dtype.is_float() => Ok(()),
            other => Err(self.error(name, &format!("has the type {}, expected floating-point numbers", word(other)))),
        }
    }

    /// The tensor `name`, if it is there.
    pub fn find(&self, name: &str) -> Option<Stored<'_>> {
        let view = self.tensors.get(name).ok()?;
        Some(Stored { dtype: view.dtype().try_into().ok(), shape: view.shape().to_vec(), bytes: view.data() })
    }

    /// The tensor `name`, which has to be there.
    pub fn stored(&self, name: &str) -> Result<Stored<'_>> {
        self.find(name).ok_or_else(|| self.error(name, &self.missing(name)))
    }

    /// Writes the numbers of `name` to `place`.
    fn write(&self, name: &str, place: &Tensor, target: &Target) -> Result<()> {
        let stored = self.stored(name)?;
        let dtype = stored.dtype.ok_or_else(|| self.error(name, "has a type that candle doesn't know"))?;
        target.fill(place, stored.bytes, dtype)
    }

    /// The files of some tied models have a head as well. Newer versions of transformers use it where it isn't the embedding.
    pub fn unused_head(&self, config: &ModelConfig) -> Option<String> {
        let head = self.find(HEAD).filter(|_| config.shape.tie_word_embeddings)?;
        let embedding = self.find(EMBEDDING)?;
        ((head.dtype, head.bytes) != (embedding.dtype, embedding.bytes)).then(|| {
            format!("{HEAD} isn't the embedding and wasn't used, as config.json says that it is (tie_word_embeddings)")
        })
    }

    /// A sentence about the tensor `name`.
    pub fn error(&self, name: &str, what: &str) -> candle_core::Error {
        candle_core::Error::Msg(format!("{}: tensor {name} {what}", self.directory.display()))
    }

    fn missing(&self, name: &str) -> String {
        let packed = name.strip_suffix("weight").map(|layer| format!("{layer}qweight"));
        match packed.filter(|packed| self.find(packed).is_some()) {
            Some(_) => {
                "is missing, and qweight is in its place: config.json has no quantization_config for it".to_owned()
            }
            None => "is missing".to_owned(),
        }
    }
}

/// candle's name of a type, where it has one.
pub fn word(dtype: Option<DType>) -> String {
    dtype.map_or_else(|| "of which candle knows nothing".to_owned(), |dtype| format!("{dtype:?}"))
}

/// Which layer a tensor is of, counted from 0.
fn layer_of(name: &str) -> Option<usize> {
    name.strip_prefix("model.layers.")?.split('.').next()?.parse().ok()
}

impl Format for SafetensorFiles {
    fn tensor(&self, name: &str, shape: &[usize], target: &Target) -> Result<Tensor> {
        self.check(name, shape)?;
        let read = || {
            if target.device.is_cpu() {
                return self.tensors.load(name, &target.device)?.to_dtype(target.dtype);
            }
            let place = Tensor::zeros(shape, target.dtype, &target.device)?;
            self.write(name, &place, target)?;
            Ok(place)
        };
        read().map_err(|error: candle_core::Error| self.error(name, &format!("can't be read: {}", message(&error))))
    }

    fn fill(&self, name: &str, place: &Tensor, target: &Target) -> Result<()> {
        self.check(name, place.dims())?;
        self.write(name, place, target)
    }

    fn unused(&self, config: &ModelConfig) -> Option<String> {
        self.unused_head(config)
    }
}
