//! What happened one after the other, where somebody asked for it: of each phase its newest window, as much as there is room
//! for.

use std::collections::BTreeMap;

use super::phases::Window;
use super::records::{Record, Time};

/// Of a phase. A step of decoding has up to a few thousand.
const MOST_EVENTS: usize = 20_000;
/// And of all phases together.
const MOST_OF_ALL: usize = 100_000;

/// By number of the phase.
#[derive(Debug, Default)]
pub struct Timelines {
    pub by_phase: BTreeMap<usize, Timeline>,
    kept: usize,
}

/// Of one window.
#[derive(Debug, Default)]
pub struct Timeline {
    window: usize,
    pub events: Vec<Event>,
    /// How many had no room.
    pub left_out: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    pub what: What,
    pub device: u32,
    pub stream: u32,
    pub time: Time,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum What {
    /// By the number of its name.
    Kernel {
        name: u32,
        grid: [u32; 3],
        block: [u32; 3],
    },
    /// As CUPTI numbers them.
    Copy(u32),
    Set,
    Synchronization(u32),
}

impl Timelines {
    /// Of an older window nothing is kept once there is a newer one.
    pub fn add(&mut self, window: Window, event: Event) {
        let timeline = self.by_phase.entry(window.phase).or_default();
        if window.number < timeline.window {
            return;
        }
        if window.number > timeline.window {
            self.kept -= timeline.events.len();
            *timeline = Timeline { window: window.number, ..Timeline::default() };
        }
        if timeline.events.len() >= MOST_EVENTS || self.kept >= MOST_OF_ALL {
            timeline.left_out += 1;
            return;
        }
        timeline.events.push(event);
        self.kept += 1;
    }
}

impl Event {
    /// Of a kernel whose name has this number, or of what has none; allocations take no time.
    pub fn of(record: &Record, name: u32) -> Option<Self> {
        let (what, device, stream, time, bytes) = match *record {
            Record::Kernel(kernel) => {
                let what = What::Kernel { name, grid: kernel.grid, block: kernel.block };
                (what, kernel.device, kernel.stream, kernel.time, 0)
            }
            Record::Copy { device, stream, kind, bytes, time, .. } => {
                (What::Copy(kind.into()), device, stream, time, bytes)
            }
            Record::Set { device, stream, bytes, time, .. } => (What::Set, device, stream, time, bytes),
            Record::Synchronization { kind, time } => (What::Synchronization(kind), 0, 0, time, 0),
            Record::Memory { .. } => return None,
        };
        time.is_known().then_some(Self { what, device, stream, time, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(start: u64) -> Event {
        let time = Time { start, end: start + 5 };
        Event { what: What::Set, device: 0, stream: 7, time, bytes: 1 }
    }

    #[test]
    fn the_newest_window_is_kept() {
        let mut timelines = Timelines::default();
        for (number, start) in [(1, 10), (1, 20), (3, 30), (1, 25), (3, 40)] {
            timelines.add(Window { phase: 1, number }, event(start));
        }
        let starts: Vec<u64> = timelines.by_phase[&1].events.iter().map(|event| event.time.start).collect();
        assert_eq!((starts, timelines.kept), (vec![30, 40], 2));
    }

    #[test]
    fn there_are_never_too_many() {
        let mut timelines = Timelines::default();
        for number in 0..400_000 {
            timelines.add(Window { phase: number % 32, number: number % 32 }, event(1 + number as u64));
        }
        let kept = || timelines.by_phase.values().map(|timeline| timeline.events.len());
        assert!(kept().sum::<usize>() == MOST_OF_ALL && kept().all(|kept| kept <= MOST_EVENTS));
        let all: u64 = timelines.by_phase.values().map(|one| one.events.len() as u64 + one.left_out).sum();
        assert_eq!(all, 400_000);
    }
}
