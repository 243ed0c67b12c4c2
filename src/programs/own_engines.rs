//! Which engines of a suite are of the repository that it lies in: what builds them is known, or the checkout holds them.
//!
//! Each side is built and started as the configuration of its own commit says, for how a program is built and started is a
//! part of it. Where that configuration has no engine for a model, this one's holds.

use std::path::{Path, PathBuf};

use super::{EngineBuild, Program, Recipe, Tree};
use crate::config::{self, Selection, Suite, SuiteModel};
use crate::device::Machine;
use crate::engine;
use crate::git;

/// The engines of a suite that are of its repository, and how to have them of any state of it.
#[derive(Debug, Clone)]
pub struct OwnEngines {
    suite: Suite,
    selection: Selection,
    /// The configuration file's directory, or where we are.
    directory: PathBuf,
    /// From the repository's root to that directory.
    prefix: PathBuf,
    /// Variables of ours that builds get, beside those that they always get.
    env: Vec<String>,
    /// Where builds are kept.
    cache: PathBuf,
}

/// A commit that has no such engine.
#[derive(Debug, thiserror::Error)]
pub enum NoEngine {
    #[error("this repository has no commit {0}")]
    Commit(String),
    #[error("{commit} has no {file}, which `command` names")]
    File { commit: String, file: String },
}

