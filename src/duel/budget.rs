//! Time for measuring in turn.

use std::time::{Duration, Instant};

/// Whether another block fits is estimated from the length of the last one.
pub struct Budget {
    started: Instant,
    total: Duration,
    /// What the last block took.
    block: Duration,
}

impl Budget {
    /// Runs from now on.
    pub fn new(total: Duration) -> Self {
        Self { started: Instant::now(), total, block: Duration::ZERO }
    }

    /// Is there time for one that takes as long as the last?
    pub fn allows_another_block(&self) -> bool {
        self.started.elapsed() + self.block <= self.total
    }

    /// Measures a block, whose length tells what the next one takes.
    pub fn spend<T>(&mut self, block: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let measured = block();
        self.block = started.elapsed();
        measured
    }

    /// All of it, for a person: `20 min`, `5 s`.
    pub fn in_words(&self) -> String {
        match self.total.as_secs_f64() {
            seconds if seconds < 60.0 => format!("{seconds} s"),
            seconds => format!("{} min", (seconds / 6.0).round() / 10.0),
        }
    }
}
