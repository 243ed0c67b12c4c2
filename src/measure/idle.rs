//! Waits until nobody else uses the GPUs: numbers from a shared card are useless.

use std::time::{Duration, Instant};

use super::halt::Halt;
use super::observer::{Observer, Update};
use crate::child::Stop;
use crate::device::memory::MIB;
use crate::device::{Card, GpuProcess, Ours};
use crate::error::Error;

const RETRY: Duration = Duration::from_millis(500);
/// What a display or a management daemon may use.
const IDLE_PERCENT: u32 = 10;
const IDLE_BYTES: u64 = 1024 * MIB;
/// The sharing daemon holds a context but doesn't compute.
const HARMLESS: &str = "nvidia-cuda-mps-server";

/// Waits until every card is idle but for `ours`, and refuses with the reasons when one isn't within `limit`.
///
/// A card that no driver shows can't be asked.
pub fn wait_until_idle(
    cards: &[Box<dyn Card>],
    ours: &Ours,
    limit: Duration,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<(), Halt> {
    let start = Instant::now();
    let mut told = false;
    loop {
        let Some(reason) = cards.iter().find_map(|card| busy(card.as_ref(), ours)) else { return Ok(()) };
        if stop.is_requested() {
            return Err(Halt::Stopped);
        }
        let waited = start.elapsed();
        if waited >= limit {
            let hint = format!("stop that, or wait longer than {} s (`idle-wait-seconds`)", limit.as_secs());
            return Err(Error::measurement(reason).hint(hint).into());
        }
        // Our own last worker takes a moment to end: that isn't reported.
        if !told && waited >= Duration::from_secs(2) {
            told = true;
            let seconds = limit.as_secs();
            observer.update(Update::Waiting { reason: &format!("{reason}; waiting up to {seconds} s for it") });
        }
        std::thread::sleep(RETRY);
    }
}

/// Why the card isn't idle but for `ours`, if it isn't.
pub fn busy(card: &dyn Card, ours: &Ours) -> Option<String> {
    let processes = card.processes().unwrap_or_default();
    let (own, foreign): (Vec<_>, Vec<_>) = processes.into_iter().partition(|process| ours.contains(process.pid));
    let offenders: Vec<String> = foreign.iter().filter_map(|process| offender(card, process)).collect();
    if !offenders.is_empty() {
        return Some(format!("{} is busy: {}", card.id(), offenders.join(", ")));
    }
    // What keeps it busy, or holds its memory, may be our own.
    let nameless = if own.is_empty() { nameless(card) } else { None };
    nameless.map(|what| format!("{} is busy: something that the driver doesn't name {what}", card.id()))
}

fn nameless(card: &dyn Card) -> Option<String> {
    if let Some(percent) = card.utilization_percent().filter(|&percent| percent > IDLE_PERCENT) {
        return Some(format!("keeps it {percent}% busy"));
    }
    let used = card.used_bytes().filter(|&bytes| bytes > IDLE_BYTES)?;
    Some(format!("holds {} MiB", used / MIB))
}

/// A process in words, unless it is harmless.
fn offender(card: &dyn Card, process: &GpuProcess) -> Option<String> {
    let name = card.process_name(process.pid).unwrap_or_else(|| "unknown".to_owned());
    if name.contains(HARMLESS) {
        return None;
    }
    let (name, pid) = (crate::child::clean(&name, 64), process.pid);
    Some(match process.bytes {
        Some(bytes) => format!("process {pid} ({name}, {} MiB)", bytes / MIB),
        None => format!("process {pid} ({name})"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::observer::Silent;
    use super::*;
    use crate::device::fake::{Fake, FakeCard};
    use crate::error::Advice;

    fn runs(card: &FakeCard, pid: u32, name: &str, mib: Option<u64>) {
        card.set(|now| {
            now.processes.push(GpuProcess { pid, bytes: mib.map(|mib| mib * MIB) });
            now.names.insert(pid, name.to_owned());
        });
    }

    fn reason(fake: &Fake, ours: &Ours) -> Option<String> {
        let idle = wait_until_idle(&fake.open(), ours, Duration::ZERO, &mut Silent, &Stop::default());
        idle.err().map(|halt| match halt {
            Halt::Failed(error) => error.in_one_line(),
            Halt::Stopped => panic!("nobody says stop"),
        })
    }

    #[test]
    fn offenders_are_named() {
        let busy_with = |name, mib| {
            let fake = Fake::cards(1);
            runs(&fake.cards[0], 4242, name, mib);
            reason(&fake, &Ours::nobody())
        };
        let wait = "stop that, or wait longer than 0 s (`idle-wait-seconds`)";
        let expected = format!("GPU 0 is busy: process 4242 (python3, 512 MiB); {wait}");
        assert_eq!(busy_with("python3", Some(512)), Some(expected));
        assert_eq!(busy_with("x\x1b[31m", None), Some(format!("GPU 0 is busy: process 4242 (x [31m); {wait}")));
        assert_eq!(busy_with("nvidia-cuda-mps-server", Some(30)), None);
        assert_eq!(reason(&Fake::cards(1), &Ours::nobody()), None);
    }

    #[test]
    fn nameless_use_is_noticed() {
        let fake = Fake::cards(1);
        fake.cards[0].set(|now| now.percent = Some(97));
        assert!(reason(&fake, &Ours::nobody()).unwrap().contains("97% busy"));
        fake.cards[0].set(|now| (now.percent, now.used_bytes) = (None, Some(5000 * MIB)));
        assert!(reason(&fake, &Ours::nobody()).unwrap().contains("5000 MiB"));
        fake.cards[0].set(|now| now.used_bytes = None);
        assert_eq!(reason(&fake, &Ours::nobody()), None, "unknown isn't busy");
    }

    #[test]
    fn one_busy_card_of_eight_is_enough() {
        let fake = Fake::cards(8);
        assert_eq!(reason(&fake, &Ours::nobody()), None);
        runs(&fake.cards[6], 4242, "python3", None);
        assert!(reason(&fake, &Ours::nobody()).unwrap().starts_with("GPU 6 is busy: process 4242 (python3);"));
    }

    #[test]
    fn what_belongs_to_the_measured_may_use_its_cards() {
        let fake = Fake::cards(2);
        let (server, foreign) = (std::process::id(), 1);
        runs(&fake.cards[0], server, "server", Some(70_000));
        fake.cards[0].set(|now| (now.percent, now.used_bytes) = (Some(50), Some(70_000 * MIB)));
        assert!(reason(&fake, &Ours::nobody()).is_some());
        assert_eq!(reason(&fake, &Ours::started_by(server)), None);
        runs(&fake.cards[0], foreign, "python3", Some(1));
        let reason = reason(&fake, &Ours::started_by(server)).unwrap();
        assert!(reason.starts_with("GPU 0 is busy: process 1 (python3, 1 MiB);"), "{reason}");
    }
}
