//! What a hub doesn't do at once is tried again: for so long, and not longer.

use std::time::{Duration, Instant};

use super::trouble::Trouble;
use super::waiting_time::spoken;

/// Who wants to know how a download goes, and may end it.
pub trait Watcher {
    /// Bytes that are here, and in all.
    fn progress(&mut self, done: u64, total: u64);

    /// What holds it up, in a sentence.
    fn notice(&mut self, what: &str);

    /// Has a person had enough?
    fn is_stopped(&self) -> bool {
        false
    }
}

/// How long a hub may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// There is another way: it is asked once.
    Once,
    /// There is none.
    Persistent,
}

/// Between tries, where the hub doesn't say how long.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// A hub that always has a new time to wait for isn't waited for.
const MOST_WAITS: usize = 20;
/// In all, for one request.
const LONGEST: Duration = Duration::from_secs(600);
const TICK: Duration = Duration::from_millis(50);

/// What is left of it for one request.
pub struct Patience {
    pauses: usize,
    waits: usize,
    waited: Duration,
}

impl Patience {
    pub fn new(effort: Effort) -> Self {
        match effort {
            Effort::Persistent => Self { pauses: 0, waits: 0, waited: Duration::ZERO },
            Effort::Once => Self { pauses: PAUSES.len(), waits: MOST_WAITS, waited: LONGEST },
        }
    }

    /// It went on: what failed before doesn't count any more.
    pub fn renew(&mut self) {
        self.pauses = 0;
    }

    /// Waits, if that may help; otherwise the trouble is back.
    pub fn after(&mut self, trouble: Trouble, what: &str, watcher: &mut dyn Watcher) -> Result<(), Trouble> {
        let Some(pause) = self.pause(&trouble) else { return Err(trouble) };
        watcher.notice(&format!("{what}: {trouble}; trying again in {}", spoken(pause)));
        self.waited += pause;
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if watcher.is_stopped() {
                return Err(Trouble::Stopped);
            }
            std::thread::sleep(TICK.min(until.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }

    fn pause(&mut self, trouble: &Trouble) -> Option<Duration> {
        if !trouble.may_pass() {
            return None;
        }
        if let Some(told) = trouble.retry_after() {
            self.waits += 1;
            return (self.waits <= MOST_WAITS && self.waited + told <= LONGEST).then_some(told);
        }
        let pause = PAUSES.get(self.pauses).copied();
        self.pauses += 1;
        pause
    }
}

/// Asks until there is an answer, or patience ends.
pub fn insist<T>(
    effort: Effort,
    what: &str,
    watcher: &mut dyn Watcher,
    mut ask: impl FnMut() -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let mut patience = Patience::new(effort);
    loop {
        match ask() {
            Err(trouble) => patience.after(trouble, what, watcher)?,
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(after: Option<u64>) -> Trouble {
        Trouble::Status { status: 429, code: None, said: String::new(), retry_after: after.map(Duration::from_secs) }
    }

    #[test]
    fn patience_ends() {
        let mut patience = Patience::new(Effort::Persistent);
        let pauses: Vec<_> = std::iter::from_fn(|| patience.pause(&limited(None))).collect();
        assert_eq!(pauses, PAUSES);
        let mut patience = Patience::new(Effort::Persistent);
        assert_eq!(patience.pause(&limited(Some(601))), None, "longer than it is waited for");
        assert_eq!((0..100).filter_map(|_| patience.pause(&limited(Some(0)))).count(), MOST_WAITS - 1);
        assert_eq!(Patience::new(Effort::Once).pause(&limited(Some(0))), None);
        assert_eq!(Patience::new(Effort::Persistent).pause(&Trouble::Stopped), None);
    }
}
