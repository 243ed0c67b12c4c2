//! What a session reports while it measures, to progress bars, log lines and tests.

use crate::results::Run;

/// Which run is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At<'a> {
    /// The label of the measured side; empty when there is only one.
    pub side: &'a str,
    /// The hub's id, or a name for a directory.
    pub model: &'a str,
    /// Counted from 1.
    pub round: u32,
}

/// Something happened.
#[derive(Debug, Clone, Copy)]
pub enum Update<'a> {
    /// The case of every run that is left to do, and the number of runs in all, over cases, rounds and sides.
    Started {
        /// Ids of cases, one for each run that is left.
        left: &'a [&'a str],
        /// Runs of the whole session.
        total: usize,
    },
    /// Nothing is measured until something else ends.
    Waiting {
        /// What is waited for.
        reason: &'a str,
    },
    /// A model is being loaded.
    Loading {
        /// Which run it is for.
        at: At<'a>,
        /// Bytes of weights so far.
        done: u64,
        /// Bytes in all; 0 while that is unknown.
        total: u64,
    },
    /// Cases are measured, and what they do on the GPU is being counted, untimed.
    Counting {
        /// Whose they are; of no round.
        at: At<'a>,
        /// How many.
        cases: usize,
    },
    /// The measured program took up a case.
    CaseStarted {
        /// Which run it is.
        at: At<'a>,
        /// The case's id.
        case: &'a str,
    },
    /// Generated tokens so far and in all, warm-up included.
    CaseProgress {
        /// Tokens so far.
        done: u64,
        /// Tokens of the whole run.
        total: u64,
    },
    /// A run ended that doesn't count, and will be measured again. It is on the disk already.
    Discarded {
        /// Which run it was.
        at: At<'a>,
        /// What it gave.
        run: &'a Run,
        /// Why it doesn't count.
        why: &'a str,
    },
    /// A run ended, well or not. It is on the disk already.
    Finished {
        /// Which run it was.
        at: At<'a>,
        /// What it gave.
        run: &'a Run,
    },
}

/// Who is told what a session does.
pub trait Observer {
    /// Takes one update. The session goes on when it returns.
    fn update(&mut self, update: Update);
}

/// An observer that ignores everything.
pub struct Silent;

impl Observer for Silent {
    fn update(&mut self, _update: Update) {}
}
