//! Engines of a repository's own, as a checkout or a commit of it has them: this very program measures, and starts them
//! there.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::building::{BuildError, run_list};
use crate::error::{Error, Result};
use crate::files;
use crate::git;
use crate::hex::hex;
use crate::measure::{EnginesOfSide, Worker};

/// How the engine of some cases is made and started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Their ids.
    pub cases: Vec<String>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What builds it, and that program's arguments; empty where the checkout is all that it takes.
    pub build: Vec<String>,
}

/// How engines become ready to be started.
#[derive(Debug, Clone)]
pub struct EngineBuild {
    /// Where their sources are.
    pub tree: Tree,
    /// From its root to where they are built and started.
    pub prefix: PathBuf,
    /// An engine each.
    pub recipes: Vec<Recipe>,
    /// Words of commands that are files of the checkout: what lacks one can't be started.
    pub files: Vec<String>,
    /// Variables of ours that builds get, beside those that they always get.
    pub env: Vec<String>,
    /// Where builds are kept.
    pub cache: PathBuf,
}

/// Where an engine's sources are.
#[derive(Debug, Clone)]
pub enum Tree {
    /// A checkout as it is, with its changes. It is built each time: whoever builds knows what is up to date.
    Checkout(PathBuf),
    /// A commit of a clone. It is checked out and built once.
    Commit {
        /// A directory of the clone.
        repository: PathBuf,
        /// Its full name.
        commit: String,
    },
}

impl EngineBuild {
    pub(super) fn worker(&self) -> Result<Worker> {
        let (root, commit) = match &self.tree {
            Tree::Checkout(root) => (root.clone(), git::head_commit(root).ok()),
            Tree::Commit { repository, commit } => (self.checked_out(repository, commit)?, Some(commit.clone())),
        };
        let directory = root.join(&self.prefix);
        let built = root.join(".git").join(BUILT);
        if !(self.is_kept() && built.exists()) {
            self.build(&directory)?;
        }
        self.check(&directory)?;
        if self.is_kept() {
            files::write(&built, |_| Ok(()))?;
        }
        let commands = self
            .recipes
            .iter()
            .flat_map(|recipe| recipe.cases.iter().map(|case| (case.clone(), recipe.command.clone())));
        let directory = std::path::absolute(&directory).unwrap_or(directory);
        Ok(Worker::this()?.starting(EnginesOfSide { directory, commit, commands: commands.collect() }))
    }

    pub(super) fn is_kept(&self) -> bool {
        matches!(self.tree, Tree::Commit { .. })
    }

    /// The commit in a work tree of its own, for the builds of these recipes.
    fn checked_out(&self, repository: &Path, commit: &str) -> Result<PathBuf> {
        let builds: Vec<&Vec<String>> = self.recipes.iter().map(|recipe| &recipe.build).collect();
        let which = hex(&Sha256::digest(format!("{builds:?} in {}", self.prefix.display()))[..6]);
        let directory = self.cache.join(format!("{commit}-engine-{which}"));
        // What was interrupted before it was built is begun anew.
        if !directory.join(".git").join(BUILT).exists() {
            git::work_tree(repository, commit, &directory)?;
        }
        Ok(directory)
    }

    /// Each command once.
    fn build(&self, directory: &Path) -> Result<()> {
        let mut done: Vec<&Vec<String>> = Vec::new();
        for build in self.recipes.iter().map(|recipe| &recipe.build) {
            if !build.is_empty() && !done.contains(&build) {
                tracing::info!("building {} with `{}`", directory.display(), build.join(" "));
                let failed = |why: BuildError| {
                    Error::measurement(format!("can't build {} with `{}`", self.name(), build.join(" ")))
                        .because_of(why)
                };
                run_list(directory, build, &self.env).map_err(failed)?;
                done.push(build);
            }
        }
        Ok(())
    }

    /// What is to be started must be there.
    fn check(&self, directory: &Path) -> Result<()> {
        for Recipe { command, build, .. } in &self.recipes {
            let lacking = command.iter().enumerate().find(|(index, word)| {
                let is_path = (*index == 0 && word.contains('/')) || self.files.contains(word);
                is_path && !directory.join(word).is_file()
            });
            let Some((_, word)) = lacking else { continue };
            let (name, build) = (self.name(), build.join(" "));
            let why = if build.is_empty() { "" } else { &format!(", also after `{build}`") };
            return Err(Error::usage(format!("{name} has no {word}, which `command` names{why}"))
                .hint("paths in `command` start from the configuration file"));
        }
        Ok(())
    }

    /// What is built, for a person.
    fn name(&self) -> String {
        match &self.tree {
            Tree::Checkout(root) if git::same_repository(root, Path::new(".")) => "this checkout".to_owned(),
            Tree::Checkout(root) => root.display().to_string(),
            Tree::Commit { commit, .. } => format!("commit {commit}"),
        }
    }
}

/// In a work tree's git directory: it was built to the end.
const BUILT: &str = "bench-diff-built";
