//! What went wrong, where, and what to do about it; and the exit codes.

use std::fmt::{self, Display};

/// How the program ends. Documented in `--help` and README.md: scripts rely on these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Success = 0,
    /// A regression was found and the caller asked to fail on it.
    Regression = 1,
    /// The arguments, the configuration or an input file are wrong.
    Usage = 2,
    /// The measurement itself failed.
    Measurement = 3,
    /// Stopped by Ctrl-C or a signal; what was measured is kept.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that ends a command: one sentence for a person, and the exit code.
#[derive(Debug)]
pub struct Error {
    /// What the command exits with.
    pub exit: Exit,
    message: String,
    /// More of the same kind, one a line.
    details: Vec<String>,
}

/// What commands, and all that they use, return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wrong arguments, configuration or input file.
    pub fn usage(message: impl Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string(), details: Vec::new() }
    }

    /// Something failed while measuring.
    pub fn measurement(message: impl Display) -> Self {
        Self { exit: Exit::Measurement, message: message.to_string(), details: Vec::new() }
    }

    /// Adds what there is to say in detail: one sentence each, shown on lines of their own.
    #[must_use]
    pub fn with_details(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }

    /// The sentence, without details.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What there is to say in detail, a sentence each.
    pub fn details(&self) -> &[String] {
        &self.details
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.details.iter().try_for_each(|detail| write!(f, "\n  {detail}"))
    }
}

impl std::error::Error for Error {}

/// Output that can't be written (a closed pipe, a full disk) ends the command.
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::usage(format!("can't write the output: {error}"))
    }
}
