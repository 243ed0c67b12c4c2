//! What happened in a phase one after the other, and which of it is one step.

use std::collections::HashMap;
use std::sync::Arc;

use super::part::Kind;
use super::trace_v1::{self as v1, What};
use crate::escape;

/// Of a process: the newest window of a phase, as much of it as the tracer kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    pub pid: u32,
    pub program: String,
    pub phase: String,
    /// What had no room.
    pub left_out: u64,
    pub events: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub what: What,
    /// Of a kernel; in words of what else it is.
    pub name: Arc<str>,
    pub device: u32,
    pub stream: u32,
    pub start_ns: u64,
    pub ns: u64,
    pub bytes: u64,
    pub grid: Option<[u32; 3]>,
    pub block: Option<[u32; 3]>,
}

/// A name for other tools: they may show what moves a cursor or can't be seen as it is.
pub fn plain(name: &str) -> String {
    name.chars().map(|c| if escape::is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

impl Event {
    pub(super) fn of(event: &v1::Event, names: &[Arc<str>]) -> Self {
        let v1::Event { what, name, kind, device, stream, start_ns, ns, bytes, grid, block } = *event;
        let in_words = |what: &str, kind: Option<Kind>| -> Arc<str> {
            match kind.map(|kind| (kind.words(), kind.number())) {
                None => what.into(),
                Some((Some(words), _)) => format!("{what} {words}").into(),
                Some((None, number)) => format!("{what} of kind {number}").into(),
            }
        };
        let name = match what {
            What::Kernel => match name.and_then(|name| names.get(name)) {
                Some(name) if !name.is_empty() => name.clone(),
                _ => "(further kernels)".into(),
            },
            What::Copy => in_words("copy", kind.map(Kind::Copy)),
            What::Set => in_words("memory set", None),
            What::Synchronization => in_words("synchronisation", kind.map(Kind::Synchronization)),
        };
        Self { what, name, device, stream, start_ns, ns, bytes, grid, block }
    }

    pub fn end_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.ns)
    }
}

/// Decoding does the same for each token: one of its steps tells all.
const STEPS: &str = "decode";

impl Timeline {
    /// In the order of their begins: of decoding one step, where its steps are alike; else all.
    pub fn shown(&self) -> Vec<&Event> {
        let mut events: Vec<&Event> = self.events.iter().collect();
        events.sort_by_key(|event| (event.start_ns, event.ns));
        let step = (self.phase == STEPS).then(|| Steps::of(&events)).flatten();
        match step {
            // What ends the window ends a step; a window that was cut off begins with one.
            Some(Steps { length, .. }) if self.left_out == 0 => events.split_off(events.len() - length),
            Some(Steps { length, begin }) => events[begin..begin + length].to_vec(),
            None => events,
        }
    }
}

/// How many events a step has, and from where on all steps are alike.
#[derive(Debug, PartialEq, Eq)]
struct Steps {
    length: usize,
    begin: usize,
}

impl Steps {
    fn of(events: &[&Event]) -> Option<Self> {
        let backwards: Vec<(What, &str)> = events.iter().rev().map(|event| (event.what, &*event.name)).collect();
        Self::repeated(&backwards).or_else(|| Self::between_landmarks(&backwards))
    }

    /// The shortest sequence that most of them repeat up to the end. The first steps may differ: code is loaded then.
    fn repeated(backwards: &[(What, &str)]) -> Option<Self> {
        let count = backwards.len();
        let repeats = repeats(backwards);
        let length = (1..=count / 2).find(|length| (repeats[*length] + length) * 3 >= count * 2)?;
        Some(Self { length, begin: count - repeats[length] - length })
    }

    /// A library may choose another kernel for another number of keys, and for the next number the first again. But something
    /// happens once a step, and then it comes at equal distances.
    fn between_landmarks(backwards: &[(What, &str)]) -> Option<Self> {
        let count = backwards.len();
        let mut places: HashMap<&(What, &str), Vec<usize>> = HashMap::new();
        backwards.iter().enumerate().for_each(|(at, event)| places.entry(event).or_default().push(at));
        let steps = places.values().filter_map(|places| equally_far(places));
        let covers_most = |(length, alike): &(usize, usize)| length * 2 <= *alike && alike * 3 >= count * 2;
        let (length, alike) = steps.filter(covers_most).min()?;
        // Whole steps, from the first event on: that of a window is the begin of a step.
        Some(Self { length, begin: (count - alike).next_multiple_of(length).min(count - length) })
    }
}

/// How far each place is from the one before, and up to where that is so.
fn equally_far(places: &[usize]) -> Option<(usize, usize)> {
    let [first, second, ..] = places else { return None };
    let length = second - first;
    let alike = places.windows(2).take_while(|pair| pair[1] - pair[0] == length).count();
    Some((length, length * alike))
}

/// How much of what stands at each place is as at the beginning (the Z function).
fn repeats<T: PartialEq>(items: &[T]) -> Vec<usize> {
    let mut found = vec![0; items.len()];
    // What is known of the stretch that reaches farthest.
    let (mut begin, mut end) = (0, 0);
    for at in 1..items.len() {
        let mut length = if at < end { found[at - begin].min(end - at) } else { 0 };
        while at + length < items.len() && items[length] == items[at + length] {
            length += 1;
        }
        if at + length > end {
            (begin, end) = (at, at + length);
        }
        found[at] = length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(phase: &str, left_out: u64, names: &str) -> Timeline {
        let event = |(at, name): (usize, char)| Event {
            what: What::Kernel,
            name: name.to_string().into(),
            device: 0,
            stream: 7,
            start_ns: 100 + at as u64 * 10,
            ns: 5,
            bytes: 0,
            grid: None,
            block: None,
        };
        let events = names.chars().enumerate().map(event).collect();
        Timeline { pid: 1, program: "p".into(), phase: phase.into(), left_out, events }
    }

    fn shown(phase: &str, left_out: u64, names: &str) -> String {
        timeline(phase, left_out, names).shown().iter().map(|event| &*event.name).collect()
    }

    #[test]
    fn of_decoding_one_step_is_shown() {
        // Layers repeat within a step, and steps in the window.
        let step = "eabababh";
        assert_eq!(shown("decode", 0, &step.repeat(5)), step);
        assert_eq!(shown("decode", 0, &format!("xxeabbabh{}", step.repeat(4))), step);
        assert_eq!(shown("decode", 99, &format!("{}eabab", step.repeat(4))), step);
        // The library's choice (x, y, z) depends on the number of keys; a layer (`ab`) is no step.
        let varying = "eaxaxahbeayayahbeazazahbeayayahbeaxaxahb";
        assert_eq!(shown("decode", 0, varying), "eaxaxahb");
        assert_eq!(shown("decode", 99, &format!("{varying}eay")), "eazazahb");
        assert_eq!(shown("decode", 0, &format!("ll{varying}")), "eaxaxahb", "code is loaded first");
        assert_eq!(shown("decode", 0, "abcdef"), "abcdef");
        assert_eq!(shown("decode", 0, "a"), "a");
        assert_eq!(shown("prefill", 0, "eababababh"), "eababababh");
        assert_eq!(shown("", 0, &step.repeat(5)), step.repeat(5));
    }
}
