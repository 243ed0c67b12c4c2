//! How measuring ends.

use crate::error::Error;

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every run is there, well or failed.
    Complete,
    /// Told to stop: what was measured is kept, and the session can be carried on.
    Stopped,
}

/// Why measuring doesn't go on.
#[derive(Debug)]
pub enum Halt {
    /// Told to stop.
    Stopped,
    /// It makes no sense any more.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Halt {
    /// Being told to stop is an end like another.
    pub fn end(halted: Result<(), Self>) -> Result<End, Error> {
        match halted {
            Ok(()) => Ok(End::Complete),
            Err(Self::Stopped) => Ok(End::Stopped),
            Err(Self::Failed(error)) => Err(error),
        }
    }
}
