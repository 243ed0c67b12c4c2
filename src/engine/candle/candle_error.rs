//! What candle's errors say to a person.

use crate::engine::EngineError;

impl From<candle_core::Error> for EngineError {
    fn from(error: candle_core::Error) -> Self {
        let text = message(&error);
        // candle passes the driver's error on as text.
        if text.contains("OUT_OF_MEMORY") || text.contains("out of memory") {
            Self::OutOfMemory(text)
        } else {
            Self::Failed(text)
        }
    }
}

/// With `RUST_BACKTRACE` set a candle error also carries a backtrace.
pub fn message(error: &candle_core::Error) -> String {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => message(inner),
        candle_core::Error::WithPath { inner, path } => format!("{}: {}", path.display(), message(inner)),
        other => other.to_string(),
    }
}
