//! Models from hubs: `bench-diff models`, `models pull`, and loading what is in a cache. Local servers speak the hubs'
//! protocols, and get in the way.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]

mod gguf;
mod huggingface;
mod modelscope;
mod server;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest, Sha256};

const MODEL: &str = "Qwen/Qwen2.5-0.5B-Instruct";
const TOKEN: &str = "a_secret_that_nobody_may_see";
/// Nobody listens there.
const AWAY: &str = "http://127.0.0.1:1";

/// The files of a small model that the engine can load, and its tokenizer.
fn files() -> BTreeMap<&'static str, Vec<u8>> {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen2/untied");
    let read = |name: &str| std::fs::read(fixture.join(name)).unwrap();
    BTreeMap::from([
        ("config.json", read("config.json")),
        ("model.safetensors", read("model.safetensors")),
        ("tokenizer.json", b"{}".to_vec()),
        ("README.md", b"nobody needs this".to_vec()),
    ])
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A machine of its own: a home, and which hubs there are.
struct Machine {
    home: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

/// How a program ended.
struct Ended {
    exit: i32,
    out: String,
    err: String,
}

impl Machine {
    fn new(variables: &[(&'static str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { home: tempfile::tempdir().unwrap(), variables }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn path(&self, below: &str) -> PathBuf {
        self.home.path().join(below)
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().current_dir(self.home.path());
        command.envs(std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)));
        command
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HF_ENDPOINT", AWAY).env("MODELSCOPE_ENDPOINT", AWAY);
        command.envs(self.variables.iter().map(|(name, value)| (*name, value)));
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.ended(self.command(env!("CARGO_BIN_EXE_bench-diff"), args).output().unwrap())
    }

    fn ended(&self, output: Output) -> Ended {
        let home = self.home.path().display().to_string();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(!out.contains(TOKEN) && !err.contains(TOKEN), "the token is shown");
        let (out, err) = (out.replace(&home, "HOME"), err.replace(&home, "HOME"));
        Ended { exit: output.status.code().unwrap_or(-1), out, err }
    }

    fn pull(&self, args: &[&str]) -> Ended {
        self.run(&[&["models", "pull", MODEL], args].concat())
    }

    /// `bench-diff generate`, which loads the model.
    fn generate(&self, args: &[&str]) -> Ended {
        let all = ["generate", MODEL, "--prompt-ids", "7", "--tokens", "2", "--dtype", "f32", "--device", "cpu"];
        self.run(&[&all[..], args, &["--format", "json"]].concat())
    }
}

impl Ended {
    /// It went well: its output.
    fn fine(self) -> String {
        assert_eq!(self.exit, 0, "{}", self.err);
        self.out
    }

    /// It was refused: what was said, progress left out.
    fn error(self) -> String {
        assert_eq!((self.exit, self.out.as_str()), (2, ""), "{}", self.err);
        let lines = self.err.lines().filter(|line| line.starts_with("error: ") || line.starts_with("  "));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

/// All files below, with their sizes; links are followed.
fn below(directory: &Path) -> BTreeMap<String, u64> {
    fn collect(directory: &Path, root: &Path, found: &mut BTreeMap<String, u64>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, root, found);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, path.metadata().unwrap().len());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(directory, directory, &mut found);
    found
}
