//! The local baseline: what an earlier `ci` on this machine left, for repositories that have no committed one yet.

use std::path::{Path, PathBuf};

use crate::baseline::{Change, Store};
use crate::compare::{self, Side};
use crate::config::Suite;
use crate::error::{Error, Result, sentence};
use crate::files::{self, Folder, Output};
use crate::measure::Worker;
use crate::results::Results;

/// The directory that bench-diff keeps to itself, beside the configuration. Git ignores it.
#[derive(Debug, Clone)]
pub struct Local {
    directory: PathBuf,
}

impl Local {
    /// That of the configuration in `parent`.
    pub fn in_directory(parent: &Path) -> Self {
        Self { directory: parent.join(".bench-diff") }
    }

    /// Where the last measurement's files go, unless the caller wants them elsewhere.
    pub fn latest(&self) -> PathBuf {
        self.directory.join("latest")
    }

    /// Where the last measurement of two programs that somebody named goes.
    pub fn between_two(&self) -> PathBuf {
        self.directory.join("ab")
    }

    /// Where programs that were built to be measured are kept.
    pub fn builds(&self) -> PathBuf {
        self.directory.join("builds")
    }

    /// Where the baselines of another commit go.
    pub fn of_base(&self, commit: &str) -> PathBuf {
        self.directory.join("base").join(commit)
    }

    /// Baselines that only this machine has.
    pub fn store(&self) -> Store {
        Store::new(self.directory.join("baselines"))
    }

    /// Where the program of a suite's local baseline is kept.
    fn program_path(&self, suite: &str, hardware: &str) -> PathBuf {
        self.directory.join("programs").join(suite).join(hardware)
    }

    /// The program that the local baseline is of, if it is still there.
    pub fn program(&self, suite: &str, hardware: &str) -> Option<Worker> {
        let path = self.program_path(suite, hardware);
        path.is_file().then(|| Worker::at(path))
    }

    /// The kept baseline, if it was measured with the suite's settings of today. If not, it will be replaced.
    pub fn find(&self, suite: &Suite, hardware: &str) -> Result<Option<Results>> {
        let Some(results) = self.store().find(&suite.name, hardware)? else { return Ok(None) };
        let now =
            Results { cases: suite.cases().cloned().collect(), settings: suite.settings.clone(), ..results.clone() };
        let ids = |results: &Results| results.cases.iter().map(|case| case.id.clone()).collect::<Vec<_>>();
        let same = ids(&results) == ids(&now)
            && compare::obstacles(&Side::from_results("kept", &results), &Side::from_results("now", &now)).is_empty();
        Ok(same.then_some(results))
    }

    /// Fails where a session could not be kept: before it is measured.
    pub fn check(&self, suite: &str) -> Result<()> {
        Folder::check(&self.store().root().join(suite))
    }

    /// Keeps a first session, and the program that was measured, if one is given. Returns a sentence that says what was done.
    pub fn start(&self, head: &Results, program: Option<&Worker>) -> Result<String> {
        let change = self.update(head, true)?;
        let to = self.program_path(&head.suite, &crate::baseline::hardware(head)?);
        let next = match program.map(|program| (program, copy(&program.path, &to))) {
            None => "compares with it".to_owned(),
            Some((_, Ok(()))) => "measures the new build beside this one, which is kept too".to_owned(),
            Some((program, Err(error))) => {
                format!("compares with it, as {} can't be kept: {}", program.path.display(), sentence(&error))
            }
        };
        Ok(format!(
            "kept as the local baseline in {}: the next `bench-diff ci` on this machine {next}",
            change.path.display()
        ))
    }

    /// Adds a session, if it is of the same program as the baseline; five occasions make a history. The baseline judges
    /// other programs, so it must not contain their sessions.
    pub fn extend(&self, base: &Results, head: &Results) -> Result<String> {
        let mut sessions = base.sessions.iter().chain(&head.sessions);
        let is_one = sessions.next().is_some_and(|first| sessions.all(|other| first.is_named_as_one_build_with(other)));
        if !is_one {
            // Two builds with local changes may differ although they name the same commit.
            let path = self.store().current(&base.suite, &crate::baseline::hardware(base)?)?;
            return Ok(format!(
                "compared with the local baseline, which stays as it is: it isn't surely of this very build; to start it \
                 anew: rm {}",
                path.display()
            ));
        }
        let change = self.update(head, false)?;
        Ok(format!("the same build as before: the local baseline now holds {}", change.occasions.in_words()))
    }

    fn update(&self, head: &Results, replace: bool) -> Result<Change> {
        self.hide()?;
        self.store().update(head.clone(), None, replace)
    }

    /// Makes git ignore the directory, wherever it is.
    pub fn hide(&self) -> Result<()> {
        let file = self.directory.join(".gitignore");
        if file.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.directory).map_err(|error| Error::writing(&self.directory, error))?;
        files::write(&file, |out| out.write_all(b"*\n"))
    }
}

/// Copies a program, and creates the directory for it.
fn copy(program: &Path, to: &Path) -> Result<()> {
    let failed = |error| Error::writing(to, error);
    std::fs::create_dir_all(to.parent().unwrap_or(to)).map_err(failed)?;
    Output::wait_for(to)?.copy(program).map_err(failed)
}
