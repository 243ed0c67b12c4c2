//! All records of a process, added up in bounded memory.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::busy::Busy;
use super::phases::{Phases, Window};
use super::records::{Kernel, Launch, Record, Time};
use super::sum::Sum;
use super::timeline::{Event, Timelines};

/// Shapes of kernels that are told apart, in all phases together. More are summed up as one that has no name.
const MOST_SHAPES: usize = 20_000;
/// Longer names are cut.
const NAME: usize = 4096;
/// Launches of graphs that are remembered: records of one come close to each other.
const REMEMBERED: usize = 4096;

/// What was recorded so far.
#[derive(Debug, Default)]
pub struct Tally {
    pub phases: Phases,
    names: HashMap<Vec<u8>, u32>,
    /// By number of the phase.
    pub parts: BTreeMap<usize, Part>,
    shapes: usize,
    busy: BTreeMap<u32, Busy>,
    /// Where the last stretch ended, and in which window of which phase.
    last: HashMap<u32, (u64, Window)>,
    graphs: Recent,
    /// Records that CUPTI had no room for.
    pub dropped: u64,
    /// Where somebody asked for them.
    pub timelines: Option<Timelines>,
    news: bool,
}

/// A phase of it.
#[derive(Debug, Default)]
pub struct Part {
    pub kernels: HashMap<Shape, Sum>,
    /// By what CUPTI calls their kind, on a device.
    pub copies: BTreeMap<(u32, u32), Sum>,
    pub sets: BTreeMap<(u32, u32), Sum>,
    /// These know no device.
    pub synchronizations: BTreeMap<(u32, u32), Sum>,
    pub allocations: BTreeMap<(u32, u32), Sum>,
    pub releases: BTreeMap<(u32, u32), Sum>,
    pub graph_launches: u64,
    /// How long each device ran kernels without a break, and the breaks.
    pub busy: BTreeMap<u32, Sum>,
    pub gaps: BTreeMap<u32, Sum>,
}

/// Kernels that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape {
    pub device: u32,
    pub name: u32,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub registers: u16,
    pub shared_bytes: u64,
}

impl Tally {
    /// One that keeps what happened one after the other as well, where there is room for that.
    pub fn with(timelines: Option<Timelines>) -> Self {
        Self { timelines, ..Self::default() }
    }

    pub fn add(&mut self, record: Record) {
        self.news = true;
        self.add_event(&record);
        match record {
            Record::Kernel(kernel) => self.add_kernel(&kernel),
            Record::Copy { device, kind, bytes, time, launch, .. } => {
                self.add_launch(launch, time);
                self.part(time.start).copies.entry((device, kind.into())).or_default().add(time.length(), bytes);
            }
            Record::Set { device, bytes, time, launch, .. } => {
                self.add_launch(launch, time);
                self.part(time.start).sets.entry((device, 0)).or_default().add(time.length(), bytes);
            }
            Record::Synchronization { kind, time } => {
                self.part(time.start).synchronizations.entry((0, kind)).or_default().add(time.length(), 0);
            }
            Record::Memory { device, given_back, kind, bytes, at } => {
                let part = self.part(at);
                let sums = if given_back { &mut part.releases } else { &mut part.allocations };
                sums.entry((device, kind)).or_default().add(0, bytes);
            }
        }
    }

    fn add_event(&mut self, record: &Record) {
        if self.timelines.is_none() {
            return;
        }
        let name = if let Record::Kernel(kernel) = record { self.shape(kernel).name } else { 0 };
        if let (Some(event), Some(timelines)) = (Event::of(record, name), &mut self.timelines) {
            timelines.add(self.phases.at(event.time.start), event);
        }
    }

    fn add_kernel(&mut self, kernel: &Kernel) {
        self.add_launch(kernel.launch, kernel.time);
        let shape = self.shape(kernel);
        let kernels = &mut self.part(kernel.time.start).kernels;
        if let Some(sum) = kernels.get_mut(&shape) {
            sum.add(kernel.time.length(), 0);
        } else {
            self.add_shape(shape, kernel.time);
        }
        if kernel.time.is_known() {
            let (busy, mut settled) = (self.busy.entry(kernel.device).or_default(), Vec::new());
            busy.add(kernel.time.start, kernel.time.end, &mut |start, end| settled.push((start, end)));
            self.add_stretches(kernel.device, &settled);
        }
    }

    fn add_shape(&mut self, shape: Shape, time: Time) {
        self.shapes += 1;
        let shape = if self.shapes > MOST_SHAPES { Shape::without_name(shape.device) } else { shape };
        self.part(time.start).kernels.entry(shape).or_default().add(time.length(), 0);
    }

