//! From a program's answers to a generation.

use std::time::{Duration, Instant};

use super::{no_answer, plausible};
use crate::case::Clock;
use crate::child::Message;
use crate::engine::held_back::{MANY, held_back};
use crate::engine::protocol::{Answer, Times};
use crate::engine::{Chunk, EngineError, Generation};
use crate::word::Word;

/// An answer, and when its line was there.
pub struct Arrived {
    /// By our clock.
    pub at: Instant,
    /// When it was read, perhaps together with others.
    pub read: Instant,
    /// What it says.
    pub answer: Answer,
}

impl Message for Arrived {
    fn parse(line: &[u8], read: Instant) -> Result<Self, String> {
        let at = Instant::now();
        serde_json::from_slice(line)
            .map(|answer| Self { at, read, answer })
            .map_err(|error| no_answer::why(line, &error))
    }
}

/// A generation, and how its lines came, if they seem to have been held back.
pub struct Answered {
    pub generation: Generation,
    pub held_back: Option<String>,
}

/// Chunks by our own clock, as they arrive.
pub struct Arrivals {
    asked: Instant,
    /// Tokens that were asked for.
    wanted: u32,
    count: u32,
    chunks: Vec<Chunk>,
    /// When each chunk's line was read.
    reads: Vec<Duration>,
}

impl Arrivals {
    /// Of a request for so many tokens, whose last byte was written then.
    pub fn since(asked: Instant, wanted: u32) -> Self {
        Self { asked, wanted, count: 0, chunks: Vec::new(), reads: Vec::new() }
    }

    /// One more. Too many are an error at once: there may be no end of them.
    pub fn add(&mut self, tokens: u32, at: Instant, read: Instant) -> Result<(), EngineError> {
        self.count = self.count.saturating_add(tokens);
        let wrong = match tokens {
            0 => "the engine wrote a `chunk` of 0 tokens: each has at least one".to_owned(),
            _ if self.count > self.wanted => {
                format!("the engine gave more tokens than it was asked for ({})", self.wanted)
            }
            _ => {
                self.chunks.push(Chunk { tokens, at: at.saturating_duration_since(self.asked) });
                self.reads.push(read.saturating_duration_since(self.asked));
                return Ok(());
            }
        };
        Err(EngineError::Failed(wrong))
    }

    /// Nothing has come.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// How the lines came, if they seem to have been held back. Tokens that a line says came together did.
    pub fn held_back(&self) -> Option<String> {
        let how = (self.reads.len() >= MANY).then(|| held_back(&self.reads, self.reads.len()))?;
        how.map(|how| how.replace("tokens", "`chunk` lines"))
    }

    /// The generation, by the program's clock or by ours, but not by both.
    pub fn end(self, tokens: Option<Vec<u32>>, times: Option<Times>, at: Instant) -> Result<Generation, EngineError> {
        let fault = |why: &str| Err(EngineError::Failed(why.to_owned()));
        match times {
            Some(_) if !self.chunks.is_empty() => {
                fault("the engine wrote `chunk` lines and `times`: one of them is enough")
            }
            Some(times) => {
                let generation = timed(tokens, &times)?;
                plausible::check_times(&generation, at.saturating_duration_since(self.asked))?;
                Ok(generation)
            }
            None if self.chunks.is_empty() => match tokens.map(|tokens| tokens.len()) {
                Some(count) if count != self.wanted as usize => {
                    fault(&format!("the engine gave {count} tokens instead of {}", self.wanted))
                }
                _ => fault("the engine gave no times: neither `chunk` lines nor `times`"),
            },
            None => {
                let end_to_end = at.saturating_duration_since(self.asked);
                Ok(Generation { tokens, chunks: self.chunks, clock: Clock::Client, end_to_end })
            }
        }
    }
}

fn timed(tokens: Option<Vec<u32>>, times: &Times) -> Result<Generation, EngineError> {
    let clock = match &times.clock {
        Word::Known(clock @ (Clock::Device | Clock::Host)) => *clock,
        other => {
            let why = format!("the engine's times are of the clock `{other}`: `device` and `host` are possible");
            return Err(EngineError::Failed(why));
        }
    };
    let chunks = times.chunks.iter().map(|&(tokens, ms)| Ok(Chunk { tokens, at: duration(ms)? }));
    let chunks = chunks.collect::<Result<Vec<_>, EngineError>>()?;
    let stands_still = |chunks: &[Chunk]| chunks.len() > 1 && chunks[0].at == chunks[chunks.len() - 1].at;
    if stands_still(&chunks) || chunks.first().is_some_and(|first| first.at.is_zero()) {
        return Err(EngineError::Failed("the engine's clock stands still".to_owned()));
    }
    Ok(Generation { tokens, chunks, clock, end_to_end: duration(times.end_to_end_ms)? })
}

fn duration(ms: f64) -> Result<Duration, EngineError> {
    let fault = |_| EngineError::Failed(format!("the engine gave a time of {ms} ms"));
    Duration::try_from_secs_f64(ms / 1e3).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(clock: &str, chunks: &[(u32, f64)], end_to_end_ms: f64) -> Times {
        Times { clock: serde_json::from_value(clock.into()).unwrap(), chunks: chunks.to_vec(), end_to_end_ms }
    }

    fn ended(chunks: &[u32], times: Option<Times>) -> Result<Generation, String> {
        let mut arrivals = Arrivals::since(Instant::now(), 4);
        chunks.iter().for_each(|&tokens| arrivals.add(tokens, Instant::now(), Instant::now()).unwrap());
        arrivals.end(None, times, Instant::now()).map_err(|error| error.to_string())
    }

    #[test]
    fn times_are_of_one_clock() {
        assert_eq!(ended(&[1, 2], None).unwrap().clock, Clock::Client);
        let own = ended(&[], Some(times("device", &[(1, 2.0), (3, 2.5)], 2.5))).unwrap();
        assert_eq!((own.clock, own.count()), (Clock::Device, 4));
        assert_eq!((own.chunks[1].at, own.end_to_end), (Duration::from_micros(2500), Duration::from_micros(2500)));
        assert!(ended(&[1], Some(times("host", &[(1, 2.0)], 2.0))).unwrap_err().contains("one of them"));
        assert!(ended(&[], None).unwrap_err().contains("neither"));
        for clock in ["client", "sundial"] {
            assert!(ended(&[], Some(times(clock, &[(1, 2.0)], 2.0))).unwrap_err().contains(clock));
        }
    }

    #[test]
    fn times_that_make_no_sense_are_refused() {
        for ms in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(ended(&[], Some(times("host", &[(1, ms)], 2.0))).is_err(), "{ms}");
            assert!(ended(&[], Some(times("host", &[(1, 1.0)], ms))).is_err(), "{ms}");
        }
        for still in [&[(1, 0.0), (1, 1.0)][..], &[(1, 3.0), (1, 3.0)]] {
            assert_eq!(ended(&[], Some(times("host", still, 3.0))).unwrap_err(), "the engine's clock stands still");
        }
    }
}
