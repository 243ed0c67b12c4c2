//! Files of traces: read, joined, written.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::contradictions;
use super::timeline::{Event, Timeline, plain};
use super::trace_v1::{self as v1, SCHEMA};
use super::{Kernel, Part, Process, Shape, Sum, Trace, shown_name};
use crate::error::{Error, Result};

/// Larger files aren't read: 20,000 kernels with long names are a tenth of this.
const MAX_BYTES: u64 = 256 << 20;
const MOST_PROCESSES: usize = 1000;
const MOST_PHASES: usize = 100;
/// Characters of a program's name, a phase's.
const NAME: usize = 1000;
/// And of a problem.
const SENTENCE: usize = 1000;

/// A file as it is on the disk, checked.
#[derive(Debug, Clone)]
pub struct Saved(v1::File);

impl Saved {
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::reading(path, error))?;
        let mut text = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|error| Error::reading(path, error))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(Error::usage(format!(
                "{} is larger than {} MiB: not a trace",
                path.display(),
                MAX_BYTES >> 20
            )));
        }
        Self::parse(&text).map_err(|error| error.at(&path.display().to_string()))
    }

    fn parse(text: &[u8]) -> Result<Self> {
        let hint = "`bench-diff trace --output FILE -- PROGRAM` writes one";
        let file: v1::File = serde_json::from_slice(text).map_err(|error| not_one(text, error).hint(hint))?;
        if file.schema != SCHEMA {
            let schema: String = file.schema.chars().take(NAME).collect();
            return Err(Error::usage(format!("the schema `{schema}` isn't known here, only `{SCHEMA}`")).hint(hint));
        }
        // The tracer has 32 phases at most; a file that has more of everything would take long.
        if file.processes.len() > MOST_PROCESSES
            || file.processes.iter().any(|process| process.phases.len() > MOST_PHASES)
        {
            return Err(Error::usage("not a trace: it has more processes or phases than any program").hint(hint));
        }
        let lacks_name = |process: &v1::Process| {
            let mut kernels = process.phases.iter().flat_map(|phase| &phase.kernels);
            kernels.any(|kernel| kernel.name >= process.names.len())
        };
        if file.processes.iter().any(lacks_name) {
            return Err(Error::usage("not a whole trace: a kernel's name is missing in `names`").hint(hint));
        }
        match contradictions::first(&file) {
            Some(why) => Err(Error::usage("not a trace: its numbers contradict each other").because(why).hint(hint)),
            None => Ok(Self(file)),
        }
    }

    /// One of nobody.
    pub fn none() -> Self {
        Self(v1::File { schema: SCHEMA.to_owned(), processes: Vec::new() })
    }

    /// With the processes of another.
    pub fn join(&mut self, other: Self) {
        self.0.processes.extend(other.0.processes);
    }

    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, &self.0)?;
        out.write_all(b"\n")
    }

    /// What happened one after the other, where that was kept: in all phases, or in one.
    pub fn timelines(&self, wanted: Option<&str>) -> Vec<Timeline> {
        let mut timelines = Vec::new();
        for process in &self.0.processes {
            let names: Vec<Arc<str>> = process.names.iter().map(|name| plain(&shown_name(name)).into()).collect();
            for phase in process.phases.iter().filter(|phase| wanted.is_none_or(|wanted| phase.name == wanted)) {
                let events = phase.timeline.as_ref().filter(|timeline| !timeline.events.is_empty());
                timelines.extend(events.map(|timeline| Timeline {
                    pid: process.pid,
                    program: plain(&short(&process.program, NAME)),
                    phase: plain(&short(&phase.name, NAME)),
                    left_out: timeline.left_out,
                    events: timeline.events.iter().map(|event| Event::of(event, &names)).collect(),
                }));
            }
        }
        timelines
    }

    /// What it says.
    pub fn trace(&self) -> Trace {
        let mut trace = Trace::default();
        for process in &self.0.processes {
            trace.processes.push(seen(process));
            let names: Vec<String> = process.names.iter().map(|name| shown_name(name)).collect();
            process.phases.iter().for_each(|phase| add_phase(&mut trace, phase, process.pid, &names));
        }
        trace
    }
}

/// What doesn't even say that it is one is something else, whose fields are of no interest.
fn not_one(text: &[u8], error: serde_json::Error) -> Error {
    #[derive(Deserialize)]
    struct Named {
        schema: String,
    }
    let claims_to_be = serde_json::from_slice::<Named>(text).is_ok_and(|named| named.schema == SCHEMA);
    if error.is_data() && !claims_to_be {
        return Error::usage(format!("not a trace: its `schema` isn't `{SCHEMA}`"));
    }
    Error::usage("not a trace").because(error)
}

fn seen(process: &v1::Process) -> Process {
    let v1::Process { pid, program, problem, ended, dropped, .. } = process;
    let problem = problem.as_ref().map(|problem| short(problem, SENTENCE));
    Process { pid: *pid, program: short(program, NAME), problem, ended: *ended, dropped: *dropped }
}

fn add_phase(trace: &mut Trace, phase: &v1::Phase, pid: u32, names: &[String]) {
    let (name, part) = (short(&phase.name, NAME), part(phase, pid, names));
    match trace.phases.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = std::mem::take(known).and(&part),
        None => trace.phases.push((name, part)),
    }
}

fn part(phase: &v1::Phase, pid: u32, names: &[String]) -> Part {
    let mut part = Part { graph_launches: phase.graph_launches, ..Part::default() };
    for kernel in &phase.kernels {
        let v1::Kernel { name, grid, block, registers, shared_bytes, ref sum, .. } = *kernel;
        let shape = Shape { name: names.get(name).cloned().unwrap_or_default(), grid, block };
        let kernel = Kernel { sum: Sum::from(sum), registers, shared_bytes };
        part.kernels.entry(shape).or_default().add(&kernel);
    }
    let lists = [
        (&mut part.copies, &phase.copies),
        (&mut part.synchronizations, &phase.synchronizations),
        (&mut part.allocations, &phase.allocations),
        (&mut part.releases, &phase.releases),
    ];
    for (to, from) in lists {
        from.iter().for_each(|of| to.entry(of.kind).or_default().add(&Sum::from(&of.sum)));
    }
    phase.sets.iter().for_each(|of| part.sets.add(&Sum::from(&of.sum)));
    for device in &phase.devices {
        part.devices.insert((pid, device.device));
        part.busy.add(&Sum::from(&device.busy));
        device.gaps.iter().for_each(|gaps| part.gaps.add(&Sum::from(gaps)));
    }
    part
}

impl From<&v1::Sum> for Sum {
    fn from(sum: &v1::Sum) -> Self {
        let v1::Sum { calls, bytes, total_ns, min_ns, max_ns, ref buckets } = *sum;
        Self { calls, bytes, total_ns, min_ns, max_ns, buckets: buckets.iter().copied().collect() }
    }
}

fn short(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tracer_writes_is_kept_whole() {
        for entry in std::fs::read_dir("tests/fixtures/traces").unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|kind| kind != "trace") {
                continue;
            }
            let mut kept = Vec::new();
            Saved::read(&path).unwrap().write(&mut kept).unwrap();
            let [before, after] = [std::fs::read(&path).unwrap(), kept]
                .map(|text| serde_json::from_slice::<serde_json::Value>(&text).unwrap());
            assert!(before == after, "{}", path.display());
        }
    }
}
