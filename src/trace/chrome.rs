//! Timelines as Chrome's Trace Event format, which Perfetto and chrome://tracing open.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::timeline::{Event, Timeline};
use super::trace_v1::What;

/// Rows of a stream: what runs at the same time has no room in one.
const MOST_ROWS: usize = 64;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    trace_events: Vec<Entry<'a>>,
    display_time_unit: &'static str,
}

/// A row's name, or something on a row. Times are in microseconds.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Named { name: &'static str, ph: &'static str, pid: u32, tid: usize, args: Name },
    Order { name: &'static str, ph: &'static str, pid: u32, tid: usize, args: Order },
    Complete { name: &'a str, cat: &'static str, ph: &'static str, ts: f64, dur: f64, pid: u32, tid: usize, args: Args },
}

#[derive(Serialize)]
struct Name {
    name: String,
}

#[derive(Serialize)]
struct Order {
    sort_index: usize,
}

#[derive(Serialize)]
struct Args {
    #[serde(skip_serializing_if = "Option::is_none")]
    grid: Option<[u32; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<[u32; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

/// All of them, from the first thing that is shown on.
pub fn write(timelines: &[Timeline], out: &mut dyn Write) -> io::Result<()> {
    let shown: Vec<(&Timeline, Vec<&Event>)> = timelines.iter().map(|timeline| (timeline, timeline.shown())).collect();
    let begin = shown.iter().flat_map(|(_, events)| events).map(|event| event.start_ns).min().unwrap_or_default();
    let mut entries = Vec::new();
    let mut by_process: BTreeMap<u32, Process> = BTreeMap::new();
    for (timeline, events) in &shown {
        let process = by_process.entry(timeline.pid).or_insert_with(|| Process::new(timeline, &mut entries));
        process.add_phase(timeline, events, begin, &mut entries);
    }
    serde_json::to_writer(&mut *out, &File { trace_events: entries, display_time_unit: "ns" })?;
    out.write_all(b"\n")
}

/// Its rows: phases first, then what each stream did, then what the host waited for.
struct Process {
    pid: u32,
    rows: BTreeMap<Track, Vec<Row>>,
    count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Track {
    Phases,
    Stream { device: u32, stream: u32 },
    Host,
}

/// Until when it is taken.
struct Row {
    tid: usize,
    end_ns: u64,
}

impl Process {
    fn new<'a>(timeline: &Timeline, entries: &mut Vec<Entry<'a>>) -> Self {
        let args = Name { name: timeline.program.clone() };
        entries.push(Entry::Named { name: "process_name", ph: "M", pid: timeline.pid, tid: 0, args });
        Self { pid: timeline.pid, rows: BTreeMap::new(), count: 0 }
    }

    fn add_phase<'a>(
        &mut self,
        timeline: &'a Timeline,
        events: &[&'a Event],
        begin: u64,
        entries: &mut Vec<Entry<'a>>,
    ) {
        let from = events.iter().map(|event| event.start_ns).min().unwrap_or_default();
        let to = events.iter().map(|event| event.end_ns()).max().unwrap_or_default();
        let name = if timeline.phase.is_empty() { "(no phase)" } else { &timeline.phase };
        self.add(Track::Phases, Complete { name, cat: "phase", from, to, begin }, Args::NONE, entries);
        for event in events {
            let complete =
                Complete { name: &event.name, cat: word(event.what), from: event.start_ns, to: event.end_ns(), begin };
            self.add(Track::of(event), complete, Args::of(event), entries);
        }
    }

    fn add<'a>(&mut self, track: Track, of: Complete<'a>, args: Args, entries: &mut Vec<Entry<'a>>) {
        let tid = self.row(track, of.from, of.to, entries);
        let Complete { name, cat, from, to, begin } = of;
        let (ts, dur) = (microseconds(from.saturating_sub(begin)), microseconds(to - from));
        entries.push(Entry::Complete { name, cat, ph: "X", ts, dur, pid: self.pid, tid, args });
    }

    /// The first that is free by then.
    fn row(&mut self, track: Track, from: u64, to: u64, entries: &mut Vec<Entry>) -> usize {
        let rows = self.rows.entry(track).or_default();
        let free =
            rows.iter().position(|row| row.end_ns <= from).or((rows.len() >= MOST_ROWS).then_some(MOST_ROWS - 1));
        if let Some(row) = free.and_then(|at| rows.get_mut(at)) {
            row.end_ns = row.end_ns.max(to);
            return row.tid;
        }
        self.count += 1;
        rows.push(Row { tid: self.count, end_ns: to });
        let (pid, tid, nth) = (self.pid, self.count, rows.len());
        entries.push(Entry::Named { name: "thread_name", ph: "M", pid, tid, args: Name { name: track.words(nth) } });
        entries.push(Entry::Order { name: "thread_sort_index", ph: "M", pid, tid, args: Order { sort_index: tid } });
        tid
    }
}

/// Something that took time.
struct Complete<'a> {
    name: &'a str,
    cat: &'static str,
    from: u64,
    to: u64,
    /// When the file begins.
    begin: u64,
}

impl Track {
    fn of(event: &Event) -> Self {
        match event.what {
            What::Kernel | What::Copy | What::Set => Self::Stream { device: event.device, stream: event.stream },
            What::Synchronization => Self::Host,
        }
    }

    fn words(self, nth: usize) -> String {
        let words = match self {
            Self::Phases => "phases".to_owned(),
            Self::Stream { device, stream } => format!("GPU {device}, stream {stream}"),
            Self::Host => "the host waits".to_owned(),
        };
        if nth > 1 { format!("{words} ({nth})") } else { words }
    }
}

impl Args {
    const NONE: Self = Self { grid: None, block: None, bytes: None };

    fn of(event: &Event) -> Self {
        Self { grid: event.grid, block: event.block, bytes: Some(event.bytes).filter(|bytes| *bytes > 0) }
    }
}

fn word(what: What) -> &'static str {
    match what {
        What::Kernel => "kernel",
        What::Copy => "copy",
        What::Set => "memory set",
        What::Synchronization => "synchronisation",
    }
}

fn microseconds(ns: u64) -> f64 {
    ns as f64 / 1e3
}
