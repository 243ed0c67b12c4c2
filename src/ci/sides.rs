//! What is measured as head and base: programs that are there, or that are built when they are needed.

use std::path::{Path, PathBuf};

use crate::config::{self, CandleSource, Suite};
use crate::error::{Error, Result};
use crate::git;
use crate::measure::Worker;
use crate::programs::{Build, Candle, Origin, Program, Source};

/// What the flags and the configuration say about head and base.
#[derive(Debug)]
pub struct Sides {
    pub head_binary: Option<PathBuf>,
    pub base_binary: Option<PathBuf>,
    /// Builds the base; the program is then `head_binary`'s path in there.
    pub build_command: Option<String>,
    /// Variables of ours that building gets, beside those that it always gets.
    pub build_env: Vec<String>,
    /// Build bench-diff against this.
    pub candle: Option<CandleSource>,
    /// The configuration file: the base's names the base's candle.
    pub config: Option<PathBuf>,
    pub source: Source,
    /// Where builds are kept.
    pub cache: PathBuf,
}

/// The base, or why there is none.
#[derive(Debug)]
pub enum Base {
    Program(Program),
    /// Nothing says how to make one.
    Unwanted,
    OutOfReach(String),
}

impl Sides {
    pub fn head(&self, suite: &Suite) -> Result<Program> {
        match (&self.head_binary, &self.candle) {
            (Some(name), _) => Worker::named(name).map(Program::Built),
            (None, Some(candle)) => Ok(self.against(origin(candle))),
            (None, None) => Worker::this_for(suite).map(Program::Built),
        }
    }

    /// The repository whose history says where the branch began.
    pub fn repository(&self) -> PathBuf {
        match &self.candle {
            Some(CandleSource::Checkout { path }) if self.head_binary.is_none() => path.clone(),
            _ => PathBuf::from("."),
        }
    }

    /// Can a commit be made into a program?
    pub fn buildable(&self) -> bool {
        let candle = self.head_binary.is_none() && self.candle.is_some();
        self.base_binary.is_none() && (candle || self.build_command.is_some() && self.head_binary.is_some())
    }

    /// `commit` is where the branch began, or why that isn't known.
    pub fn base(&self, commit: std::result::Result<&str, String>) -> Result<Base> {
        if let Some(name) = &self.base_binary {
            return Worker::named(name).map(|worker| Base::Program(Program::Built(worker)));
        }
        if !self.buildable() {
            return Ok(Base::Unwanted);
        }
        let commit = match commit {
            Ok(commit) => commit.to_owned(),
            Err(why) => return Ok(Base::OutOfReach(why)),
        };
        let repository = self.repository();
        match (&self.head_binary, &self.build_command, &self.candle) {
            (Some(product), Some(command), _) => {
                if product.is_absolute() {
                    return Err(Error::usage(
                        "with --build-command, --head-binary must be a path inside the repository",
                    ));
                }
                let (command, product, cache) = (command.clone(), product.clone(), self.cache.clone());
                let env = self.build_env.clone();
                Ok(Base::Program(Program::Commit(Build { repository, commit, command, env, product, cache })))
            }
            (None, _, Some(CandleSource::Checkout { .. })) => {
                Ok(Base::Program(self.against(Origin::Commit { repository, commit })))
            }
            (None, _, Some(head)) => self.base_of_git(head, &commit),
            _ => Ok(Base::Unwanted),
        }
    }

    /// The pull request changes which candle its configuration names: the base is the one that was named before.
    fn base_of_git(&self, head: &CandleSource, commit: &str) -> Result<Base> {
        let path = self.config.as_deref().unwrap_or(Path::new(config::FILE_NAME));
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let place = format!("{name} of {commit}");
        let text = git::file(directory, commit, &name).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(text) = text else {
            return Ok(Base::OutOfReach(format!("there is no {place}, which would name the base's candle")));
        };
        match config::candle_in(&text, place.clone(), directory) {
            Ok(Some(base)) if base == *head => Ok(Base::OutOfReach(format!("{place} names the same candle"))),
            Ok(Some(base @ CandleSource::Git { .. })) => Ok(Base::Program(self.against(origin(&base)))),
            Ok(Some(base)) => Ok(Base::OutOfReach(format!("{place} names the candle {base}, not a commit"))),
            Ok(None) => Ok(Base::Program(itself()?)),
            Err(error) => Ok(Base::OutOfReach(error.message().to_owned())),
        }
    }

    fn against(&self, origin: Origin) -> Program {
        let (source, env, cache) = (self.source.clone(), self.build_env.clone(), self.cache.clone());
        Program::Candle(Candle { origin, source, env, cache })
    }
}

fn origin(candle: &CandleSource) -> Origin {
    match candle {
        CandleSource::Checkout { path } => Origin::Checkout(path.clone()),
        CandleSource::Git { git, rev } => Origin::Git { url: git.clone(), rev: rev.clone() },
    }
}

fn itself() -> Result<Program> {
    Worker::this().map(Program::Built)
}
