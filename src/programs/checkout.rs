//! A program that a command builds in a checkout, as it is.

use std::path::PathBuf;

use super::building::run_in;
use crate::error::{Error, Result};
use crate::measure::Worker;

/// How a checkout becomes a program. It is built each time: whoever builds knows what is up to date.
#[derive(Debug, Clone)]
pub struct CheckoutBuild {
    /// Its root.
    pub directory: PathBuf,
    /// Run by bash there.
    pub command: String,
    /// Variables of ours that it gets, beside those that it always gets.
    pub env: Vec<String>,
    /// The program, relative to that root.
    pub product: PathBuf,
}

impl CheckoutBuild {
    pub(super) fn worker(&self) -> Result<Worker> {
        let place = self.directory.display();
        tracing::info!("building {place} with `{}`", self.command);
        run_in(&self.directory, &self.command, &self.env)
            .map_err(|why| Error::measurement(format!("can't build {place}")).because_of(why))?;
        let program = self.directory.join(&self.product);
        if program.is_file() {
            return Ok(Worker::at(program));
        }
        Err(Error::usage(format!("the build command made no {}", program.display())))
    }
}
