//! The measured program: how to start it, and what it says about itself.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::process::Command;

use super::child::clean;
use crate::case::WeightsSource;
use crate::results::{Component, Program};

/// Characters of a name, version or commit that a measured program tells, and its components.
const MAX_WORD: usize = 100;
const MAX_COMPONENTS: usize = 20;

/// A program that speaks the [protocol](super::protocol): it is started once for each model and round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pub path: PathBuf,
    pub args: Vec<OsString>,
}

impl Worker {
    /// This very program.
    pub fn this() -> io::Result<Self> {
        Ok(Self::at(std::env::current_exe()?))
    }

    /// Another build of bench-diff, or anything that takes `worker` as its argument and speaks the protocol.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), args: vec!["worker".into()] }
    }

    /// A command with nothing of our environment but what measuring needs: the measured program may come from a pull
    /// request, and a runner's environment holds tokens.
    pub fn command(&self, weights: WeightsSource, threads: Option<u32>) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.args).env_clear();
        command.envs(std::env::vars_os().filter(|(name, _)| passes(name, weights)));
        // rayon's threads are candle's; OpenMP's are most other programs'.
        for name in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS"] {
            command.envs(threads.map(|threads| (name, threads.to_string())));
        }
        // NVML's order of GPUs, so that both mean the same card by its number.
        command.env("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
        command
    }
}

/// Keeps other processes of this user, the measured program among them, from reading our environment in /proc.
///
/// It can't keep out root: a runner that measures untrusted code must not run as root.
pub fn hide_own_environment() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::debug!("the environment can't be hidden from the measured program: {error}");
    }
}

/// What a worker may see. A list of what passes, not of what doesn't: secrets have unguessable names.
fn passes(name: &OsStr, weights: WeightsSource) -> bool {
    const NAMES: [&str; 12] = [
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "TMPDIR",
        "TZ",
        "LD_LIBRARY_PATH",
        "XDG_CACHE_HOME",
        "RAYON_NUM_THREADS",
        "RUST_BACKTRACE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ];
    const PREFIXES: [&str; 6] = ["LC_", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "BENCH_DIFF_WORKER_"];
    // Downloading needs these, and only downloading.
    const HUB: [&str; 9] = [
        "HF_HOME",
        "HF_HUB_CACHE",
        "HF_ENDPOINT",
        "HF_TOKEN",
        "HF_HUB_OFFLINE",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
    ];
    let Some(name) = name.to_str() else { return false };
    NAMES.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !looks_secret(name)
        || weights == WeightsSource::Hub && HUB.contains(&name)
}

fn looks_secret(name: &str) -> bool {
    ["TOKEN", "KEY", "SECRET", "PASSWORD", "CREDENTIAL"].iter().any(|word| name.to_ascii_uppercase().contains(word))
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

    /// For a person: `bench-diff 0.1.0 (1a2b3c4, candle 0.11.1)`.
    pub fn describe(&self) -> String {
        let commit = self.commit.as_deref().map(short);
        let components = self.components.iter().map(|(name, part)| {
            let which = part.commit.as_deref().map(short).or_else(|| part.version.clone());
            which.map_or_else(|| name.clone(), |which| format!("{name} {which}"))
        });
        let parts: Vec<_> = commit.into_iter().chain(components).collect();
        let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        format!("{} {}{parts}", self.name, self.version)
    }
}

/// A commit's first digits, and whether the checkout had changes.
fn short(commit: &str) -> String {
    let (hash, dirty) = commit.split_once('-').map_or((commit, ""), |(hash, _)| (hash, "-dirty"));
    format!("{}{dirty}", hash.chars().take(7).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_told_where_they_are_set() {
        let threads = |count| {
            let command = Worker::at("/nowhere").command(WeightsSource::Generated, count);
            let named = command.get_envs().find(|(name, _)| *name == "RAYON_NUM_THREADS");
            named.and_then(|(_, value)| value?.to_str().map(str::to_owned))
        };
        assert_eq!(threads(Some(3)).as_deref(), Some("3"));
        assert_eq!(threads(None), std::env::var("RAYON_NUM_THREADS").ok(), "as whoever measures wants");
    }

    #[test]
    fn secrets_stay_outside() {
        for name in ["GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "AWS_SECRET_ACCESS_KEY", "NPM_PASSWORD", "CUDA_TOKEN"] {
            assert!(!passes(OsStr::new(name), WeightsSource::Hub), "{name}");
        }
        for name in ["PATH", "HOME", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "LC_ALL"] {
            assert!(passes(OsStr::new(name), WeightsSource::Generated), "{name}");
        }
        assert!(passes(OsStr::new("HF_TOKEN"), WeightsSource::Hub));
        assert!(!passes(OsStr::new("HF_TOKEN"), WeightsSource::Local));
    }
}
