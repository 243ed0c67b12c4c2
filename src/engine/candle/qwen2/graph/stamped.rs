//! What the stamps of the decode kernel's blocks come to (kernels/decode_stamps.cuh).
//!
//! Blocks pass everything to all others, so that a step is as long as the way from last block to last block: until the last
//! one has an input, and then until the last one is done with it. These parts add up.

use super::sizes::{HEAD_STAMPS, LAYER_STAMPS};
use crate::results::{ProductTimes, StepParts};

/// A part of a step: where its stamps are, counted from those of its layer or of the head.
struct Part {
    name: &'static str,
    ready: usize,
    done: usize,
}

/// Of a layer, in order. The last is done when the next layer (or the head) begins to wait.
const OF_LAYER: [Part; 5] = [
    Part { name: "qkv", ready: 1, done: 2 },
    Part { name: "attention", ready: 3, done: 4 },
    Part { name: "output", ready: 5, done: 6 },
    Part { name: "gate and up", ready: 7, done: 8 },
    Part { name: "down", ready: 9, done: 10 },
];

/// Behind the layers. Choosing the token is one wait for all blocks.
const OF_HEAD: [Part; 2] = [Part { name: "head", ready: 1, done: 2 }, Part { name: "choosing", ready: 3, done: 3 }];

/// Stamps of one block in one step.
pub const fn of_block(layers: usize) -> usize {
    layers * LAYER_STAMPS + HEAD_STAMPS
}

/// A step: the stamps of its blocks one after the other, and when the step before and it were over. All are the low half of
/// the GPU's clock.
#[derive(Debug, Clone, Copy)]
pub struct StampedStep<'a> {
    pub layers: usize,
    pub stamps: &'a [u32],
    pub begin: u32,
    pub end: u32,
}

/// The mean of some steps.
pub fn parts(steps: &[StampedStep]) -> StepParts {
    let count = steps.len().max(1) as f64;
    let mut mean = steps.iter().map(StampedStep::parts).reduce(|sum, step| together(sum, &step)).unwrap_or_default();
    let all = mean.products.iter_mut().flat_map(|product| {
        let ProductTimes { waiting_us, work_us, apart_us, .. } = product;
        waiting_us.iter_mut().chain(work_us).chain(apart_us)
    });
    all.chain([&mut mean.step_us, &mut mean.unexplained_us]).for_each(|time| *time /= count);
    mean
}

fn together(mut sum: StepParts, step: &StepParts) -> StepParts {
    let add = |to: &mut Vec<f64>, from: &[f64]| to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
    for (to, from) in sum.products.iter_mut().zip(&step.products) {
        add(&mut to.waiting_us, &from.waiting_us);
        add(&mut to.work_us, &from.work_us);
        add(&mut to.apart_us, &from.apart_us);
    }
    sum.steps += step.steps;
    sum.step_us += step.step_us;
    sum.unexplained_us += step.unexplained_us;
    sum
}

