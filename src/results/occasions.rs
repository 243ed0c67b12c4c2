//! When sessions were measured, and so how many of them are independent.
//!
//! A machine drifts: a little within an hour, more from day to day. Sessions of one afternoon agree with each other
//! whatever the machine will do tomorrow, so they tell nothing about that, however many they are. What counts is the
//! number of occasions: sessions with less than [`HOURS_APART`] hours between them are of one.
//!
//! Sessions of a server that went on running are of one as well, whenever they were: what differs from start to start of it,
//! none of them shows.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use jiff::{SignedDuration, Timestamp};

use super::{Outcome, Run, Session};
use crate::metric::MetricName;
use crate::plural::counted;

/// Hours without measuring that make the next session another occasion: nightly sessions always are, those of one
/// working day never.
pub const HOURS_APART: i64 = 6;

/// From so many occasions on, a baseline shows how much the machine drifts.
pub const HISTORY: usize = 5;

/// Clocks that were never set begin in 1970; Qwen2.5 is younger than this.
const EARLIEST: i64 = 1_577_836_800; // 2020-01-01
/// Time zones and clocks that run ahead.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(24);

/// The occasion of each session of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Occasions {
    /// The number of its occasion, from 0 in the order of time; `None` for a copy of an earlier session.
    of: Vec<Option<usize>>,
    count: usize,
    /// The last session is of a server that went on running.
    shared_process: bool,
}

/// More occasions that it takes to see the drift of the machine, and what gives them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MoreOccasions {
    /// How many.
    pub count: usize,
    /// More sessions of a server that goes on running give none.
    pub shared_process: bool,
}

impl MoreOccasions {
    /// Beside so many that are there.
    pub fn beside(count: usize, shared_process: bool) -> Self {
        Self { count: HISTORY.saturating_sub(count), shared_process }
    }

    /// `4 more sessions of the base, at least 6 hours apart`; `of` is the ` of the base`.
    pub fn in_words(self, of: &str) -> String {
        let sessions =
            if self.count == 1 { "1 more session".to_owned() } else { format!("{} more sessions", self.count) };
        let start = if self.shared_process {
            ", each of a server that bench-diff starts (`start` in the configuration)"
        } else {
            ""
        };
        format!("{sessions}{of}, at least {HOURS_APART} hours apart{start}")
    }
}

/// From the first start to the last end.
type Span = (Timestamp, Timestamp);

impl Occasions {
    /// Those of a file's sessions, by when they were measured.
    pub fn of(sessions: &[Session]) -> Self {
        let now = Timestamp::now();
        let spans = sessions.iter().map(|session| span(session, now)).collect();
        let runs =
            if sessions.len() > 1 { sessions.iter().map(runs).collect() } else { vec![Vec::new(); sessions.len()] };
        let shared_process = sessions.last().is_some_and(|session| session.runs.iter().any(is_of_shared_process));
        Self { shared_process, ..Self::new(spans, &runs) }
    }

    /// Of sessions that the caller says are of different occasions: all but those with the same content.
    pub fn declared(contents: &[u64]) -> Self {
        let hours = |index: usize| SignedDuration::from_hours(2 * HOURS_APART * index as i64);
        let spans = (0..contents.len()).map(|index| {
            let time = Timestamp::UNIX_EPOCH + hours(index);
            Some((time, time))
        });
        Self::new(spans.collect(), &contents.iter().map(|content| vec![*content]).collect::<Vec<_>>())
    }

    /// `runs` are what tells each session's runs from others.
    fn new(spans: Vec<Option<Span>>, runs: &[Vec<u64>]) -> Self {
        let copies = copies(runs);
        let mut dated: Vec<(usize, Span)> = spans
            .iter()
            .enumerate()
            .filter(|(index, _)| !copies[*index])
            .filter_map(|(i, s)| Some((i, (*s)?)))
            .collect();
        dated.sort_by_key(|(_, span)| *span);
        // Nobody knows when the others were: at the same time as any other.
        let mut of: Vec<Option<usize>> = copies.iter().map(|copy| (!copy).then_some(0)).collect();
        let mut occasion = 0;
        let mut last_end = None;
        for (index, (start, end)) in dated {
            let apart = |last: Timestamp| start.duration_since(last) >= SignedDuration::from_hours(HOURS_APART);
            occasion += usize::from(last_end.is_some_and(apart));
            of[index] = Some(occasion);
            last_end = last_end.max(Some(end));
        }
        Self { count: if of.is_empty() { 0 } else { occasion + 1 }, of, shared_process: false }
    }

