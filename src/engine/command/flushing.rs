//! Does a program flush each `chunk` line when its tokens are there? Where times are ours, a buffered line is as late as its
//! buffer.

use crate::engine::EngineError;
use crate::engine::held_back::MANY_LINES;

/// What is known of a program's lines so far.
#[derive(Debug, Default)]
pub struct Flushing {
    /// Those of its last generation seemed to be held back.
    is_suspected: bool,
}

impl Flushing {
    /// Fails for a program that holds back its lines: `how` they came in its last generation, of so many, if they seem so. Few
    /// of them may come at once because this machine was busy: that is an error the second time in a row, and before that a
    /// warning.
    pub fn check(&mut self, how: Option<String>, lines: usize) -> Result<Option<String>, EngineError> {
        let was_suspected = std::mem::replace(&mut self.is_suspected, how.is_some());
        match how {
            Some(how) if was_suspected || lines >= MANY_LINES => {
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
