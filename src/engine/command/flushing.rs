//! Does a program flush each `chunk` line when its tokens are there? Where times are ours, a buffered line is as late as its
//! buffer.

use std::time::Duration;

use crate::case::Clock;
use crate::engine::held_back::{MANY, MANY_LINES, held_back};
use crate::engine::{EngineError, Generation};

/// What is known of a program's lines so far.
#[derive(Debug, Default)]
pub struct Flushing {
    /// Those of its last generation seemed to be held back.
    is_suspected: bool,
}

impl Flushing {
    /// Fails for a program that holds back its lines. Few of them may come at once because this machine was busy: that is an
    /// error the second time in a row, and before that a warning.
    pub fn check(&mut self, generation: &Generation) -> Result<Option<String>, EngineError> {
        let how = unflushed(generation);
        let was_suspected = std::mem::replace(&mut self.is_suspected, how.is_some());
        match how {
            Some(how) if was_suspected || generation.chunks.len() >= MANY_LINES => {
                let why = format!("{how}: the program's output is buffered, so nobody knows when they were there");
                Err(EngineError::refused(why, ADVICE))
            }
            Some(how) => Ok(Some(format!("{how}: is the program's output buffered? Then decode and TTFT say little"))),
            None => Ok(None),
        }
    }
}

/// What helps.
pub const ADVICE: &str = "flush standard output after every line, or let the engine take the times itself (`times`)";

/// How the lines of a generation came, if they seem to have been held back. Tokens that a line says came together did.
pub fn unflushed(generation: &Generation) -> Option<String> {
    if generation.clock != Clock::Client || generation.chunks.len() < MANY {
        return None;
    }
    let arrivals: Vec<Duration> = generation.chunks.iter().map(|chunk| chunk.at).collect();
    held_back(&arrivals, arrivals.len()).map(|how| how.replace("tokens", "`chunk` lines"))
}
