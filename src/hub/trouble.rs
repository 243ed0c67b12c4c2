//! What a server can answer in place of what was hoped for.

use std::time::Duration;
use std::{fmt, io};

use super::HubError;
use super::hub_error::Fault;
use super::waiting_time::spoken;

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug)]
pub enum Trouble {
    Status {
        status: u16,
        /// The Hugging Face Hub's word for it.
        code: Option<String>,
        /// The server's own words.
        said: String,
        retry_after: Option<Duration>,
    },
    /// It couldn't be reached, or the connection broke.
    Broken(String),
    /// It answered what can't be.
    Wrong(String),
    /// A file that can't be written.
    Disk(io::Error),
    Stopped,
}

impl Trouble {
    /// Can it be another time?
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == 429 || *status == 408 || *status >= 500,
            Self::Broken(_) => true,
            Self::Wrong(_) | Self::Disk(_) | Self::Stopped => false,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Status { retry_after, .. } = self { *retry_after } else { None }
    }

    pub fn status(&self) -> Option<u16> {
        if let Self::Status { status, .. } = self { Some(*status) } else { None }
    }

    /// What doesn't depend on what was asked for.
    pub fn into_error(self, what: &str) -> HubError {
        let error = HubError::new(format!("{what}: {self}"));
        match self {
            Self::Status { status: 429, retry_after, .. } => {
                let time = retry_after.map_or("a while".to_owned(), |time| format!("{}, as it asks for", spoken(time)));
                let hint = format!("wait {time}, or sign in with a token: hubs allow more then");
                error.fault(Fault::Unreachable).hint(hint)
            }
            Self::Status { status, .. } if status >= 500 => error.fault(Fault::Unreachable).hint("try again later"),
            Self::Status { .. } => error,
            Self::Broken(_) => error.fault(Fault::Unreachable),
            Self::Wrong(_) => {
                error.hint("try again; if it stays so, the hub's file is damaged or its address is wrong")
            }
            Self::Disk(_) => error.hint("what was downloaded is kept: make room, and the same command goes on"),
            Self::Stopped => HubError::new(format!("{what}: stopped"))
                .fault(Fault::Stopped)
                .hint("what was downloaded is kept: the same command goes on"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status: 429, .. } => write!(f, "too many requests"),
            Self::Status { status, said, .. } if said.is_empty() => write!(f, "the hub answered {status}"),
            Self::Status { status, said, .. } => write!(f, "the hub answered {status} ({said})"),
            Self::Broken(why) | Self::Wrong(why) => f.write_str(why),
            Self::Disk(error) => write!(f, "can't be written: {error}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}
