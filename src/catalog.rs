//! The 42 models on this machine: how large they are, what of them is here, and what fits its GPU.

use serde::Serialize;

use crate::case::{DeviceKind, Quantization};
use crate::device::Capacity;
use crate::engine::{ENGINES, ModelSpec};
use crate::hub::{Held, HubName, ModelId};
use crate::models::{self, Model};

/// The lengths of Qwen's Speed Benchmark, the longest first.
const CONTEXTS: [u32; 6] = [129_024, 63_488, 30_720, 14_336, 6144, 1];
/// As there.
pub const GENERATED: u32 = 2048;

/// All models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Catalog {
    /// What has to hold them; absent without a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Capacity>,
    /// Small to large.
    pub models: Vec<Entry>,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The hubs' id.
    pub id: String,
    /// Number of weights.
    pub parameters: u64,
    pub quantization: Quantization,
    /// Of the published weights, computed from the shape; absent for GGUF, where it depends on the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_bytes: Option<u64>,
    /// Of the benchmark's prompt lengths the longest that fits, with its generated tokens: an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_context: Option<u32>,
    /// Whether any does; absent where that can't be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
    /// The hub that it is downloaded from.
    pub hub: HubName,
    /// What is in the hubs' caches.
    pub cached: Vec<Held>,
}

/// Of all models, for that device; `hub` says which hub has the model of an id.
pub fn catalog(device: Option<Capacity>, hub: impl Fn(&str) -> HubName) -> Catalog {
    let entry = |model: &Model| {
        let fit = fit(model, device.as_ref());
        Entry {
            id: model.id.clone(),
            parameters: model.parameters(),
            quantization: model.quantization,
            download_bytes: model.checkpoint_bytes(),
            longest_context: if let Fit::UpTo(context) = fit { Some(context) } else { None },
            fits: (!matches!(fit, Fit::Unknown)).then_some(matches!(fit, Fit::UpTo(_))),
            hub: hub(&model.id),
            cached: cached(&model.id),
        }
    };
    let models = models::all().iter().map(entry).collect();
    Catalog { device, models }
}

/// A hub whose variables are wrong has nothing: whoever downloads is told.
fn cached(id: &str) -> Vec<Held> {
    let Ok(model) = ModelId::parse(id) else { return Vec::new() };
    HubName::ALL.into_iter().filter_map(|hub| hub.open().ok()?.held(&model)).collect()
}

/// Which of the lengths fit.
enum Fit {
    /// The size of the weights, or of the memory, isn't known.
    Unknown,
    Nothing,
    UpTo(u32),
}

/// As for a plan, with the weights as they are published.
fn fit(model: &Model, device: Option<&Capacity>) -> Fit {
    let memory = device.and_then(|device| Some((device, device.memory?)));
    let (Some((device, memory)), Some(weights)) = (memory, model.checkpoint_bytes()) else { return Fit::Unknown };
    let spec = ModelSpec::generated(&model.id, DeviceKind::Cuda);
    let needed = |context| {
        let needs = ENGINES[0].needs(&spec, &spec.case(context, GENERATED), device).ok()?.memory?;
        Some(needs.total() - needs.weights + weights)
    };
    let longest = CONTEXTS.into_iter().find(|context| needed(*context).is_some_and(|needed| needed <= memory));
    longest.map_or(Fit::Nothing, Fit::UpTo)
}
