//! What is written: whole, by one process at a time, and with nothing left behind. `files/worker.sh` is the measured
//! program.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]

#[path = "files/kills.rs"]
mod kills;
#[path = "files/kinds.rs"]
mod kinds;
#[path = "files/together.rs"]
mod together;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use bench_diff::results::{self, Results};
use tempfile::TempDir;

const CONFIG: &str = r#"
weights = "generated"

[suites.test]
device = "cpu"
models = ["Qwen/Qwen2.5-0.5B"]
context-lengths = [1, 8]
generated-length = 4
runs = 2
"#;

/// A directory with a configuration and a program to measure.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path("bench-diff.toml"), CONFIG).unwrap();
        fs::create_dir_all(place.path("program")).unwrap();
        fs::create_dir_all(place.path("temporary")).unwrap();
        let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/worker.sh");
        // Not written by this process: executing a file that a forked child still has open for writing fails.
        let made = Command::new("install").arg("-m755").arg(worker).arg(place.path("program/worker")).status().unwrap();
        assert!(made.success());
        place
    }

    /// Where a case takes so long.
    fn with_cases_of(seconds: &str) -> Self {
        let place = Self::new();
        fs::write(place.path("program/sleep"), seconds).unwrap();
        place
    }

    /// Where no case ends before [`Place::release`].
    fn held() -> Self {
        let place = Self::new();
        fs::write(place.path("program/hold"), "").unwrap();
        place
    }

    fn release(&self) {
        fs::remove_file(self.path("program/hold")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
        command.args(args).current_dir(&self.0).env_clear();
        command.envs(["PATH", "HOME"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // Its own lock files: tests run side by side.
        command.env("TMPDIR", self.path("temporary"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `bench-diff run` of the fake program.
    fn measuring(&self, args: &[&str]) -> Command {
        self.command(&[&["run", "--worker", "program/worker"], args].concat())
    }

    fn ci(&self, args: &[&str]) -> Command {
        self.command(&[&["ci", "--quiet", "--head-binary", "program/worker", "--no-publish"], args].concat())
    }

    fn run(&self, args: &[&str]) -> Said {
        Said::of(&self.measuring(args).output().unwrap())
    }

    fn results(&self, name: &str) -> Results {
        results::read(&self.path(name)).unwrap()
    }

    /// How many measurements the program gave.
    fn measured(&self) -> usize {
        fs::read_to_string(self.path("program/measured")).unwrap_or_default().lines().count()
    }

    fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < deadline, "never {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The names in a directory that begin with a dot: what we keep there for the moment.
    fn litter(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with('.')).collect()
    }
}

/// What a process said in the end.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// Starts all, then waits for all.
fn together(commands: Vec<Command>) -> Vec<Said> {
    let children: Vec<_> = commands.into_iter().map(|mut command| command.spawn().unwrap()).collect();
    children.into_iter().map(|child| Said::of(&child.wait_with_output().unwrap())).collect()
}

/// The numbers of all measurements in the file.
fn numbers(results: &Results) -> Vec<u64> {
    let text = serde_json::to_value(results).unwrap();
    let runs = text["sessions"].as_array().unwrap().iter().flat_map(|session| session["runs"].as_array().unwrap());
    runs.filter_map(|run| run["metrics"]["decode_throughput"].as_f64()).map(|number| number as u64).collect()
}
