//! Times the parts of a step: decode by the stamps of the kernel's blocks, prefill by CUDA events between its kernels.

use candle_core::{DType, Result, Tensor};

use super::gpu::{Stamping, Start};
use super::layout::{Address, DecodeParameters};
use super::parts::{DecodeBytes, PrefillOperations, PrefillPart};
use super::sequence::{Graph, STEPS_A_LAUNCH};
use super::stamped::{self, StampedStep};
use crate::engine::candle::forward::Forward;
use crate::engine::profile::{DECODED, Part, Profile, decode_parts};
use crate::results::StepParts;

/// Of so many steps the last is stamped: what a launch begins with, and what the stamps before cost, is over by then.
const EVERY: usize = 8;
/// Launches of a profile's decode steps.
const LAUNCHES: usize = 4;

/// Stamps as they were written, and when the steps were over.
#[derive(Default)]
struct Stamped {
    /// Of a step after the other.
    stamps: Vec<Vec<u32>>,
    /// When the step before was over, and this one.
    ends: Vec<[u32; 2]>,
}

impl Stamped {
    fn parts(&self, layers: usize) -> StepParts {
        let steps = self.stamps.iter().zip(&self.ends);
        let steps: Vec<StampedStep> =
            steps.map(|(stamps, [begin, end])| StampedStep { layers, stamps, begin: *begin, end: *end }).collect();
        stamped::parts(&steps)
    }
}

impl Graph {
    pub(super) fn time_parts(&mut self, context: usize) -> Result<Profile> {
        if context == 0 || context + DECODED > self.capacity {
            candle_core::bail!("{context} tokens of context don't fit into the KV cache of {}", self.capacity);
        }
        let prefill = self.time_prefill(context)?;
        let kernel = self.gpu.stamping(&self.shape, &self.plan)?;
        let mut seen = Stamped::default();
        for _ in 0..LAUNCHES {
            let start = Start { position: context - 1, token: 0, step: 0 };
            self.gpu.begin_decode(Address::NULL, &self.parameters, start)?;
            self.stamp_steps(&kernel, 0, STEPS_A_LAUNCH, &mut seen)?;
        }
        let step = seen.parts(self.layers.len());
        let bytes = DecodeBytes::new(&self.shape, &self.formats, context).by_part();
        Ok(Profile { context, prefill, decode: decode_parts(&step, &bytes), step })
    }

    /// A generation of its own, whose steps are stamped. `None` where it is too short for that.
    pub(super) fn stamp_generation(&mut self, prompt: &[u32], count: usize) -> Result<Option<StepParts>> {
        self.reset()?;
        self.queue_prompt(prompt)?;
        let kernel = self.gpu.stamping(&self.shape, &self.plan)?;
        let mut seen = Stamped::default();
        // The prompt's pass chooses the first token.
        let mut done = 1;
        while done < count {
            let steps = STEPS_A_LAUNCH.min(count - done);
            self.stamp_steps(&kernel, done, steps, &mut seen)?;
            done += steps;
        }
        Ok((!seen.stamps.is_empty()).then(|| seen.parts(self.layers.len())))
    }

    /// One launch of `steps`, as many as one has at most. `first`: which of its sequence's steps it begins with.
    fn stamp_steps(&self, kernel: &Stamping, first: usize, steps: usize, seen: &mut Stamped) -> Result<()> {
        let (samples, of_block) = (steps / EVERY, stamped::of_block(self.layers.len()));
        let of_step = self.plan.blocks * of_block;
        let stamps = Tensor::zeros(STEPS_A_LAUNCH / EVERY * of_step, DType::U32, self.embedding.device())?;
        let parameters = DecodeParameters {
            steps: steps as i32,
            stamps: Address::of(&stamps)?,
            stamps_every: EVERY as i32,
            ..self.parameters
        };
        self.gpu.decode_stamped(kernel, &parameters, &self.plan)?;
        self.gpu.synchronize()?;
        let stamps: Vec<u32> = stamps.to_vec1()?;
        let times: Vec<i64> = self.buffers.times.narrow(0, first, steps)?.to_vec1()?;
        for (sample, stamps) in stamps.chunks_exact(of_step).take(samples).enumerate() {
            let step = (sample + 1) * EVERY - 1;
            // The low half of the clock, as the stamps are.
            seen.ends.push([times[step - 1], times[step]].map(|time| time as u32));
            seen.stamps.push(stamps.to_vec());
        }
        Ok(())
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
                Part { operations: operations.of(kind), ..Part::of(kind.name(), seconds) }
            })
            .collect())
    }
}
