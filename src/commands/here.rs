//! What measures a suite in the repository that a command is called in.

use crate::ci::Local;
use crate::config::{self, Selection, Suite};
use crate::error::Result;
use crate::measure::Worker;
use crate::programs::OwnEngines;

/// This very program; engines of the repository's own are built first.
pub fn worker(suite: &Suite, selection: &Selection) -> Result<Worker> {
    let this = Worker::this_for(suite)?;
    let builds = Local::in_directory(&config::directory(selection.config.as_deref())).builds();
    OwnEngines::of(suite, selection, &[], builds).map_or(Ok(this), |engines| engines.in_work_tree().worker())
}
