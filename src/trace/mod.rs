//! What a program did on GPUs, as the tracer (`tracer/`) saw it: from a program that is started with it
//! ([`traced_program`]), or from a saved file ([`trace_file`]). Two of them are compared in [`trace_diff`], several a side in
//! [`attribution`].

pub mod attribution;
pub mod chrome;
pub mod consistent;
mod contradictions;
pub mod folded;
mod kernel_name;
mod moved;
pub mod own_phase;
mod part;
mod sum;
pub mod timeline;
pub mod trace_diff;
pub mod trace_file;
pub mod trace_table;
mod trace_v1;
pub mod traced_program;
pub mod tracers;
pub mod worth_a_line;

pub use kernel_name::{readable, shown_name};
pub use part::{Kernel, Part, Shape};
pub use sum::Sum;
pub use trace_v1::File;

/// What was seen of one or more processes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    pub processes: Vec<Process>,
    /// By name, in the order in which they began; the first may have none. Those of several processes are added up.
    pub phases: Vec<(String, Part)>,
}

/// A process that the tracer was in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    pub program: String,
    /// Why there is no trace.
    pub problem: Option<String>,
    /// It ended in good order. Of one that didn't, the last quarter of a second may be missing.
    pub ended: bool,
    /// Records that there was no room for.
    pub dropped: u64,
}

impl Trace {
    /// What happened in the phase of that name, or at all.
    pub fn part(&self, phase: Option<&str>) -> Option<Part> {
        let wanted = |name: &str| phase.is_none_or(|phase| phase == name);
        let parts = self.phases.iter().filter(|(name, _)| wanted(name)).map(|(_, part)| part);
        let all = parts.fold(None, |all: Option<Part>, part| Some(all.unwrap_or_default().and(part)));
        all.or_else(|| phase.is_none().then(Part::default))
    }

    /// Nothing is missing that anybody knows of: its counts are exact.
    pub fn is_whole(&self) -> bool {
        self.dropped() == 0 && self.processes.iter().all(|process| process.ended && process.problem.is_none())
    }

    /// Records that there was no room for, of all processes.
    pub fn dropped(&self) -> u64 {
        self.processes.iter().fold(0, |sum, process| sum.saturating_add(process.dropped))
    }

    /// A process didn't end by itself.
    pub fn is_cut(&self) -> bool {
        self.processes.iter().any(|process| process.problem.is_none() && !process.ended)
    }

    /// Why nothing was traced at all, where the tracer said so.
    pub fn only_problem(&self) -> Option<&str> {
        let all = self.processes.iter().all(|process| process.problem.is_some());
        self.processes.first().filter(|_| all)?.problem.as_deref()
    }
}
