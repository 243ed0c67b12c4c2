//! What a program says of its time and memory, held against what we know: how long it took, and what the machine has.

use std::time::Duration;

use crate::case::DeviceKind;
use crate::device::memory;
use crate::engine::{EngineError, Generation};

/// How far a clock may be from ours, beside a hundredth of the time.
const TOLERANCE: Duration = Duration::from_millis(5);
/// Nothing has a token sooner.
const SOONEST: Duration = Duration::from_micros(1);

/// A generation by the program's own clock, of which this much time was seen to pass.
pub fn check_times(generation: &Generation, passed: Duration) -> Result<(), EngineError> {
    let (first, last) = (generation.chunks.first(), generation.chunks.last());
    let said = last.map_or(generation.end_to_end, |last| last.at.max(generation.end_to_end));
    if said > at_most(passed) {
        let (said, passed) = (shown(said), shown(passed));
        return fault(format!("the engine says that {said} passed, but {passed} did: are its times in milliseconds?"));
    }
    if said > at_most(generation.end_to_end) {
        return fault(format!(
            "the engine's last token came after {}, but the end after {}: are both from the request?",
            shown(said),
            shown(generation.end_to_end)
        ));
    }
    match first.filter(|first| first.at < SOONEST) {
        Some(first) => fault(format!(
            "the engine says that its first token took {} ms, as no token can: are its times in milliseconds?",
            first.at.as_nanos() as f64 / 1e6
        )),
        None => Ok(()),
    }
}

/// A peak of memory, of which the machine has only so much.
pub fn check_memory(bytes: u64, device: DeviceKind) -> Result<(), EngineError> {
    match memory::all_bytes(device).filter(|&all| bytes > all) {
        Some(all) => fault(format!(
            "the engine says that it had {} MiB in use, but this machine has {} MiB in all: is `peak_bytes` in bytes?",
            bytes >> 20,
            all >> 20
        )),
        None => Ok(()),
    }
}

fn at_most(time: Duration) -> Duration {
    time + time / 100 + TOLERANCE
}

fn shown(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}

fn fault<T>(why: String) -> Result<T, EngineError> {
    Err(EngineError::Failed(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Clock;

    fn checked(first: Duration, last: Duration, end: Duration) -> Result<(), String> {
        let generation = Generation::by_token(vec![1, 2], vec![first, last], Clock::Host, end);
        check_times(&generation, Duration::from_millis(100)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_clock_may_be_off_by_a_little() {
        let ms = Duration::from_millis;
        assert_eq!(checked(ms(1), ms(106), ms(106)), Ok(()));
        assert_eq!(checked(ms(1), ms(12), ms(9)), Ok(()), "a device's clock is fitted to the host's");
        for (last, end) in [(107, 107), (1, 107), (20, 9)] {
            assert!(checked(ms(1), ms(last), ms(end)).is_err(), "{last} {end}");
        }
        assert!(checked(Duration::from_nanos(999), ms(1), ms(1)).unwrap_err().contains("0.000999 ms"));
    }
}
