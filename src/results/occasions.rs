//! When sessions were measured, and so how many of them are independent.
//!
//! A machine drifts: a little within an hour, more from day to day. Sessions of one afternoon agree with each other
//! whatever the machine will do tomorrow, so they tell nothing about that, however many they are. What counts is the
//! number of occasions: sessions with less than [`HOURS_APART`] hours between them are of one.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use jiff::{SignedDuration, Timestamp};

use super::{Outcome, Session};
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
}

/// From the first start to the last end.
type Span = (Timestamp, Timestamp);

impl Occasions {
    /// Those of a file's sessions, by when they were measured.
    pub fn of(sessions: &[Session]) -> Self {
        let now = Timestamp::now();
        let spans = sessions.iter().map(|session| span(session, now)).collect();
        let contents =
            if sessions.len() > 1 { sessions.iter().map(content).collect() } else { vec![None; sessions.len()] };
        Self::new(spans, &contents)
    }

    /// Of sessions that the caller says are of different occasions: all but those with the same content.
    pub fn declared(contents: &[u64]) -> Self {
        let hours = |index: usize| SignedDuration::from_hours(2 * HOURS_APART * index as i64);
        let spans = (0..contents.len()).map(|index| {
            let time = Timestamp::UNIX_EPOCH + hours(index);
            Some((time, time))
        });
        Self::new(spans.collect(), &contents.iter().copied().map(Some).collect::<Vec<_>>())
    }

    fn new(spans: Vec<Option<Span>>, contents: &[Option<u64>]) -> Self {
        let copies = copies(contents);
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
        Self { count: if of.is_empty() { 0 } else { occasion + 1 }, of }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The number of a session's occasion; `None` for a copy.
    pub fn at(&self, session: usize) -> Option<usize> {
        self.of.get(session).copied().unwrap_or(Some(0))
    }

    /// More occasions that it takes to see the drift.
    pub fn missing(&self) -> usize {
        HISTORY.saturating_sub(self.count)
    }

    /// Are there enough of them to see the drift of the machine?
    pub fn is_history(&self) -> bool {
        self.missing() == 0
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

/// `4 more sessions of the base, at least 6 hours apart`; `of` is the ` of the base`.
pub fn more_sessions(missing: usize, of: &str) -> String {
    let sessions = if missing == 1 { "1 more session".to_owned() } else { format!("{missing} more sessions") };
    format!("{sessions}{of}, at least {HOURS_APART} hours apart")
}

/// When a session was measured; `None` where its times make no sense.
fn span(session: &Session, now: Timestamp) -> Option<Span> {
    let start: Timestamp = session.started.parse().ok()?;
    let end = match &session.finished {
        Some(finished) => finished.parse().ok()?,
        None => start,
    };
    let sensible = start.as_second() >= EARLIEST && end >= start && end.duration_since(now) <= TOLERANCE;
    sensible.then_some((start, end))
}

/// What a session measured, without when, in which order, and under which name; `None` where it measured nothing.
fn content(session: &Session) -> Option<u64> {
    let mut runs: Vec<_> = session
        .runs
        .iter()
        .filter_map(|run| match &run.outcome {
            Outcome::Ok(measured) => Some((&run.case, run.round, &measured.metrics)),
            Outcome::Failed(_) => None,
        })
        .collect();
    runs.sort_by_key(|(case, round, _)| (*case, *round));
    let mut hasher = DefaultHasher::new();
    for (case, _, metrics) in &runs {
        case.hash(&mut hasher);
        metrics.iter().for_each(|(metric, value)| (metric.as_str(), value.to_bits()).hash(&mut hasher));
    }
    (!runs.is_empty()).then(|| hasher.finish())
}

/// For each session: does an earlier one hold the same?
fn copies(contents: &[Option<u64>]) -> Vec<bool> {
    let mut first: HashMap<u64, usize> = HashMap::new();
    let is_copy =
        |(index, content): (usize, &Option<u64>)| content.is_some_and(|it| *first.entry(it).or_insert(index) != index);
    contents.iter().enumerate().map(is_copy).collect()
}
