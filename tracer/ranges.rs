//! Ranges that a program marks, as phases: the outermost one that began last and is still open. Whoever marks them is
//! [`nvtx`](super::nvtx).

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{lock, tracer};

/// More ranges that are open at once aren't noticed.
const MOST_OPEN: usize = 4096;

thread_local! {
    /// Ranges that this thread has open.
    static DEPTH: Cell<c_int> = const { Cell::new(0) };
}

static OPEN: Mutex<Open> = Mutex::new(Open { ranges: Vec::new(), last: 0 });
/// Whose ranges these are. A child that was forked while another thread held the lock would wait for it for ever.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Outermost ranges that are open, the newest last.
struct Open {
    ranges: Vec<(Range, String)>,
    /// The number of the last one that has one.
    last: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    /// Of a thread, which ends it.
    Pushed(usize),
    /// Ended by whoever has its number.
    Started(u64),
}

/// From now on ranges are of this process.
pub fn begin_here() {
    PROCESS.store(std::process::id(), Ordering::SeqCst);
}

pub fn are_of_a_parent() -> bool {
    PROCESS.load(Ordering::SeqCst) != std::process::id()
}

/// A range of this thread begins; how many it has open already.
pub fn push(name: impl FnOnce() -> String) -> c_int {
    let depth = DEPTH.get();
    DEPTH.set(depth.saturating_add(1));
    // What lies within another is part of it.
    if depth == 0 {
        opened(Range::Pushed(this_thread()), name());
    }
    depth
}

/// The last one that this thread began ends; how many are left open, or -1 where it has none.
pub fn pop() -> c_int {
    let depth = DEPTH.get() - 1;
    if depth >= 0 {
        DEPTH.set(depth);
    }
    if depth == 0 {
        closed(Range::Pushed(this_thread()));
    }
    depth
}

/// A range that any thread may end by its number.
pub fn start(name: impl FnOnce() -> String) -> u64 {
    if are_of_a_parent() {
        return 0;
    }
    let number = {
        let mut open = lock(&OPEN);
        open.last += 1;
        open.last
    };
    opened(Range::Started(number), name());
    number
}

pub fn end(number: u64) {
    closed(Range::Started(number));
}

/// No two threads have it while both live.
fn this_thread() -> usize {
    DEPTH.with(|depth| std::ptr::from_ref(depth).addr())
}

/// The phase that the open ranges say, once there is somebody to tell.
pub fn tell_open() {
    let newest = lock(&OPEN).newest();
    if !newest.is_empty() {
        tell(&newest);
    }
}

fn tell(phase: &str) {
    if let Some(tracer) = tracer() {
        tracer.begin_range(phase);
    }
}

impl Open {
    fn newest(&self) -> String {
        self.ranges.last().map(|(_, name)| name.clone()).unwrap_or_default()
    }

    fn open(&mut self, range: Range, name: String) -> bool {
        let has_room = self.ranges.len() < MOST_OPEN;
        if has_room {
            self.ranges.push((range, name));
        }
        has_room
    }

    /// Whether it was open.
    fn close(&mut self, range: Range) -> bool {
        let place = self.ranges.iter().rposition(|(open, _)| *open == range);
        place.is_some_and(|place| {
            self.ranges.remove(place);
            true
        })
    }
}

fn opened(range: Range, name: String) {
    if are_of_a_parent() {
        return;
    }
    if lock(&OPEN).open(range, name.clone()) {
        tell(&name);
    }
}

fn closed(range: Range) {
    if are_of_a_parent() {
        return;
    }
    let newest = {
        let mut open = lock(&OPEN);
        if !open.close(range) {
            return;
        }
        open.newest()
    };
    tell(&newest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_that_are_open_the_newest_counts() {
        let mut open = Open { ranges: Vec::new(), last: 0 };
        let [first, second] = [1, 2].map(Range::Started);
        assert!(open.open(first, "first".to_owned()) && open.open(second, "second".to_owned()));
        assert!(open.close(first) && open.newest() == "second", "whichever ends first");
        assert!(open.close(second) && open.newest().is_empty() && !open.close(second));
        let noticed = (0..MOST_OPEN as u64 + 5).filter(|number| open.open(Range::Started(*number), String::new()));
        assert_eq!(noticed.count(), MOST_OPEN);
    }
}
