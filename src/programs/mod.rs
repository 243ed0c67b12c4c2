//! What head and base are: programs that exist, or builds of a commit.
//!
//! A build lies in a work tree of its own under the cache directory, named by its commit: it is made once, and only when
//! it is measured.

mod building;
mod candle;
mod checkout;
mod commit;
mod engine_build;
mod named;
mod own_engines;

pub use candle::{Candle, Origin, Source};
pub use checkout::CheckoutBuild;
pub use commit::Build;
pub use engine_build::{EngineBuild, Recipe, Tree};
pub use named::{Repository, Workshop, is_candle};
pub use own_engines::{OwnEngines, is_file_of};

use crate::error::Result;
use crate::files::Folder;
use crate::measure::Worker;

/// A program to measure.
#[derive(Debug, Clone)]
pub enum Program {
    /// There already.
    Built(Worker),
    /// Built from a commit of a repository, by a command.
    Commit(Build),
    /// Built in a checkout, by a command.
    Checkout(CheckoutBuild),
    /// bench-diff, built against another candle than the released one.
    Candle(Candle),
    /// This bench-diff, which starts engines of the repository's own.
    Engines(EngineBuild),
}

impl Program {
    /// The program to start; builds it first if necessary.
    pub fn worker(&self) -> Result<Worker> {
        match self {
            Self::Built(worker) => Ok(worker.clone()),
            Self::Checkout(build) => build.worker(),
            // One build at a time: they share work trees and sources.
            Self::Commit(build) => Folder::wait_for(&build.cache).and_then(|_alone| build.worker()),
            Self::Engines(build) if !build.is_kept() => build.worker(),
            Self::Engines(build) => Folder::wait_for(&build.cache).and_then(|_alone| build.worker()),
            Self::Candle(candle) => Folder::wait_for(&candle.cache).and_then(|_alone| candle.worker()),
        }
    }
}