    fn shape(&mut self, kernel: &Kernel) -> Shape {
        let Kernel { device, name, grid, block, registers, shared_bytes, .. } = *kernel;
        let name = &name[..name.len().min(NAME)];
        let number = match self.names.get(name) {
            Some(number) => *number,
            None if self.names.len() >= MOST_SHAPES => return Shape::without_name(device),
            None => {
                // 0 is nobody's.
                let number = self.names.len() as u32 + 1;
                self.names.insert(name.to_owned(), number);
                number
            }
        };
        Shape { device, name: number, grid, block, registers, shared_bytes }
    }

    /// All kernels, copies and sets of a launch of a graph have its number.
    fn add_launch(&mut self, launch: Launch, time: Time) {
        if launch.graph != 0 && self.graphs.is_new(launch.number) {
            self.part(time.start).graph_launches += 1;
        }
    }

    /// Stretches without a break. A gap lies between two of one window: between windows nobody says what was to be done.
    fn add_stretches(&mut self, device: u32, stretches: &[(u64, u64)]) {
        for (start, end) in stretches {
            let window = self.phases.at(*start);
            let part = self.parts.entry(window.phase).or_default();
            part.busy.entry(device).or_default().add(end - start, 0);
            let before = self.last.insert(device, (*end, window));
            if let Some((last, _)) = before.filter(|(_, before)| *before == window) {
                part.gaps.entry(device).or_default().add(start.saturating_sub(last), 0);
            }
        }
    }

    fn part(&mut self, time: u64) -> &mut Part {
        self.parts.entry(self.phases.at(time).phase).or_default()
    }

    /// Has anything come since this was asked? What waits is counted, too, where this is so.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Counts what waits for others: before it is written.
    pub fn settle(&mut self) {
        let devices: Vec<u32> = self.busy.keys().copied().collect();
        for device in devices {
            let (busy, mut settled) = (self.busy.entry(device).or_default(), Vec::new());
            busy.settle_all(&mut |start, end| settled.push((start, end)));
            self.add_stretches(device, &settled);
        }
    }

    /// By their numbers, from 1 on.
    pub fn names(&self) -> BTreeMap<u32, &[u8]> {
        self.names.iter().map(|(name, number)| (*number, name.as_slice())).collect()
    }
}

impl Shape {
    /// Of all that have no room.
    fn without_name(device: u32) -> Self {
        Self { device, name: 0, grid: [0; 3], block: [0; 3], registers: 0, shared_bytes: 0 }
    }
}

/// Numbers that were seen lately.
#[derive(Debug, Default)]
struct Recent {
    known: HashSet<u32>,
    order: VecDeque<u32>,
}

impl Recent {
    fn is_new(&mut self, number: u32) -> bool {
        let new = self.known.insert(number);
        if new {
            self.order.push_back(number);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(name: &[u8], start: u64, launch: Launch) -> Record<'_> {
        let time = Time { start, end: start + 10 };
        Record::Kernel(Kernel {
            device: 0,
            stream: 7,
            name,
            grid: [1, 2, 3],
            block: [32, 1, 1],
            registers: 40,
            shared_bytes: 0,
            time,
            launch,
        })
    }

    const ALONE: Launch = Launch { graph: 0, number: 7 };

    #[test]
    fn kernels_of_a_shape_are_one_sum_in_their_phase() {
        let mut tally = Tally::default();
        tally.phases.begin("decode", 100);
        for start in [50, 100, 120, 200] {
            tally.add(kernel(b"gemv", start, ALONE));
        }
        tally.settle();
        let calls: Vec<u64> =
            tally.parts.values().map(|part| part.kernels.values().map(|sum| sum.calls).sum()).collect();
        assert_eq!(calls, [1, 3]);
        let (busy, gaps) = (&tally.parts[&1].busy[&0], &tally.parts[&1].gaps[&0]);
        assert_eq!((busy.total_ns, gaps.calls, gaps.total_ns), (30, 2, 80));
    }

    #[test]
    fn a_launch_of_a_graph_counts_once() {
        let mut tally = Tally::default();
        for number in [1, 2, 1, 2, 3, 3] {
            tally.add(kernel(b"node", 10 + u64::from(number), Launch { graph: 4, number }));
        }
        tally.add(kernel(b"alone", 99, ALONE));
        assert_eq!(tally.parts[&0].graph_launches, 3);
    }

    #[test]
    fn more_shapes_than_there_is_room_for_are_one() {
        let mut tally = Tally::default();
        for number in 0..MOST_SHAPES as u64 + 500 {
            tally.add(kernel(number.to_string().as_bytes(), 1 + number * 20, ALONE));
        }
        let kernels = &tally.parts[&0].kernels;
        assert_eq!((kernels.len(), kernels[&Shape::without_name(0)].calls), (MOST_SHAPES + 1, 500));
        assert_eq!(tally.names().len(), MOST_SHAPES);
    }
}
