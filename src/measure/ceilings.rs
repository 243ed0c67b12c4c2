//! The device's ceilings, measured in a process of their own: their buffers must not count as anybody's memory.

use std::time::{Duration, Instant};

use super::program::Worker;
use super::protocol::{Event, Job};
use crate::child::{Next, Stop, clean};
use crate::config::Suite;
use crate::engine::ModelSpec;
use crate::results::Ceilings;

const LIMIT: Duration = Duration::from_secs(60);

/// Asks this program's own worker, whatever program is measured: both sides of a comparison share the device.
pub fn measure(suite: &Suite, spec: &ModelSpec, stop: &Stop) -> Result<Option<Ceilings>, String> {
    let job =
        Job { model: spec.clone(), cases: Vec::new(), settings: suite.settings.clone(), ceilings: None, trace: false };
    let worker = Worker::this().map_err(|error| error.to_string())?;
    let mut child = worker.start(&job).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + LIMIT;
    loop {
        let event = match child.next(deadline, stop) {
            Next::Message(event) => *event,
            Next::Garbage(start) => return Err(format!("the worker wrote `{start}`")),
            Next::Ended => return Err(child.end()),
            Next::TimedOut => return Err(format!("no answer within {} s", LIMIT.as_secs())),
            Next::Stopped => return Ok(None),
        };
        match event {
            Event::Ceilings { ceilings } => {
                child.wait();
                return Ok(ceilings);
            }
            Event::Failed { failure } => return Err(clean(&failure.reason, 300)),
            _ => {}
        }
    }
}
