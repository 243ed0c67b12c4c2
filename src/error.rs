//! What went wrong, where, why, and what to do about it; and the exit codes.

use std::fmt::{self, Display};
use std::io;
use std::path::Path;

/// How the program ends. Documented in `--help` and README.md: scripts rely on these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Success = 0,
    /// A regression was found and the caller asked to fail on it; or `doctor` found that something is missing, or
    /// no case of a plan can run.
    Regression = 1,
    /// The arguments, the configuration or an input file are wrong, or output can't be written.
    Usage = 2,
    /// The measurement itself failed.
    Measurement = 3,
    /// Stopped by Ctrl-C or a signal; what was measured is kept.
    Interrupted = 130,
    /// Whoever read the output has gone, as `head` does: a shell's code for a program that this ended (SIGPIPE).
    ClosedPipe = 141,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that ends a command, with the exit code. Its text is what went wrong and where; [`sentence`] says also why.
#[derive(Debug)]
pub struct Error {
    /// What the command exits with.
    pub exit: Exit,
    message: String,
    hint: Option<String>,
    /// More of the same kind, one a line.
    details: Vec<String>,
    source: Option<Cause>,
}

/// What an error comes from.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// With an [`Error`] where no other is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: message.to_string(), hint: None, details: Vec::new(), source: None }
    }

    /// Wrong arguments, configuration or input file.
    pub fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something failed while measuring.
    pub fn measurement(message: impl Display) -> Self {
        Self::new(Exit::Measurement, message)
    }

    /// Another kind of error, when it ends the command.
    pub fn of(exit: Exit, error: impl Advice + Send + Sync) -> Self {
        Self::new(exit, &error).because_of(error)
    }

    /// A file that can't be read.
    pub fn reading(path: &Path, cause: impl Into<Cause>) -> Self {
        Self::usage(format!("can't read {}", path.display())).because(cause)
    }

    /// A file that can't be written.
    pub fn writing(path: &Path, cause: impl Into<Cause>) -> Self {
        Self::usage(format!("can't write {}", path.display())).because(cause)
    }

    /// The command's own output, which can't be written.
    pub fn output(cause: io::Error) -> Self {
        let exit = if cause.kind() == io::ErrorKind::BrokenPipe { Exit::ClosedPipe } else { Exit::Usage };
        Self::new(exit, "can't write the output").because(cause)
    }

    /// Keeps what it comes from.
    #[must_use]
    pub fn because(self, cause: impl Into<Cause>) -> Self {
        let cause = cause.into();
        let hint = self.hint.or_else(|| within(&cause)?.hint.clone());
        Self { hint, source: Some(cause), ..self }
    }

    /// Keeps what it comes from: what helps against that helps against this.
    #[must_use]
    pub fn because_of(self, cause: impl Advice + Send + Sync) -> Self {
        Self { hint: cause.advice().map(str::to_owned), ..self.because(Box::new(cause) as Cause) }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }

    /// Says where, in front of the message.
    #[must_use]
    pub fn at(self, place: &str) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }

    /// Adds what there is to say in detail: one sentence each, shown on lines of their own.
    #[must_use]
    pub fn with_details(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }

    /// What there is to say in detail, a sentence each.
    pub fn details(&self) -> &[String] {
        &self.details
    }
}

/// What an [`io::Error`] was made from, where that was an error of ours.
fn within(cause: &Cause) -> Option<&Error> {
    cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&**self.source.as_ref()?)
    }
}

impl Advice for Error {
    fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// An error that may know what to do about it.
pub trait Advice: std::error::Error + Sized + 'static {
    /// What to do about it.
    fn advice(&self) -> Option<&str>;

    /// All in one sentence, where there is no line for the advice: in a warning, or as the reason of a failed case.
    fn in_one_line(&self) -> String {
        match self.advice() {
            Some(advice) => format!("{}; {advice}", sentence(self)),
            None => sentence(self),
        }
    }
}

/// An error and what it comes from, in one sentence.
pub fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.map(ToString::to_string).fold(error.to_string(), |text, cause| {
        // Some errors say themselves what they come from.
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_said_once() {
        let cause = Error::reading(Path::new("a.json"), io::Error::other("no luck")).hint("try again");
        assert_eq!(sentence(&cause), "can't read a.json: no luck");
        let error = Error::measurement("nothing was measured").because_of(cause);
        assert_eq!(error.in_one_line(), "nothing was measured: can't read a.json: no luck; try again");
        let twice = Error::usage("refused: no luck").because(io::Error::other("no luck"));
        assert_eq!(sentence(&twice), "refused: no luck");
        assert_eq!(Error::usage("plain").in_one_line(), "plain");
    }

    #[test]
    fn what_helps_against_the_cause_helps() {
        let obstacle = || Error::usage("it is a pipe").hint("write elsewhere");
        let error = Error::writing(Path::new("a"), io::Error::other(obstacle()));
        assert_eq!(error.in_one_line(), "can't write a: it is a pipe; write elsewhere");
        assert_eq!(Error::of(Exit::Usage, obstacle()).in_one_line(), "it is a pipe; write elsewhere");
    }

    #[test]
    fn the_cause_can_be_asked() {
        let error = Error::writing(Path::new("a"), io::Error::from(io::ErrorKind::StorageFull));
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
        assert_eq!(cause.map(io::Error::kind), Some(io::ErrorKind::StorageFull));
        assert_eq!(error.to_string(), "can't write a", "the text doesn't repeat it");
    }
}