    /// Of how many sessions.
    pub fn sessions(&self) -> usize {
        self.of.len()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The number of a session's occasion; `None` for a copy.
    pub fn at(&self, session: usize) -> Option<usize> {
        self.of.get(session).copied().unwrap_or(Some(0))
    }

    /// More that it takes to see the drift, and what gives them.
    pub fn missing(&self) -> MoreOccasions {
        MoreOccasions::beside(self.count, self.shared_process)
    }

    /// More sessions of the same server are of no further occasion.
    pub fn is_of_shared_process(&self) -> bool {
        self.shared_process
    }

    /// Are there enough of them to see the drift of the machine?
    pub fn is_history(&self) -> bool {
        self.missing().count == 0
    }

    /// `5 sessions on 1 occasion`, and how many of them are copies.
    pub fn in_words(&self) -> String {
        let text = format!("{} on {}", counted(self.of.len(), "session"), counted(self.count, "occasion"));
        match self.of.iter().filter(|occasion| occasion.is_none()).count() {
            0 => text,
            1 => format!("{text} (1 copy of another session)"),
            copies => format!("{text} ({copies} copies of other sessions)"),
        }
    }
}

/// When a session was measured; `None` where its times make no sense, or say nothing.
fn span(session: &Session, now: Timestamp) -> Option<Span> {
    if session.runs.iter().any(is_of_shared_process) {
        return None;
    }
    let start: Timestamp = session.started.parse().ok()?;
    let end = match &session.finished {
        Some(finished) => finished.parse().ok()?,
        None => start,
    };
    let sensible = start.as_second() >= EARLIEST && end >= start && end.duration_since(now) <= TOLERANCE;
    sensible.then_some((start, end))
}

fn is_of_shared_process(run: &Run) -> bool {
    matches!(&run.outcome, Outcome::Ok(measured) if measured.shared_process)
}

/// What each run of a session measured, without when and under which name.
fn runs(session: &Session) -> Vec<u64> {
    let content = |run: &Run| match &run.outcome {
        Outcome::Ok(measured) => Some(content(&run.case, &measured.metrics)),
        Outcome::Failed(_) => None,
    };
    session.runs.iter().filter_map(content).collect()
}

fn content(case: &str, metrics: &BTreeMap<MetricName, f64>) -> u64 {
    let mut hasher = DefaultHasher::new();
    case.hash(&mut hasher);
    metrics.iter().for_each(|(metric, value)| (metric.as_str(), rounded(*value)).hash(&mut hasher));
    hasher.finish()
}

/// To one in 10^12: a program that reads and writes numbers may change their last digits, and measuring never gives so
/// many again.
fn rounded(value: f64) -> u64 {
    (value.to_bits() + (1 << 11)) >> 12
}

/// For each session: does an earlier one hold most of the same runs? A copy in which a few were dropped or changed tells
/// nothing new. "Most" is more than half of what the smaller one holds: a run whose values are few and coarse may agree
/// with another's by chance.
fn copies(runs: &[Vec<u64>]) -> Vec<bool> {
    let mut first: HashMap<u64, usize> = HashMap::new();
    let is_copy = |(index, mine): (usize, &Vec<u64>)| {
        let mut shared: HashMap<usize, usize> = HashMap::new();
        mine.iter().for_each(|run| *shared.entry(*first.entry(*run).or_insert(index)).or_default() += 1);
        shared.iter().any(|(&other, &count)| other != index && 2 * count > mine.len().min(runs[other].len()))
    };
    runs.iter().enumerate().map(is_copy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::fixture;
    use crate::results::Measurement;

    fn measured(session: &mut Session) -> &mut Measurement {
        let Outcome::Ok(measured) = &mut session.runs[0].outcome else { panic!("measured") };
        measured
    }

    /// Five nights of a server that nobody started anew are one start of it.
    #[test]
    fn sessions_of_one_process_are_one_occasion() {
        let mut results = fixture::results(1, 1, 5);
        for (night, session) in results.sessions.iter_mut().enumerate() {
            session.started = format!("2026-11-{:02}T02:00:00Z", 10 + night);
            session.finished = Some(format!("2026-11-{:02}T03:00:00Z", 10 + night));
            // No copies of each other.
            measured(session).metrics = BTreeMap::from([("ttft".into(), 20.0 + night as f64)]);
        }
        assert_eq!(Occasions::of(&results.sessions).count(), 5);
        for session in &mut results.sessions {
            measured(session).shared_process = true;
        }
        let occasions = Occasions::of(&results.sessions);
        assert_eq!((occasions.count(), occasions.in_words().as_str()), (1, "5 sessions on 1 occasion"));
        let more = occasions.missing().in_words("");
        assert!(more.starts_with("4 more sessions, at least 6 hours apart, each of a server that"), "{more}");
        measured(&mut results.sessions[4]).shared_process = false;
        assert!(!Occasions::of(&results.sessions).is_of_shared_process(), "`start` is in the configuration by now");
    }
}
