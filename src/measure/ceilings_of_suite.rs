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

/// What each of the suite's GPUs can do at least. `None` where that says nothing.
pub fn measure(suite: &Suite, spec: &ModelSpec, stop: &Stop) -> Result<Option<Ceilings>, Halt> {
    let each = suite.gpus.split();
    let each = each.iter().map(|gpu| of_one(suite, spec, gpu, stop)).collect::<Result<Option<Vec<_>>, _>>()?;
    Ok(each.and_then(slowest))
}

/// A model is laid on all evenly: the slowest decides. How many of them work at the same time is the engine's affair.
fn slowest(each: Vec<Ceilings>) -> Option<Ceilings> {
    each.into_iter().reduce(|a, b| Ceilings {
        bandwidth_gb_s: a.bandwidth_gb_s.min(b.bandwidth_gb_s),
        matmul_tflop_s: a.matmul_tflop_s.min(b.matmul_tflop_s),
    })
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
            Event::Failed { failure, .. } => return Err(unknown(clean(&failure.reason, 300).into())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_cards_the_slowest_counts() {
        let card = |bandwidth_gb_s, matmul_tflop_s| Ceilings { bandwidth_gb_s, matmul_tflop_s };
        assert_eq!(slowest(vec![card(3000.0, 700.0), card(2900.0, 800.0)]), Some(card(2900.0, 700.0)));
        assert_eq!(slowest(vec![card(3000.0, 700.0)]), Some(card(3000.0, 700.0)));
        assert_eq!(slowest(Vec::new()), None);
    }
}
