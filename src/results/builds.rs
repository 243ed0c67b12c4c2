//! Which sessions are of one build.

use super::{Outcome, Program, Run, Session};

impl Session {
    /// What was measured: the engine, where every run is of one that is a program of its own; else what measured it.
    pub fn measured(&self) -> &Program {
        let of_engine = |run: &Run| match &run.outcome {
            Outcome::Ok(measured) => measured.program.is_some(),
            Outcome::Failed(_) => true,
        };
        match self.engines()[..] {
            [engine] if self.runs.iter().all(of_engine) => engine,
            _ => &self.program,
        }
    }

    /// Certainly of the same build: of one file, or of one commit without local changes.
    pub fn is_surely_of_one_build_with(&self, other: &Self) -> bool {
        let same_file = self.program_sha256.is_some() && self.program_sha256 == other.program_sha256;
        self.has_engines_of(other) && (same_file || self.program.is_certain() && self.program == other.program)
    }

    /// By what the programs say alone: of one commit without local changes.
    pub fn is_named_as_one_build_with(&self, other: &Self) -> bool {
        self.has_engines_of(other) && self.program.is_certain() && self.program == other.program
    }

    fn has_engines_of(&self, other: &Self) -> bool {
        are_surely_the_same(&self.engines(), &other.engines())
    }

    /// The engines that are programs of their own, each once.
    pub fn engines(&self) -> Vec<&Program> {
        let mut engines: Vec<&Program> = Vec::new();
        for run in &self.runs {
            let Outcome::Ok(measured) = &run.outcome else { continue };
            let Some(engine) = &measured.program else { continue };
            if !engines.contains(&engine) {
                engines.push(engine);
            }
        }
        engines
    }
}

impl Program {
    /// Its commit says all about it: nothing of it, or of what it is built on, was changed locally.
    pub fn is_certain(&self) -> bool {
        let clean = |commit: &String| !commit.is_empty() && !commit.ends_with("-dirty");
        let mut components = self.components.values().filter_map(|component| component.commit.as_ref());
        self.commit.as_ref().is_some_and(clean) && components.all(clean)
    }
}

/// The same engines on both sides: what a program is, is its own to say, so only a clean commit makes two of them one.
pub fn are_surely_the_same(base: &[&Program], head: &[&Program]) -> bool {
    let known = |of: &[&Program], among: &[&Program]| of.iter().all(|it| it.is_certain() && among.contains(it));
    known(base, head) && known(head, base)
}
