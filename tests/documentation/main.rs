//! What people read is held against the program: the help is a snapshot, commands that the documentation shows are parsed
//! and run, output that it shows is what they print, settings and inputs are those that there are, links lead somewhere,
//! and words are those of the glossary.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

mod commands;
mod help;
mod links;
mod markdown;
mod mentions;
mod settings;
mod shell;
mod shown;
mod words;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory as a reader of the documentation has it: a configuration, measurements, a baseline, a report.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (from, to) in [
            ("src/config/starter.toml", "bench-diff.toml"),
            ("src/config/starter.toml", "ci/bench-diff.toml"),
            ("docs/samples/old.json", "old.json"),
            ("docs/samples/new.json", "new.json"),
            ("docs/samples/new.json", "newer.json"),
            ("docs/samples/old.json", "docs/samples/old.json"),
            ("docs/samples/new.json", "docs/samples/new.json"),
            ("docs/measured/h100-full.json", "docs/measured/h100-full.json"),
            ("suites/qwen2.5-speed-benchmark.toml", "suites/qwen2.5-speed-benchmark.toml"),
            ("tests/fixtures/schemas/results.v2.json", "results.json"),
            ("tests/fixtures/schemas/results.v2.json", ".bench-diff/latest/results.json"),
            ("tests/fixtures/schemas/report.v3.json", "bench-results/report.json"),
            ("tests/fixtures/traces/plain-2.trace", "plain-2.trace"),
            ("tests/fixtures/traces/plain-1.trace", "base.trace"),
            ("tests/fixtures/traces/stock-1.trace", "head.trace"),
            ("tests/fixtures/kernel_code/old.fatbin", "old.fatbin"),
            ("tests/fixtures/kernel_code/new.fatbin", "new.fatbin"),
            ("baselines/h100-small/nvidia-h100-80gb-hbm3.json", "baselines/h100-small/nvidia-h100-80gb-hbm3.json"),
        ] {
            let to = place.0.path().join(to);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(from, to).unwrap();
        }
        place
    }

    /// The program, as if nothing but this directory were there.
    fn run(&self, args: &[String]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bench-diff"))
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .envs(["PATH", "LD_LIBRARY_PATH"].map(|name| (name, std::env::var(name).unwrap_or_default())))
            .env("HOME", self.0.path())
            .output()
            .expect("the program starts")
    }
}

/// Files under `folder` whose names end with `ending`.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, ending, found);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(Path::new(folder), ending, &mut found);
    found.sort();
    found
}
