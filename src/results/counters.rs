//! What a program does on a GPU, counted in generations of their own: counts don't vary as times do.

use std::collections::BTreeMap;

use crate::word::{Word, words};

words! {
    /// What is counted.
    Counter {
        KernelLaunches = "kernel_launches",
        GraphLaunches = "graph_launches",
        DistinctKernels = "distinct_kernels",
        CopiesToDevice = "copies_to_device",
        BytesToDevice = "bytes_to_device",
        CopiesToHost = "copies_to_host",
        BytesToHost = "bytes_to_host",
        CopiesOnDevice = "copies_on_device",
        BytesOnDevice = "bytes_on_device",
        OtherCopies = "other_copies",
        OtherBytes = "other_bytes",
        MemorySets = "memory_sets",
        Synchronizations = "synchronizations",
        Allocations = "allocations",
    }
}

/// By counter; one that this build doesn't know keeps its name.
pub type Counts = BTreeMap<Word<Counter>, u64>;

/// What came of counting a case.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseCounters {
    /// The case's id.
    pub case: String,
    /// What was counted, or why nothing was.
    pub counted: Result<Counted, String>,
}

/// Generations of one token and of several, in one process.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// Of the longer ones.
    pub tokens: u32,
    /// One after the other: where they differ, the program doesn't always do the same.
    pub pairs: Vec<CountedPair>,
}

impl Counted {
    /// Equal pairs once: that they are equal is all they say.
    pub fn compact(&mut self) {
        self.pairs.dedup_by(|again, first| again.counts() == first.counts());
    }
}

/// A generation of one token, and one of several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CountedPair {
    /// The prefill, and what every generation begins with.
    pub one_token: Counts,
    /// What it has more than the other is decoding.
    pub all_tokens: Counts,
    /// The share of the time of decoding in which kernels ran. A time of a traced run: shown, and compared with nothing.
    pub busy_share: Option<f64>,
}

impl CountedPair {
    fn counts(&self) -> [&Counts; 2] {
        [&self.one_token, &self.all_tokens]
    }
}
