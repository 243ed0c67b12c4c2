//! What to measure, and what all rounds of a session share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::halt::Halt;
use super::hopeless::Hopeless;
use super::idle::wait_until_idle;
use super::observer::Observer;
use super::throttle::Throttling;
use super::trace::Trace;
use crate::child::Stop;
use crate::config::Suite;
use crate::device::Ours;
use crate::results::Failure;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The cases, and how to measure them.
    pub suite: &'a Suite,
    /// Cases that are known not to fit, with the reason: recorded as failed without trying.
    pub refused: BTreeMap<String, Failure>,
    /// Where to write every gap between tokens.
    pub trace: Option<&'a Path>,
    /// Count what the cases do on the GPU, once they are measured.
    pub counters: bool,
    /// Where the lock files of this machine's devices are.
    pub locks: PathBuf,
}

impl<'a> Request<'a> {
    /// All of `suite`, with locks where the system keeps what is temporary.
    pub fn new(suite: &'a Suite) -> Self {
        let counters = suite.counters;
        Self { suite, refused: BTreeMap::new(), trace: None, counters, locks: std::env::temp_dir() }
    }
}

/// A session that is being measured.
pub struct Session<'a> {
    /// What to measure.
    pub request: &'a Request<'a>,
    /// Who is told of progress.
    pub observer: &'a mut dyn Observer,
    /// Ends it early.
    pub stop: &'a Stop,
    /// Where every gap goes; absent where nobody wants them.
    pub trace: Option<Trace>,
    /// What held clocks down so far.
    pub throttling: Throttling,
    /// What isn't tried again.
    pub hopeless: Hopeless,
}

impl Session<'_> {
    /// Nothing of ours runs at such a time.
    pub fn wait_until_idle(&mut self) -> Result<(), Halt> {
        let suite = self.request.suite;
        let limit = Duration::from_secs(suite.limits.idle_wait_seconds);
        wait_until_idle(&suite.gpus.open(), &Ours::nobody(), limit, self.observer, self.stop)
    }
}
