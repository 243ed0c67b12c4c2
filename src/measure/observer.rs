//! What a session reports while it measures, to progress bars, log lines and tests.

use crate::results::Run;

/// Which run is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At<'a> {
    /// The label of the measured side; empty when there is only one.
    pub side: &'a str,
    pub model: &'a str,
    pub round: u32,
}

/// Something happened.
#[derive(Debug, Clone, Copy)]
pub enum Update<'a> {
    /// The case of every run that is left to do, and the number of runs in all, over cases, rounds and sides.
    Started {
        left: &'a [&'a str],
        total: usize,
    },
    /// Nothing is measured until something else ends.
    Waiting {
        reason: &'a str,
    },
    /// Bytes of weights so far; the total is 0 while it is unknown.
    Loading {
        at: At<'a>,
        done: u64,
        total: u64,
    },
    CaseStarted {
        at: At<'a>,
        case: &'a str,
    },
    /// Generated tokens so far and in all, warm-up included.
    CaseProgress {
        done: u64,
        total: u64,
    },
    /// A run ended that doesn't count, and will be measured again. It is on the disk already.
    Discarded {
        at: At<'a>,
        run: &'a Run,
        why: &'a str,
    },
    /// A run ended, well or not. It is on the disk already.
    Finished {
        at: At<'a>,
        run: &'a Run,
    },
}

pub trait Observer {
    fn update(&mut self, update: Update);
}

/// An observer that ignores everything.
pub struct Silent;

impl Observer for Silent {
    fn update(&mut self, _update: Update) {}
}
