//! The same program on both sides: what differs between them is the machine's, and nobody's regression.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Comparison, Conclusion, Finding, Reading, Side};
use crate::results::{Outcome, Program, Results};

/// What both sides are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SameProgram {
    /// The commit that it was built from, where it says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// The program of both sides, if it is certainly one: the same file, or the same commit without local changes and with the
/// same components. Two files of one commit that were measured in turn are two builds, and what differs is theirs.
pub fn same_program(base: &Side, head: &Side) -> Option<SameProgram> {
    let engines = |side: &Side| side.cases.iter().flat_map(|case| case.engines.clone()).collect::<Vec<Program>>();
    are_one(&engines(base), &engines(head)).then(|| one_program(&of_side(base), &of_side(head)))?
}

/// The same of results.
pub fn same_program_of(base: &Results, head: &Results) -> Option<SameProgram> {
    are_one(&engines(base), &engines(head)).then(|| one_program(&of_results(base), &of_results(head)))?
}

fn engines(results: &Results) -> Vec<Program> {
    let runs = results.sessions.iter().flat_map(|session| &session.runs);
    let measured = runs.filter_map(|run| match &run.outcome {
        Outcome::Ok(measured) => measured.program.clone(),
        Outcome::Failed(_) => None,
    });
    measured.collect()
}

/// Engines that are programs of their own: what they are is theirs to say, so only a clean commit makes them one.
fn are_one(base: &[Program], head: &[Program]) -> bool {
    let known =
        |of: &[Program], other: &[Program]| of.iter().all(|engine| is_certain(engine) && other.contains(engine));
    known(base, head) && known(head, base)
}

/// A session, and what it is of.
struct Measured<'a> {
    session: &'a str,
    program: &'a Program,
    file: Option<&'a str>,
}

impl<'a> Measured<'a> {
    fn of(session: &'a str, program: &'a Program, file: Option<&'a str>) -> Self {
        Self { session, program, file }
    }
}

fn of_side(side: &Side) -> Vec<Measured<'_>> {
    let sessions = side.sessions.iter();
    sessions.map(|it| Measured::of(&it.id, &it.program, it.program_sha256.as_deref())).collect()
}

fn of_results(results: &Results) -> Vec<Measured<'_>> {
    let sessions = results.sessions.iter();
    sessions.map(|it| Measured::of(&it.id, &it.program, it.program_sha256.as_deref())).collect()
}

fn one_program(base: &[Measured], head: &[Measured]) -> Option<SameProgram> {
    let (first, _) = (base.first()?, head.first()?);
    let all = || base.iter().chain(head);
    let files: BTreeSet<Option<&str>> = all().map(|measured| measured.file).collect();
    let one_file = files.len() == 1 && !files.contains(&None);
    let one_commit = is_certain(first.program) && all().all(|measured| measured.program == first.program);
    let interleaved = head.iter().any(|of_head| base.iter().any(|of_base| of_base.session == of_head.session));
    let two_builds = files.iter().flatten().count() > 1 && interleaved;
    (one_file || (one_commit && !two_builds)).then(|| SameProgram { commit: first.program.commit.clone() })
}

/// Its commit says all about it: nothing of it was changed locally.
fn is_certain(program: &Program) -> bool {
    let clean = |commit: &String| !commit.is_empty() && !commit.ends_with("-dirty");
    let mut components = program.components.values().filter_map(|component| component.commit.as_ref());
    program.commit.as_ref().is_some_and(clean) && components.all(clean)
}

impl Comparison {
    /// Says of every row that was compared that nothing can have changed in it.
    pub fn acquit(&mut self, program: Option<SameProgram>) {
        self.same_program = program;
        if self.same_program.is_none() {
            return;
        }
        for row in &mut self.rows {
            match &mut row.finding {
                Finding::Tested(tested) => tested.conclusion = Conclusion::SameProgram,
                // What stays within the limits of memory needs no excuse.
                Finding::Ranges(ranges) if ranges.reading == Reading::Unchanged => {}
                Finding::Ranges(ranges) => ranges.reading = Reading::SameProgram,
                Finding::Untestable { .. } | Finding::NotComparable(_) => {}
            }
        }
        self.summarize();
    }
}
