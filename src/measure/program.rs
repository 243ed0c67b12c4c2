//! The measured program: how to start it, and what it says about itself.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::protocol::{Event, Job};
use crate::case::WeightsSource;
use crate::child::{Conversation, Environment, Launch, beside_the_caller};
use crate::device::Gpus;
use crate::error::Result;
use crate::results::Program;

/// A program that speaks the [protocol](super::protocol): it is started once for each model and round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pub path: PathBuf,
    pub args: Vec<OsString>,
    /// The GPUs that it sees, as `CUDA_VISIBLE_DEVICES`; those that we see where absent.
    pub visible_devices: Option<String>,
}

/// A started worker.
pub type Child = Conversation<Event>;

impl Worker {
    /// This very program.
    pub fn this() -> io::Result<Self> {
        Ok(Self::at(std::env::current_exe()?))
    }

    /// Another build of bench-diff, or anything that takes `worker` as its argument and speaks the protocol.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), args: vec!["worker".into()], visible_devices: None }
    }

    /// The same program, which sees no other GPUs than these.
    #[must_use]
    pub fn seeing(&self, gpus: &Gpus) -> Self {
        Self { visible_devices: gpus.visible_devices(), ..self.clone() }
    }

    /// As a user names it: a bare name is a program in the current directory, or else on the PATH.
    pub fn named(name: &Path) -> Result<Self> {
        beside_the_caller(name).map(Self::at)
    }

    /// Starts it and hands it the job.
    pub fn start(&self, job: &Job) -> io::Result<Child> {
        Child::start(&self.launch(job.model.weights, job.settings.threads).given(serde_json::to_vec(job)?))
    }

    fn launch(&self, weights: WeightsSource, threads: Option<u32>) -> Launch {
        let launch = Launch::of(&self.path, Environment::measured(weights == WeightsSource::Hub)).args(&self.args);
        // NVML's order of GPUs, so that both mean the same card by its number.
        let launch = launch.with("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
        let launch = match &self.visible_devices {
            Some(uuids) => launch.with("CUDA_VISIBLE_DEVICES", uuids),
            None => launch,
        };
        let Some(threads) = threads else { return launch };
        // rayon's threads are candle's; OpenMP's are most other programs'.
        launch.with("RAYON_NUM_THREADS", threads.to_string()).with("OMP_NUM_THREADS", threads.to_string())
    }
}

impl Program {
    /// This build. The build script knows the commits.
    pub fn this() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("BENCH_DIFF_COMMIT").map(str::to_owned),
            candle_version: env!("BENCH_DIFF_CANDLE_VERSION").to_owned(),
            candle_commit: option_env!("BENCH_DIFF_CANDLE_COMMIT").map(str::to_owned),
        }
    }

    /// For a person: `bench-diff 0.1.0 (1a2b3c4, candle 0.11.1)`.
    pub fn describe(&self) -> String {
        // A commit is told by its first digits, and whether the checkout had changes.
        let short = |commit: &str| {
            let (hash, dirty) = commit.split_once('-').map_or((commit, ""), |(hash, _)| (hash, "-dirty"));
            format!("{}{dirty}", hash.chars().take(7).collect::<String>())
        };
        let commit = self.commit.as_deref().map(|commit| format!("{}, ", short(commit))).unwrap_or_default();
        let candle = self.candle_commit.as_deref().map_or_else(|| self.candle_version.clone(), short);
        format!("{} {} ({commit}candle {candle})", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_told_where_they_are_set() {
        let threads = |count| {
            let launch = Worker::at("/nowhere").launch(WeightsSource::Generated, count);
            launch.environment().get("RAYON_NUM_THREADS").and_then(|value| value.to_str().map(str::to_owned))
        };
        assert_eq!(threads(Some(3)).as_deref(), Some("3"));
        assert_eq!(threads(None), std::env::var("RAYON_NUM_THREADS").ok(), "as whoever measures wants");
    }
}
