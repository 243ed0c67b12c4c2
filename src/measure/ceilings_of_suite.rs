//! The device's ceilings, measured in a process of their own, so that their buffers don't count as a case's memory.

use std::time::{Duration, Instant};

use super::halt::Halt;
use super::program::Worker;
use super::protocol::{Event, Job};
use crate::child::{Next, Stop, clean};
use crate::config::Suite;
use crate::device::Gpus;
use crate::engine::ModelSpec;
use crate::error::{Cause, Error};
use crate::results::Ceilings;

const LIMIT: Duration = Duration::from_secs(60);

/// What the suite's GPUs can do together: each is measured for itself. `None` where that says nothing.
pub fn measure(suite: &Suite, spec: &ModelSpec, stop: &Stop) -> Result<Option<Ceilings>, Halt> {
    let each = suite.gpus.split();
    let each = each.iter().map(|gpu| of_one(suite, spec, gpu, stop)).collect::<Result<Option<Vec<_>>, _>>()?;
    Ok(each.and_then(|each| together(&each)))
}

/// A model is spread evenly, so that each card counts as the slowest.
fn together(each: &[Ceilings]) -> Option<Ceilings> {
    let count = each.len() as f64;
    let slowest = each.iter().copied().reduce(|a, b| Ceilings {
        bandwidth_gb_s: a.bandwidth_gb_s.min(b.bandwidth_gb_s),
        matmul_tflop_s: a.matmul_tflop_s.min(b.matmul_tflop_s),
    })?;
    Some(Ceilings { bandwidth_gb_s: slowest.bandwidth_gb_s * count, matmul_tflop_s: slowest.matmul_tflop_s * count })
}

/// Asks this program's own worker, whatever program is measured: both sides of a comparison share the device.
fn of_one(suite: &Suite, spec: &ModelSpec, gpu: &Gpus, stop: &Stop) -> Result<Option<Ceilings>, Halt> {
    let model = ModelSpec { gpus: gpu.ordinals(), ..spec.clone() };
    let job = Job {
        model,
        cases: Vec::new(),
        settings: suite.settings.clone(),
        ceilings: None,
        prompt_ids: None,
        trace: false,
        traced: None,
    };
    let unknown = |why: Cause| Halt::Failed(Error::measurement("the device's ceilings are unknown").because(why));
    let worker = Worker::this()?.seeing(gpu);
    let mut child = worker.start(&job).map_err(|error| unknown(error.into()))?;
    let deadline = Instant::now() + LIMIT;
    loop {
        let event = match child.next(deadline, stop) {
            Next::Message(event) => *event,
            Next::Garbage(line) => return Err(unknown(format!("the worker wrote `{}`", line.start).into())),
            Next::Ended => return Err(unknown(child.end().into())),
            Next::TimedOut => return Err(unknown(format!("no answer within {} s", LIMIT.as_secs()).into())),
            Next::Stopped => return Err(Halt::Stopped),
        };
        match event {
            Event::Ceilings { ceilings } => {
                child.wait();
                return Ok(ceilings);
            }
            Event::Failed { failure } => return Err(unknown(clean(&failure.reason, 300).into())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_cards_do_as_many_times_the_slowest() {
        let card = |bandwidth_gb_s, matmul_tflop_s| Ceilings { bandwidth_gb_s, matmul_tflop_s };
        assert_eq!(together(&[card(3000.0, 700.0), card(2900.0, 800.0)]), Some(card(5800.0, 1400.0)));
        assert_eq!(together(&[card(3000.0, 700.0)]), Some(card(3000.0, 700.0)));
        assert_eq!(together(&[]), None);
    }
}
