//! What is measured as head and base: programs that are there, or that are built when they are needed.

use std::path::{Path, PathBuf};

use super::base_error::BaseError;
use crate::config::{self, CandleSource, Suite};
use crate::error::{Advice, Error, Result, sentence};
use crate::git;
use crate::measure::Worker;
use crate::programs::{Build, Candle, Origin, OwnEngines, Program, Source};

/// What the flags and the configuration say about head and base.
#[derive(Debug)]
pub enum Sides {
    /// Programs that are there. The head is this very program where none is named.
    Binaries {
        head: Option<PathBuf>,
        base: Option<PathBuf>,
    },
    Command(BuiltByCommand),
    Candle(BuiltAgainstCandle),
    /// Both are this very program, which starts the engines of the pull request and of its base.
    Engines(Box<OwnEngines>),
}

/// What was said, before it is known what follows from it.
#[derive(Debug)]
pub struct Said {
    pub head: Option<PathBuf>,
    pub base: Option<PathBuf>,
    pub build_command: Option<String>,
    /// Variables of ours that building gets, beside those that it always gets.
    pub env: Vec<String>,
    pub candle: Option<CandleSource>,
    /// Engines of the suite that are of this repository.
    pub engines: Option<OwnEngines>,
    /// The configuration file.
    pub config: Option<PathBuf>,
    pub source: Source,
    /// Where builds are kept.
    pub cache: PathBuf,
}

/// The base is built from a commit.
#[derive(Debug)]
pub struct BuiltByCommand {
    pub command: String,
    /// The head; in the commit's work tree, the base.
    pub product: PathBuf,
    /// Variables of ours that building gets, beside those that it always gets.
    pub env: Vec<String>,
    /// Where builds are kept.
    pub cache: PathBuf,
}

/// Both are bench-diff, built against candle.
#[derive(Debug)]
pub struct BuiltAgainstCandle {
    /// The head's candle.
    pub candle: CandleSource,
    /// A program in place of a build against the base's candle.
    pub base: Option<PathBuf>,
    /// The configuration file: the base's names the base's candle.
    pub config: Option<PathBuf>,
    pub source: Source,
    /// Variables of ours that building gets, beside those that it always gets.
    pub env: Vec<String>,
    /// Where builds are kept.
    pub cache: PathBuf,
}

/// The base, or why there is none.
#[derive(Debug)]
pub enum Base {
    Program(Program),
    /// Nothing says how to make one.
    Unwanted,
    /// There is none, and why, in one sentence.
    Absent(String),
    /// There is one, and why it can't be made, in one sentence.
    OutOfReach(String),
}

/// A program that is named outweighs the configuration's candle, and both the suite's engines.
impl From<Said> for Sides {
    fn from(Said { head, base, build_command, env, candle, engines, config, source, cache }: Said) -> Self {
        match (head, build_command, candle) {
            (Some(product), Some(command), _) => Self::Command(BuiltByCommand { command, product, env, cache }),
            (None, _, Some(candle)) => Self::Candle(BuiltAgainstCandle { candle, base, config, source, env, cache }),
            (head, _, _) => match engines.filter(|_| head.is_none() && base.is_none()) {
                Some(engines) => Self::Engines(Box::new(engines)),
                None => Self::Binaries { head, base },
            },
        }
    }
}

impl Base {
    /// A base that would start the head's engine says nothing about it.
    #[must_use]
    pub fn without_engines_of_others(self, suite: &Suite) -> Self {
        match self {
            Self::Program(Program::Engines(_)) => self,
            Self::Program(_) if suite.has_engines_of_others() => Self::OutOfReach(
                "the suite's engine is a program of its own, and the base would start the head's: compare it with a baseline"
                    .to_owned(),
            ),
            base => base,
        }
    }
}

impl Sides {
    pub fn head(&self, suite: &Suite) -> Result<Program> {
        match self {
            Self::Binaries { head: None, .. } => Worker::this_for(suite).map(Program::Built),
            Self::Binaries { head: Some(program), .. } => named(program),
            Self::Command(BuiltByCommand { product, .. }) if product.is_absolute() => {
                Err(Error::usage("with --build-command, --head-binary must be a path inside the repository"))
            }
            Self::Command(BuiltByCommand { product, .. }) => named(product),
            Self::Candle(built) => Ok(built.against(origin(&built.candle))),
            Self::Engines(engines) => Worker::this_for(suite).map(|_| engines.in_work_tree()),
        }
    }

    /// The engines that are measured, where these are the repository's own.
    pub fn engines(&self) -> Option<&OwnEngines> {
        if let Self::Engines(engines) = self { Some(engines) } else { None }
    }

