//! Generations of a case.

use super::generated::Generated;
use crate::case::{Case, Traffic};
use crate::engine::{Engine, EngineError};

/// What an engine is asked for, again and again.
pub struct Work<'a> {
    pub case: &'a Case,
    pub prompt: &'a [u32],
}

impl Work<'_> {
    /// As many requests as are in flight later, at once.
    pub fn warm_up(&self, engine: &mut dyn Engine, length: usize) -> Result<(), EngineError> {
        match self.case.traffic {
            None => engine.generate(self.prompt, length)?.check(length),
            Some(traffic) => {
                let traffic = Traffic { requests: traffic.concurrency, ..traffic };
                engine.serve(traffic, self.prompt, length)?.check(length)
            }
        }
    }

    /// `tell` is told after each of them how many there are.
    pub fn measure(
        &self,
        engine: &mut dyn Engine,
        iterations: usize,
        tell: &mut dyn FnMut(usize) -> Result<(), EngineError>,
    ) -> Result<Generated, EngineError> {
        let length = self.case.generated_length as usize;
        let Some(traffic) = self.case.traffic else {
            let generations = (1..=iterations).map(|done| {
                let generation = engine.generate(self.prompt, length)?;
                generation.check(length)?;
                tell(done).map(|()| generation)
            });
            return generations.collect::<Result<_, _>>().map(Generated::Alone);
        };
        let served = (1..=iterations).map(|done| {
            let served = engine.serve(traffic, self.prompt, length)?;
            served.check(length)?;
            tell(done).map(|()| served)
        });
        served.collect::<Result<_, _>>().map(Generated::Together)
    }
}
