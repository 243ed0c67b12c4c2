//! A program that a command builds from a commit.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::building::run_in;
use crate::error::{Error, Result};
use crate::git;
use crate::hex::hex;
use crate::measure::Worker;

/// How a commit becomes a program.
#[derive(Debug, Clone)]
pub struct Build {
    /// A clone that has the commit.
    pub repository: PathBuf,
    /// Its full name.
    pub commit: String,
    /// Run by bash at the root of the commit's work tree.
    pub command: String,
    /// Variables of ours that it gets, beside those that it always gets.
    pub env: Vec<String>,
    /// The program, relative to that root.
    pub product: PathBuf,
    /// Where builds are kept.
    pub cache: PathBuf,
}

impl Build {
    pub(super) fn worker(&self) -> Result<Worker> {
        let directory = self.cache.join(format!("{}-{}", self.commit, short_hash(&self.command)));
        let program = directory.join(&self.product);
        if !program.is_file() {
            git::work_tree(&self.repository, &self.commit, &directory)?;
            tracing::info!("building {} with `{}`", self.commit, self.command);
            run_in(&directory, &self.command, &self.env)
                .map_err(|why| Error::measurement(format!("can't build {}", self.commit)).because_of(why))?;
        }
        if !program.is_file() {
            return Err(Error::usage(format!("the build command made no {}", self.product.display())));
        }
        Ok(Worker::at(program))
    }
}

fn short_hash(text: &str) -> String {
    hex(&Sha256::digest(text)[..6])
}
