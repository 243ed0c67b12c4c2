//! An engine for tests of everything above the engines: it gives what `replay.json` in the model's directory says.
//!
//! ```json
//! { "clock": "client", "chunks": [[2, 20.0], [1, 31.5]], "end_to_end_ms": 32.0 }
//! ```
//!
//! Each generation takes as many of the chunks (tokens, and milliseconds from the request) as it was asked for tokens.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::{Chunk, Engine, EngineError, EngineKind, Generation, Loaded, ModelSpec, Needs, Progress, Refusal};
use crate::case::{Case, Clock, DeviceKind, Dtype};
use crate::device::Capacity;
use crate::hub::model_file;
use crate::models::Model;

pub struct ReplayKind;

impl EngineKind for ReplayKind {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn is_hidden(&self) -> bool {
        true
    }

    fn implementations(&self) -> &'static [(&'static str, &'static str)] {
        &[("recorded", "What was recorded")]
    }

    fn usual(&self, _: DeviceKind) -> (&'static str, Dtype) {
        ("recorded", Dtype::F32)
    }

    fn shape(&self, _: &str, _: Option<&Path>) -> Result<Option<Model>, EngineError> {
        Ok(None)
    }

    fn refusals(&self, _: &ModelSpec) -> Vec<Refusal> {
        Vec::new()
    }

    fn needs(&self, _: &ModelSpec, _: &Case, _: &Capacity) -> Result<Needs, EngineError> {
        Ok(Needs::default())
    }

    fn load(&self, spec: &ModelSpec, _: Progress) -> Result<Box<dyn Engine>, EngineError> {
        let lacking = || EngineError::Failed(format!("{} needs a directory with replay.json", spec.model));
        let path = spec.directory.as_ref().ok_or_else(lacking)?.join("replay.json");
        let text = model_file::read(&path).map_err(EngineError::at(&path))?;
        let recording = serde_json::from_slice(&text).map_err(EngineError::at(path))?;
        let loaded = Loaded { implementation: Some(spec.implementation.clone()), ..Loaded::default() };
        Ok(Box::new(Replay { loaded, recording }))
    }
}

struct Replay {
    loaded: Loaded,
    recording: Recording,
}

#[derive(Deserialize)]
struct Recording {
    clock: Clock,
    chunks: Vec<(u32, f64)>,
    end_to_end_ms: f64,
}

impl Engine for Replay {
    fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    fn generate(&mut self, _: &[u32], generated_length: usize) -> Result<Generation, EngineError> {
        let time =
            |ms: f64| Duration::try_from_secs_f64(ms / 1e3).map_err(|error| EngineError::Failed(error.to_string()));
        let mut chunks = Vec::new();
        let mut wanted = generated_length as u32;
        for &(tokens, ms) in &self.recording.chunks {
            let tokens = tokens.min(wanted);
            if tokens > 0 {
                chunks.push(Chunk { tokens, at: time(ms)? });
            }
            wanted -= tokens;
        }
        let end_to_end = time(self.recording.end_to_end_ms)?;
        Ok(Generation { tokens: None, chunks, clock: self.recording.clock, end_to_end })
    }
}
