//! Times the parts of a step: decode by the kernel's own clock, prefill by CUDA events between its kernels.

use candle_core::{DType, Result, Tensor};

use super::gpu::Start;
use super::layout::{Address, DecodeParameters};
use super::parts::{DECODE_PARTS, DecodeBytes, PrefillOperations, PrefillPart, decode_seconds};
use super::sequence::Graph;
use super::sizes::PHASES;
use crate::engine::profile::{Part, Profile};
use crate::stats;

/// Times are the median of this many steps.
const STEPS: usize = 9;

impl Graph {
    pub(super) fn time_parts(&mut self, context: usize) -> Result<Profile> {
        // A step reads `context` tokens and processes one more.
        if context == 0 || context + 2 > self.capacity {
            candle_core::bail!("{context} tokens of context don't fit into the KV cache of {}", self.capacity);
        }
        Ok(Profile { context, prefill: self.time_prefill(context)?, decode: self.time_decode(context)? })
    }

    fn time_decode(&mut self, context: usize) -> Result<Vec<Part>> {
        let layers = self.layers.len();
        let marks = Tensor::zeros(layers * PHASES + 1, DType::I64, self.embedding.device())?;
        // Two steps, because the first of a launch starts cold: the marks are those of the second.
        let parameters = DecodeParameters { steps: 2, phases: Address::of(&marks)?, ..self.parameters };
        let mut runs = Vec::with_capacity(STEPS);
        for _ in 0..STEPS {
            let start = Start { position: context - 1, token: 0, step: 0 };
            self.gpu.begin_decode(Address::NULL, &parameters, start)?;
            self.gpu.decode(&parameters, &self.plan)?;
            self.gpu.synchronize()?;
            let moments: Vec<i64> = marks.to_vec1()?;
            let ends: Vec<i64> = self.buffers.times.narrow(0, 0, 2)?.to_vec1()?;
            runs.push(decode_seconds(&moments, &ends));
        }
        let bytes = DecodeBytes::new(&self.shape, &self.formats, context).by_part();
        let parts = DECODE_PARTS.into_iter().zip(bytes).enumerate().map(|(index, (name, bytes))| {
            let times: Vec<f64> = runs.iter().map(|run| run[index]).collect();
            Part { name, seconds: stats::median(&times).unwrap_or_default(), bytes, operations: 0.0 }
        });
        Ok(parts.collect())
    }

    fn time_prefill(&mut self, context: usize) -> Result<Vec<Part>> {
        let vocabulary = self.shape.vocabulary as u32;
        let prompt: Vec<u32> = (0..context as u32).map(|index| index % vocabulary).collect();
        let mut timed = Vec::new();
        // The first pass loads and tunes: it doesn't count.
        for _ in 0..2 {
            self.length = 0;
            timed = self.gpu.timed(|between| self.passes(&prompt, between))?;
        }
        self.length = context;
        let operations = PrefillOperations::new(&self.shape, context);
        Ok(PrefillPart::ALL
            .into_iter()
            .map(|kind| {
                let seconds = timed.iter().filter(|(part, _)| *part == kind).map(|(_, seconds)| seconds).sum();
                Part { name: kind.name(), seconds, bytes: 0.0, operations: operations.of(kind) }
            })
            .collect())
    }
}
