//! Engines that differ from side to side: each side's are those of a checkout of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::case::Case;
use crate::engine::ModelSpec;
use crate::results::Measurement;

/// The engines of a checkout, and how they are started there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnginesOfSide {
    /// Where they are started, and from where paths in their commands start.
    pub directory: PathBuf,
    /// What is checked out there, with `-dirty` when it has changes.
    pub commit: Option<String>,
    /// What starts them, by case. Cases that aren't here run on what the suite says.
    pub commands: BTreeMap<String, Vec<String>>,
}

impl EnginesOfSide {
    /// The model with this side's engine.
    pub(super) fn of(&self, spec: &ModelSpec, cases: &[Case]) -> ModelSpec {
        match cases.iter().find_map(|case| self.commands.get(&case.id)) {
            Some(command) => {
                ModelSpec { command: command.clone(), start_directory: Some(self.directory.clone()), ..spec.clone() }
            }
            None => spec.clone(),
        }
    }

    /// Of which commit an engine is: what is checked out says it, and not the engine, which may say what it likes.
    pub(super) fn sign(&self, case: &str, measured: &mut Measurement) {
        if let Some(engine) = measured.program.as_mut().filter(|_| self.commands.contains_key(case)) {
            engine.commit.clone_from(&self.commit);
        }
    }
}