impl OwnEngines {
    /// Those of `suite`; `None` where it has none.
    pub fn of(suite: &Suite, selection: &Selection, env: &[String], cache: PathBuf) -> Option<Self> {
        let directory = config::directory(selection.config.as_deref());
        let directory = if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory };
        let top = git::top(&directory).ok()?;
        // A configuration of another repository starts what it likes, and none of it is of this one.
        let here = git::top(Path::new(".")).is_ok_and(|here| here == top);
        let prefix = directory.canonicalize().ok()?.strip_prefix(&top).ok()?.to_owned();
        let (suite, selection, env) = (suite.clone(), selection.clone(), env.to_vec());
        let own = Self { suite, selection, directory, prefix, env, cache };
        (here && own.models().next().is_some()).then_some(own)
    }

    /// Nothing else runs a model of the suite.
    pub fn are_all(&self) -> bool {
        self.models().count() == self.suite.models.len()
    }

    /// As the working tree has them.
    pub fn in_work_tree(&self) -> Program {
        let root = git::top(&self.directory).unwrap_or_else(|_| self.directory.clone());
        self.program(Tree::Checkout(root), self.recipes(None))
    }

    /// As another checkout has them.
    pub fn in_checkout(&self, root: PathBuf) -> Program {
        let text = self.config_name().and_then(|name| config::text(&root.join(&self.prefix).join(name)).ok());
        let suite = text.and_then(|text| self.suite_in(&text, &root.display().to_string()));
        self.program(Tree::Checkout(root), self.recipes(suite.as_ref()))
    }

    /// As a commit has them.
    pub fn at_commit(&self, repository: &Path, commit: &str) -> Result<Program, NoEngine> {
        if git::commit(repository, commit).is_err() {
            return Err(NoEngine::Commit(commit.to_owned()));
        }
        let name = self.config_name();
        let text = name.and_then(|name| git::file(&self.directory, commit, &name).ok());
        let suite = text.and_then(|text| self.suite_in(&String::from_utf8(text).ok()?, commit));
        if suite.as_ref().is_none_or(|suite| suite.models.iter().all(|model| !runs_a_program(model))) {
            self.check(commit)?;
        }
        let tree = Tree::Commit { repository: repository.to_owned(), commit: commit.to_owned() };
        Ok(self.program(tree, self.recipes(suite.as_ref())))
    }

    /// How each is started and built here, for people.
    pub fn described(&self) -> Vec<(String, Option<String>)> {
        let mut all = Vec::new();
        for Recipe { command, build, .. } in self.recipes(None) {
            let described = (command.join(" "), (!build.is_empty()).then(|| build.join(" ")));
            if !all.contains(&described) {
                all.push(described);
            }
        }
        all
    }

    /// The programs that are started and those that build, as they are named.
    pub fn tools(&self) -> Vec<String> {
        let recipes = self.recipes(None);
        recipes.iter().flat_map(|recipe| [recipe.command.first(), recipe.build.first()]).flatten().cloned().collect()
    }

    fn program(&self, tree: Tree, recipes: Vec<Recipe>) -> Program {
        let (prefix, env, cache) = (self.prefix.clone(), self.env.clone(), self.cache.clone());
        Program::Engines(EngineBuild { tree, prefix, recipes, files: self.files(), env, cache })
    }

    /// Those of the suite's models that are of this repository.
    fn models(&self) -> impl Iterator<Item = &SuiteModel> {
        let is_own = |model: &&SuiteModel| {
            runs_a_program(model) && (model.build.is_some() || model.spec.command.iter().any(|word| self.holds(word)))
        };
        self.suite.models.iter().filter(is_own)
    }

    /// An engine for each model, as `other` has it or, where that has none, as the suite does.
    fn recipes(&self, other: Option<&Suite>) -> Vec<Recipe> {
        let recipe = |model: &SuiteModel| {
            let source = other.and_then(|other| counterpart(model, other)).unwrap_or(model);
            Recipe {
                cases: model.cases.iter().map(|case| case.id.clone()).collect(),
                command: source.spec.command.clone(),
                build: source.build.clone().unwrap_or_default(),
            }
        };
        self.models().map(recipe).collect()
    }

    /// Words of the commands that are files here.
    fn files(&self) -> Vec<String> {
        let words = self.models().flat_map(|model| &model.spec.command);
        words.filter(|word| self.holds(word)).cloned().collect()
    }

    /// Is it a file of this checkout, by its path from the configuration?
    fn holds(&self, word: &str) -> bool {
        is_file_of(&self.directory, word)
    }

    /// Where a commit's configuration has no engine, what needs no building must be there.
    fn check(&self, commit: &str) -> Result<(), NoEngine> {
        for model in self.models().filter(|model| model.build.as_ref().is_none_or(Vec::is_empty)) {
            for word in model.spec.command.iter().filter(|word| self.holds(word)) {
                let name = word.strip_prefix("./").unwrap_or(word);
                if git::file(&self.directory, commit, name).is_err() {
                    return Err(NoEngine::File { commit: commit.to_owned(), file: word.clone() });
                }
            }
        }
        Ok(())
    }

    fn config_name(&self) -> Option<String> {
        config::path(&self.selection)?.file_name()?.to_str().map(str::to_owned)
    }

    /// The same suite in another configuration. One that can't be read has none.
    fn suite_in(&self, text: &str, of: &str) -> Option<Suite> {
        let selection = Selection { suite: Some(self.suite.name.clone()), ..self.selection.clone() };
        config::suite_in(text, of, &self.directory, &selection, &Machine::here()).ok()
    }
}

/// Is that word of a command a file of the checkout that `directory`, where the command is started, is in?
pub fn is_file_of(directory: &Path, word: &str) -> bool {
    let path = Path::new(word);
    let is_name = path.is_relative() && !word.starts_with('-') && directory.join(path).is_file();
    is_name && git::same_repository(directory, directory.join(path).parent().unwrap_or(path))
}

fn runs_a_program(model: &SuiteModel) -> bool {
    model.spec.engine.as_str() == engine::command::NAME
}

/// The same model in another suite, where it runs on a program there.
fn counterpart<'a>(model: &SuiteModel, other: &'a Suite) -> Option<&'a SuiteModel> {
    let models = || other.models.iter().filter(|other| runs_a_program(other));
    let same_case =
        |other: &&SuiteModel| other.cases.iter().any(|case| model.cases.iter().any(|mine| mine.id == case.id));
    models().find(same_case).or_else(|| models().find(|other| other.spec.model == model.spec.model))
}