impl StampedStep<'_> {
    fn parts(&self) -> StepParts {
        let mut products: Vec<ProductTimes> = OF_LAYER
            .iter()
            .chain(&OF_HEAD)
            .map(|part| ProductTimes { name: part.name.to_owned(), ..Default::default() })
            .collect();
        let mut at = 0.0;
        for layer in 0..self.layers {
            for (part, times) in OF_LAYER.iter().zip(&mut products) {
                at = self.add(part, layer * LAYER_STAMPS, at, times);
            }
        }
        for (part, times) in OF_HEAD.iter().zip(&mut products[OF_LAYER.len()..]) {
            at = self.add(part, self.layers * LAYER_STAMPS, at, times);
        }
        let step_us = self.since_begin(self.end);
        StepParts { steps: 1, step_us, products, unexplained_us: step_us - at }
    }

    /// What comes before was done `at` that time. When this is.
    fn add(&self, part: &Part, first_place: usize, at: f64, to: &mut ProductTimes) -> f64 {
        let [ready, done] = [part.ready, part.done].map(|place| self.ends(first_place + place));
        to.waiting_us.push(ready[1] - at);
        to.work_us.push(done[1] - ready[1]);
        to.apart_us.push(ready[1] - ready[0]);
        done[1]
    }

    /// The first block and the last at a place of their stamps.
    fn ends(&self, place: usize) -> [f64; 2] {
        let blocks = self.stamps.chunks_exact(of_block(self.layers));
        let moments = blocks.map(|stamps| self.since_begin(stamps[place]));
        moments.fold([f64::INFINITY, f64::NEG_INFINITY], |[first, last], at| [first.min(at), last.max(at)])
    }

    /// In microseconds. The clock's low half may have begun anew.
    fn since_begin(&self, moment: u32) -> f64 {
        f64::from(moment.wrapping_sub(self.begin).cast_signed()) * 1e-3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYERS: usize = 2;

    /// Nanoseconds from the step's begin: in every layer a block waits for 1 and works for 3, 5, 2, 11 and 6 microseconds.
    fn block(start: u32, later: u32) -> Vec<u32> {
        let mut at = start + later;
        let mut stamps = Vec::new();
        let mut take = |waits: u32, works: u32| {
            stamps.extend([at, at + waits]);
            at += waits + works;
        };
        for _ in 0..LAYERS {
            take(1000, 3000);
            // Attention begins where the query/key/value product ends, and the output's wait where attention does.
            take(1000, 5000);
            take(1000, 2000);
            take(1000, 11_000);
            take(1000, 6000);
        }
        take(1000, 50_000);
        stamps.extend([at, at + 2000]);
        stamps
    }

    fn step(begin: u32, blocks: &[u32]) -> (Vec<u32>, u32) {
        let stamps = blocks.iter().flat_map(|later| block(0, *later)).map(|at| begin.wrapping_add(at)).collect();
        (stamps, begin.wrapping_add(2 * 32_000 + 53_000 + 40))
    }

    fn of(begin: u32, blocks: &[u32]) -> StepParts {
        let (stamps, end) = step(begin, blocks);
        parts(&[StampedStep { layers: LAYERS, stamps: &stamps, begin, end }])
    }

    fn sum(parts: &StepParts) -> f64 {
        let times = |product: &ProductTimes| product.waiting_us.iter().chain(&product.work_us).sum::<f64>();
        parts.products.iter().map(times).sum::<f64>() + parts.unexplained_us
    }

    fn work(parts: &StepParts) -> Vec<f64> {
        parts.products.iter().map(|product| product.work_us.iter().sum()).collect()
    }

    #[test]
    fn a_step_is_the_sum_of_its_parts() {
        let parts = of(1000, &[0, 0, 0]);
        assert_eq!(work(&parts), [6.0, 10.0, 4.0, 22.0, 12.0, 50.0, 0.0]);
        let waiting: Vec<f64> = parts.products.iter().map(|product| product.waiting_us.iter().sum()).collect();
        assert_eq!(waiting, [2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 2.0]);
        assert!((parts.unexplained_us - 0.04).abs() < 1e-9 && (sum(&parts) - parts.step_us).abs() < 1e-9);
    }

    #[test]
    fn the_clocks_low_half_may_begin_anew_within_a_step() {
        let [early, late] = [1000, u32::MAX - 30_000].map(|begin| of(begin, &[0, 500]));
        assert_eq!(early, late);
    }

    /// A block that is late by half a microsecond is what all wait for.
    #[test]
    fn the_last_block_counts_and_the_first_is_told() {
        let parts = of(0, &[0, 500]);
        assert_eq!(parts.products[0].waiting_us, [1.5, 1.0]);
        assert_eq!(parts.products[3].apart_us, [0.5, 0.5]);
        assert!((sum(&parts) - parts.step_us).abs() < 1e-9);
    }

    /// 2% of one product, in one block of three.
    #[test]
    fn a_slower_product_is_where_the_time_goes() {
        let (mut stamps, end) = step(0, &[0, 0, 0]);
        let before = parts(&[StampedStep { layers: LAYERS, stamps: &stamps, begin: 0, end }]);
        let one = of_block(LAYERS);
        for layer in 0..LAYERS {
            // All that the slow block does after it, and all that others have to wait for.
            let first = layer * LAYER_STAMPS + OF_LAYER[3].done;
            for block in 0..3 {
                let own = usize::from(block != 1);
                stamps[block * one + first + own..(block + 1) * one].iter_mut().for_each(|at| *at += 220);
            }
        }
        let after = parts(&[StampedStep { layers: LAYERS, stamps: &stamps, begin: 0, end: end + 440 }]);
        let more: Vec<f64> =
            work(&after).iter().zip(work(&before)).map(|(after, before)| ((after - before) * 1e3).round()).collect();
        assert_eq!(more, [0.0, 0.0, 0.0, 440.0, 0.0, 0.0, 0.0]);
        assert!((sum(&after) - sum(&before) - 0.44).abs() < 1e-9);
    }

    /// tests/fixtures/stamps/README.md: two layers of 7B on an H100.
    #[test]
    fn a_recorded_step_is_divided() {
        let bytes = include_bytes!("../../../../../tests/fixtures/stamps/7b-2.u32");
        let words: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let [blocks, layers, begin, end, ref stamps @ ..] = words[..] else { panic!("no header") };
        assert_eq!(stamps.len(), blocks as usize * of_block(layers as usize));
        let parts = parts(&[StampedStep { layers: layers as usize, stamps, begin, end }]);
        assert!((sum(&parts) - parts.step_us).abs() < 1e-9 && parts.unexplained_us.abs() < 1.0, "{parts:?}");
        assert!((700.0..730.0).contains(&parts.step_us), "{parts:?}");
        // By the bytes that they read: of two layers 543 and 272 MB at nearly 3 TB/s, and the head.
        let [_, attention, _, gate_up, down, head, _] = work(&parts)[..] else { panic!("{parts:?}") };
        assert!((180.0..200.0).contains(&gate_up) && (88.0..98.0).contains(&down), "{parts:?}");
        assert!((360.0..375.0).contains(&head) && attention < 6.0, "{parts:?}");
        let times = parts.products.iter().flat_map(|product| product.work_us.iter().chain(&product.waiting_us));
        assert!(times.clone().all(|time| *time >= 0.0), "{parts:?}");
    }

    #[test]
    fn several_steps_count_by_their_mean() {
        let (stamps, end) = step(0, &[0]);
        let longer: Vec<u32> = stamps.iter().enumerate().map(|(place, at)| at + 300 * u32::from(place > 0)).collect();
        let one = StampedStep { layers: LAYERS, stamps: &stamps, begin: 0, end };
        let other = StampedStep { stamps: &longer, end: end + 300, ..one };
        let mean = parts(&[one, other]);
        assert_eq!((mean.steps, mean.products[0].waiting_us[0]), (2, 1.15));
        assert!((sum(&mean) - mean.step_us).abs() < 1e-9);
        assert_eq!(parts(&[]), StepParts::default());
    }
}
