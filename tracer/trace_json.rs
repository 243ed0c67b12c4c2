//! What is in the file: schema "bench-diff trace 1" with one process (docs/tracing.md).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::{env, process};

use super::cupti::Cupti;
use super::sum::Sum;
use super::tally::{Part, Shape, Tally};
use super::timeline::{Event, Timeline, What};

/// What a process's file says.
pub struct Process<'a> {
    cupti: Option<&'a Cupti>,
    problem: Option<&'a str>,
    tally: Option<&'a mut Tally>,
    /// It ended in good order: nothing is missing.
    ended: bool,
}

impl<'a> Process<'a> {
    pub fn without_trace(problem: &'a str) -> Self {
        Self { cupti: None, problem: Some(problem), tally: None, ended: false }
    }

    pub fn traced(cupti: &'a Cupti, tally: &'a mut Tally, ended: bool) -> Self {
        Self { cupti: Some(cupti), problem: None, tally: Some(tally), ended }
    }

    pub fn json(self) -> String {
        let mut fields =
            vec![format!("\"pid\":{}", process::id()), format!("\"program\":{}", quoted(program().as_bytes()))];
        if let Some(cupti) = self.cupti {
            let library = quoted(cupti.library.as_bytes());
            fields.push(format!("\"cupti\":{{\"library\":{library},\"version\":{}}}", cupti.version));
        }
        fields.extend(self.problem.map(|problem| format!("\"problem\":{}", quoted(problem.as_bytes()))));
        fields.push(format!("\"ended\":{}", self.ended));
        if let Some(tally) = self.tally {
            tally.settle();
            fields.push(format!("\"dropped\":{}", tally.dropped));
            fields.push(names(tally));
            fields.push(format!("\"phases\":[{}]", phases(tally).join(",\n")));
        }
        format!("{{\"schema\":\"bench-diff trace 1\",\"processes\":[{{{}}}]}}\n", fields.join(","))
    }
}

/// The program's name and nothing of its arguments: there may be secrets among them.
fn program() -> String {
    let path = env::current_exe().unwrap_or_default();
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Kernels say the place of their name here; the first is that of all that had no room.
fn names(tally: &Tally) -> String {
    let names = tally.names().into_values().map(quoted);
    format!("\"names\":[{}]", std::iter::once(quoted(b"")).chain(names).collect::<Vec<_>>().join(",\n"))
}

/// All that were told, also those in which nothing happened.
fn phases(tally: &Tally) -> Vec<String> {
    let nothing = Part::default();
    let all = tally.phases.names().iter().enumerate();
    let said = all.filter(|(number, name)| !name.is_empty() || tally.parts.contains_key(number));
    let timeline = |number: &usize| tally.timelines.as_ref()?.by_phase.get(number);
    said.map(|(number, name)| phase(name, tally.parts.get(&number).unwrap_or(&nothing), timeline(&number))).collect()
}

fn phase(name: &str, part: &Part, timeline: Option<&Timeline>) -> String {
    let mut kernels: Vec<(&Shape, &Sum)> = part.kernels.iter().collect();
    kernels.sort_unstable_by_key(|(shape, _)| *shape);
    let kernels = kernels.into_iter().map(|(shape, sum)| kernel(shape, sum)).collect::<Vec<_>>().join(",\n");
    let devices = part.busy.iter().map(|(device, busy)| {
        let gaps = part.gaps.get(device).map(|gaps| format!(",\"gaps\":{{{}}}", sum(gaps))).unwrap_or_default();
        format!("{{\"device\":{device},\"busy\":{{{}}}{gaps}}}", sum(busy))
    });
    let devices = devices.collect::<Vec<_>>().join(",");
    let lists = [
        ("copies", &part.copies),
        ("sets", &part.sets),
        ("synchronizations", &part.synchronizations),
        ("allocations", &part.allocations),
        ("releases", &part.releases),
    ];
    let lists = lists.map(|(name, sums)| format!("\"{name}\":[{}]", list(sums))).join(",");
    let timeline = timeline.map(events).unwrap_or_default();
    format!(
        "{{\"name\":{},\"graph_launches\":{},\"devices\":[{devices}],{lists},\n\"kernels\":[{kernels}]{timeline}}}",
        quoted(name.as_bytes()),
        part.graph_launches
    )
}

fn events(timeline: &Timeline) -> String {
    let events = timeline.events.iter().map(event).collect::<Vec<_>>().join(",\n");
    let left_out = if timeline.left_out > 0 { format!(",\"left_out\":{}", timeline.left_out) } else { String::new() };
    format!(",\n\"timeline\":{{\"events\":[{events}]{left_out}}}")
}

fn event(event: &Event) -> String {
    let Event { what, device, stream, time, bytes } = event;
    let what = match what {
        What::Kernel { name, grid, block } => {
            format!("\"kernel\",\"name\":{name},\"grid\":{grid:?},\"block\":{block:?}")
        }
        What::Copy(kind) => format!("\"copy\",\"kind\":{kind}"),
        What::Set => "\"set\"".to_owned(),
        What::Synchronization(kind) => format!("\"synchronization\",\"kind\":{kind}"),
    };
    let bytes = if *bytes > 0 { format!(",\"bytes\":{bytes}") } else { String::new() };
    format!(
        "{{\"what\":{what},\"device\":{device},\"stream\":{stream},\"start_ns\":{},\"ns\":{}{bytes}}}",
        time.start,
        time.length()
    )
}

fn kernel(shape: &Shape, of: &Sum) -> String {
    let Shape { device, name, grid, block, registers, shared_bytes } = shape;
    format!(
        "{{\"device\":{device},\"name\":{name},\"grid\":{grid:?},\"block\":{block:?},\"registers\":{registers},\
         \"shared_bytes\":{shared_bytes},{}}}",
        sum(of)
    )
}

fn list(sums: &BTreeMap<(u32, u32), Sum>) -> String {
    let entries =
        sums.iter().map(|((device, kind), of)| format!("{{\"device\":{device},\"kind\":{kind},{}}}", sum(of)));
    entries.collect::<Vec<_>>().join(",")
}

fn sum(of: &Sum) -> String {
    let Sum { calls, bytes, total_ns, min_ns, max_ns, buckets } = of;
    let bytes = if *bytes > 0 { format!("\"bytes\":{bytes},") } else { String::new() };
    let buckets = buckets.iter().map(|(bucket, count)| format!("[{bucket},{count}]")).collect::<Vec<_>>().join(",");
    format!(
        "\"calls\":{calls},{bytes}\"total_ns\":{total_ns},\"min_ns\":{min_ns},\"max_ns\":{max_ns},\"buckets\":[{buckets}]"
    )
}

fn quoted(text: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => {
                // Writing to a String can't fail.
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
