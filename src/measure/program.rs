//! The measured program: how to start it, and what it says about itself.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::engines_of_side::EnginesOfSide;
use super::protocol::{Event, Job};
use crate::child::{Conversation, Environment, Launch, beside_the_caller, clean};
use crate::config::{Suite, SuiteModel};
use crate::device::Gpus;
use crate::engine::{self, ModelSpec};
use crate::error::{Error, Exit, Result};
use crate::hex::hex;
use crate::results::{Component, Program};
use crate::trace::traced_program::Tracing;

/// Characters of a name, version or commit that a measured program tells, and its components.
const MAX_WORD: usize = 100;
const MAX_COMPONENTS: usize = 20;

/// The variable that holds a run's padding.
const PADDING: &str = "BENCH_DIFF_PADDING";

/// A program that speaks the [protocol](super::protocol): it is started once for each model and round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// The executable.
    pub path: PathBuf,
    /// What makes it a worker.
    pub args: Vec<OsString>,
    /// The GPUs that it sees, as `CUDA_VISIBLE_DEVICES`; those that we see where absent.
    pub visible_devices: Option<String>,
    /// Bytes of padding in its environment, which move its stack.
    pub padding: usize,
    /// The engines of its own that it starts.
    pub engines: EnginesOfSide,
}

/// A started worker.
pub type Child = Conversation<Event>;

impl Worker {
    /// This very program.
    pub fn this() -> Result<Self> {
        let unknown = |error| Error::measurement("can't find my own program").because(error);
        std::env::current_exe().map(Self::at).map_err(unknown)
    }

    /// This very program, to measure `suite`: what its build lacks is said before anything is downloaded.
    pub fn this_for(suite: &Suite) -> Result<Self> {
        for SuiteModel { spec, .. } in &suite.models {
            let engine = engine::find(&spec.engine).map_err(|error| Error::of(Exit::Usage, error))?;
            if let Some(lacking) = engine.lacks(spec) {
                return Err(Error::usage(format!("{} can't be measured", spec.model)).because_of(lacking));
            }
        }
        Self::this()
    }

    /// Another build of bench-diff, or anything that takes `worker` as its argument and speaks the protocol.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: vec!["worker".into()],
            visible_devices: None,
            padding: 0,
            engines: EnginesOfSide::default(),
        }
    }

    /// The same program, which sees no other GPUs than these.
    #[must_use]
    pub fn seeing(&self, gpus: &Gpus) -> Self {
        Self { visible_devices: gpus.visible_devices(), ..self.clone() }
    }

    /// The same program with its stack elsewhere.
    #[must_use]
    pub fn padded(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// The same program, which starts these engines.
    #[must_use]
    pub fn starting(self, engines: EnginesOfSide) -> Self {
        Self { engines, ..self }
    }

    /// As a user names it: a bare name is a program in the current directory, or else on the PATH.
    pub fn named(name: &Path) -> Result<Self> {
        beside_the_caller(name).map(Self::at)
    }

    /// SHA-256 of its file, where that can be read.
    pub(super) fn sha256(&self) -> Option<String> {
        let mut file = File::open(self.path.canonicalize().ok().filter(|path| path.is_file())?).ok()?;
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut buffer).ok()? {
                0 => return Some(hex(&hash.finalize())),
                count => hash.update(&buffer[..count]),
            }
        }
    }

    /// Starts it and hands it the job.
    pub fn start(&self, job: &Job) -> io::Result<Child> {
        self.start_in(job, Environment::measured(job.model.hub_token()))
    }

    /// The same, with the tracer in it and in what it starts.
    pub(super) fn start_traced(&self, job: &Job, tracing: &Tracing) -> io::Result<Child> {
        self.start_in(job, tracing.in_environment(Environment::measured(job.model.hub_token())))
    }

    fn start_in(&self, job: &Job, environment: Environment) -> io::Result<Child> {
        Child::start(&self.launch(environment, &job.model, job.settings.threads).given(job.to_json()?))
    }

    fn launch(&self, environment: Environment, spec: &ModelSpec, threads: Option<u32>) -> Launch {
        let environment = match spec.server.as_ref().and_then(|server| server.api_key_env.as_deref()) {
            Some(variable) => environment.and_ours(variable),
            None => environment,
        };
        let launch = Launch::of(&self.path, environment).args(&self.args);
        // NVML's order of GPUs, so that both mean the same card by its number.
        let launch = launch.with("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
        let launch = if self.padding > 0 { launch.with(PADDING, "-".repeat(self.padding)) } else { launch };
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
        let candle = Component {
            version: Some(env!("BENCH_DIFF_CANDLE_VERSION").to_owned()),
            commit: option_env!("BENCH_DIFF_CANDLE_COMMIT").map(str::to_owned),
        };
        Self {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("BENCH_DIFF_COMMIT").map(str::to_owned),
            components: [("candle".to_owned(), candle)].into(),
        }
    }

    /// What a measured program says of itself: bounded, and in one line each.
    pub fn cleaned(&self) -> Self {
        let text = |text: &String| clean(text, MAX_WORD);
        let part = |part: &Component| Component {
            version: part.version.as_ref().map(text),
            commit: part.commit.as_ref().map(text),
        };
        let components = self.components.iter().take(MAX_COMPONENTS);
        Self {
            name: text(&self.name),
            version: text(&self.version),
            commit: self.commit.as_ref().map(text),
            components: components.map(|(name, of)| (text(name), part(of))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::DeviceKind;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "what a child inherits")]
    fn threads_are_told_where_they_are_set() {
        let threads = |count| {
            let spec = ModelSpec::generated("a", DeviceKind::Cpu);
            let launch = Worker::at("/nowhere").launch(Environment::measured(None), &spec, count);
            launch.environment().get("RAYON_NUM_THREADS").and_then(|value| value.to_str().map(str::to_owned))
        };
        assert_eq!(threads(Some(3)).as_deref(), Some("3"));
        assert_eq!(threads(None), std::env::var("RAYON_NUM_THREADS").ok(), "as whoever measures wants");
    }
}