    /// The repository whose history says where the branch began.
    pub fn repository(&self) -> PathBuf {
        match self {
            Self::Candle(BuiltAgainstCandle { candle: CandleSource::Checkout { path }, .. }) => path.clone(),
            _ => PathBuf::from("."),
        }
    }

    /// What is built against the very candle that the configuration of that commit names, has nothing of what came after it.
    pub fn names_the_candle_of(&self, commit: &str) -> bool {
        let Self::Candle(built @ BuiltAgainstCandle { candle: CandleSource::Git { .. }, .. }) = self else {
            return false;
        };
        matches!(built.named_at(commit), (_, Some(Ok(Some(candle)))) if candle == built.candle)
    }

    /// `commit` is where the branch began, or why that isn't known.
    pub fn base(&self, commit: &Result<String, BaseError>) -> Result<Base> {
        match (self, commit) {
            (
                Self::Binaries { base: Some(program), .. }
                | Self::Candle(BuiltAgainstCandle { base: Some(program), .. }),
                _,
            ) => named(program).map(Base::Program),
            (Self::Binaries { base: None, .. }, _) => Ok(Base::Unwanted),
            (_, Err(why)) if why.is_absence() => Ok(Base::Absent(why.in_one_line())),
            (_, Err(why)) => Ok(Base::OutOfReach(why.in_one_line())),
            (Self::Command(built), Ok(commit)) => Ok(Base::Program(built.base(self.repository(), commit))),
            (Self::Candle(built), Ok(commit)) => built.base(self.repository(), commit),
            (Self::Engines(engines), Ok(commit)) => Ok(match engines.at_commit(&self.repository(), commit) {
                Ok(program) => Base::Program(program),
                Err(why) => Base::Absent(why.to_string()),
            }),
        }
    }
}

impl BuiltByCommand {
    fn base(&self, repository: PathBuf, commit: &str) -> Program {
        let Self { command, product, env, cache } = self;
        Program::Commit(Build {
            repository,
            commit: commit.to_owned(),
            command: command.clone(),
            env: env.clone(),
            product: product.clone(),
            cache: cache.clone(),
        })
    }
}

impl BuiltAgainstCandle {
    fn base(&self, repository: PathBuf, commit: &str) -> Result<Base> {
        match &self.candle {
            CandleSource::Git { .. } => self.base_of_git(commit),
            CandleSource::Checkout { .. } => {
                let origin = Origin::Commit { repository, commit: commit.to_owned() };
                Ok(Base::Program(self.against(origin)))
            }
        }
    }

    /// The pull request changes which candle its configuration names: the base is the one that was named before.
    fn base_of_git(&self, commit: &str) -> Result<Base> {
        let (place, named) = self.named_at(commit);
        let Some(named) = named else {
            return Ok(Base::Absent(format!("there is no {place}, which would name the base's candle")));
        };
        match named {
            Ok(Some(base)) if base == self.candle => Ok(Base::Absent(format!("{place} names the same candle"))),
            Ok(Some(base @ CandleSource::Git { .. })) => Ok(Base::Program(self.against(origin(&base)))),
            Ok(Some(base)) => Ok(Base::OutOfReach(format!("{place} names the candle {base}, not a commit"))),
            Ok(None) => Ok(Base::Program(itself()?)),
            Err(error) => Ok(Base::OutOfReach(sentence(&error))),
        }
    }

    /// The candle that the configuration of that commit names, if there is one; and what to call that configuration.
    fn named_at(&self, commit: &str) -> (String, Option<Result<Option<CandleSource>>>) {
        let path = self.config.as_deref().unwrap_or(Path::new(config::FILE_NAME));
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let place = format!("{name} of {commit}");
        let text = git::file(directory, commit, &name).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let named = text.map(|text| config::candle_in(&text, place.clone(), directory));
        (place, named)
    }

    fn against(&self, origin: Origin) -> Program {
        let Self { source, env, cache, .. } = self;
        Program::Candle(Candle { origin, source: source.clone(), env: env.clone(), cache: cache.clone() })
    }
}

fn origin(candle: &CandleSource) -> Origin {
    match candle {
        CandleSource::Checkout { path } => Origin::Checkout(path.clone()),
        CandleSource::Git { git, rev } => Origin::Git { url: git.clone(), rev: rev.clone() },
    }
}

fn named(program: &Path) -> Result<Program> {
    Worker::named(program).map(Program::Built)
}

fn itself() -> Result<Program> {
    Worker::this().map(Program::Built)
}
