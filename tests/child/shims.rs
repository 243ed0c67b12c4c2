//! Programs on the PATH that note the environment they are started with, and go on as the real ones.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What no child may see, whatever it is called. A list for one place: the environment of the command under test.
pub const CANARIES: [(&str, &str); 11] = [
    ("GITHUB_TOKEN", "canary-token"),
    ("GH_TOKEN", "canary-gh"),
    ("GH_PAT", "canary-pat"),
    ("MY_KEY", "canary-key"),
    ("AWS_SECRET_ACCESS_KEY", "canary-aws"),
    ("INPUT_GITHUB-TOKEN", "canary-input"),
    ("ACTIONS_RUNTIME_TOKEN", "canary-runtime"),
    ("CARGO_REGISTRY_TOKEN", "canary-cargo"),
    ("CUDA_LICENCE_KEY", "canary-cuda"),
    ("SOMETHING", "canary-something"),
    ("GIT_CONFIG_PARAMETERS", "'canary.git=canary'"),
];

pub struct Shims(tempfile::TempDir);

impl Shims {
    /// For every program of that name that is on the PATH.
    pub fn of(names: &[&str]) -> Self {
        let shims = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(shims.seen()).unwrap();
        std::fs::create_dir(shims.bin()).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        for name in names {
            let found = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file());
            if let Some(real) = found {
                shims.add(name, &real);
            }
        }
        shims
    }

    pub fn add(&self, name: &str, real: &Path) {
        let seen = self.seen().join(name);
        let (seen, real) = (seen.display(), real.display());
        let script = format!("#!/bin/sh\n/usr/bin/env > {seen}.$$\nexec {real} \"$@\"\n");
        let path = self.bin().join(name);
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn seen(&self) -> PathBuf {
        self.0.path().join("seen")
    }

    fn bin(&self) -> PathBuf {
        self.0.path().join("bin")
    }

    /// A PATH on which they come first.
    pub fn path(&self) -> String {
        format!("{}:{}", self.bin().display(), std::env::var("PATH").unwrap())
    }

    /// The name of every program that was started, and its environment.
    pub fn started(&self) -> Vec<(String, String)> {
        let entry = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        };
        std::fs::read_dir(self.seen()).unwrap().map(entry).collect()
    }

    /// Started at least once, and nobody saw a canary but git, which gets the token under one name to fetch.
    pub fn check(&self, names: &[&str]) {
        let started = self.started();
        for name in names {
            assert!(started.iter().any(|(started, _)| started == name), "{name} was started");
        }
        for (name, environment) in started {
            for line in environment.lines().filter(|line| line.contains("canary")) {
                assert_eq!((name.as_str(), line), ("git", "BENCH_DIFF_PASSWORD=canary-token"));
            }
        }
    }
}
