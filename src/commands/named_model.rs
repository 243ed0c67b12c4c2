//! The model that a command names: which it is, and whether the device has room for it.

use std::path::{Path, PathBuf};

use crate::case::DeviceKind;
use crate::device::{Capacity, Gpus};
use crate::engine::{ENGINES, ModelSpec};
use crate::error::{Error, Result};
use crate::{hub, models, plan};

/// What a person names: a directory or a GGUF file that is there, or else an id, in full if it is one of the collection.
pub fn named_model(model: &str) -> (String, Option<PathBuf>) {
    let directory = hub::is_model(Path::new(model)).then(|| PathBuf::from(model));
    let published = models::find(model).filter(|_| directory.is_none());
    (published.map_or_else(|| model.to_owned(), |known| models::whole_name(known, model)), directory)
}

/// Refuses what the device can't hold, before it is filled. What a model needs that isn't known yet shows when it is loaded.
pub fn check_room(spec: &ModelSpec, gpus: &Gpus, generated_length: usize) -> Result<()> {
    if spec.device == DeviceKind::Cuda && gpus.open().is_empty() {
        return Ok(());
    }
    let capacity = Capacity::of(spec.device, gpus);
    let length = |tokens: usize| u32::try_from(tokens).unwrap_or(u32::MAX);
    let case = spec.case(length(spec.max_length - generated_length), length(generated_length));
    let needs = ENGINES[0].needs(spec, &case, &capacity).ok();
    match needs.and_then(|needs| plan::shortage(&needs, &capacity)) {
        Some(why) => Err(Error::usage(format!("{} with {} tokens {why}", spec.model, spec.max_length))
            .hint("use a shorter context or a smaller model")),
        None => Ok(()),
    }
}
