//! The same program on both sides: what differs between them is the machine's, and nobody's regression.

use std::collections::{BTreeSet, HashMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model_of_case::may_differ;
use super::{ComparedCounters, Comparison, Conclusion, Finding, Reading, Side};
use crate::case::Case;
use crate::results::{Outcome, Program, Results, Session, are_surely_the_same};

/// What both sides are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SameProgram {
    /// The commit that it was built from, where it says one; of an engine that is a program of its own, that engine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// The program of both sides, if it is certainly one: the same file, or the same commit without local changes and with the
/// same components. Two files of one commit that were measured in turn are two builds, and what differs is theirs.
pub fn same_program(base: &Side, head: &Side) -> Option<SameProgram> {
    let [engines_of_base, engines_of_head] =
        [base, head].map(|side| side.cases.iter().flat_map(|case| &case.engines).collect::<Vec<&Program>>());
    let same = are_surely_the_same(&engines_of_base, &engines_of_head);
    let same = same && one_model(cases_of_side(base), cases_of_side(head));
    same.then(|| one_program(&of_side(base), &of_side(head)))?.map(|same| same.or_engines(&engines_of_head))
}

/// The same of results.
pub fn same_program_of(base: &Results, head: &Results) -> Option<SameProgram> {
    let [engines_of_base, engines_of_head] =
        [base, head].map(|results| results.sessions.iter().flat_map(Session::engines).collect::<Vec<&Program>>());
    let same = are_surely_the_same(&engines_of_base, &engines_of_head);
    let same = same && one_model(cases_of_results(base), cases_of_results(head));
    same.then(|| one_program(&of_results(base), &of_results(head)))?.map(|same| same.or_engines(&engines_of_head))
}

impl SameProgram {
    /// Where engines of others ran: built from their commit, if it is one, as it is they that were measured.
    fn or_engines(self, engines: &[&Program]) -> Self {
        let commits: BTreeSet<_> = engines.iter().map(|engine| &engine.commit).collect();
        match (commits.first(), commits.len()) {
            (None, _) => self,
            (Some(&commit), 1) => Self { commit: commit.clone() },
            _ => Self { commit: None },
        }
    }
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

/// Those that were measured.
fn cases_of_side(side: &Side) -> impl Iterator<Item = &Case> {
    side.cases.iter().filter(|case| case.runs > 0).filter_map(|case| case.case.as_deref())
}

/// Those that were measured.
fn cases_of_results(results: &Results) -> impl Iterator<Item = &Case> {
    let runs = results.sessions.iter().flat_map(|session| &session.runs);
    let measured = runs.filter(|run| matches!(run.outcome, Outcome::Ok(_))).map(|run| run.case.as_str());
    let measured: HashSet<&str> = measured.collect();
    results.cases.iter().filter(move |case| measured.contains(case.id.as_str()))
}

/// What other weights change, such as the time to the end of an answer, isn't the machine's.
fn one_model<'a>(base: impl Iterator<Item = &'a Case>, mut head: impl Iterator<Item = &'a Case>) -> bool {
    let base: HashMap<&str, &Case> = base.map(|case| (case.id.as_str(), case)).collect();
    head.all(|head| base.get(head.id.as_str()).is_none_or(|base| !may_differ(base, head)))
}

fn one_program(base: &[Measured], head: &[Measured]) -> Option<SameProgram> {
    let (first, _) = (base.first()?, head.first()?);
    let all = || base.iter().chain(head);
    let files: BTreeSet<Option<&str>> = all().map(|measured| measured.file).collect();
    let one_file = files.len() == 1 && !files.contains(&None);
    let one_commit = first.program.is_certain() && all().all(|measured| measured.program == first.program);
    let interleaved = head.iter().any(|of_head| base.iter().any(|of_base| of_base.session == of_head.session));
    let two_builds = files.iter().flatten().count() > 1 && interleaved;
    (one_file || (one_commit && !two_builds)).then(|| SameProgram { commit: first.program.commit.clone() })
}

impl Comparison {
    /// Says of every row that was compared that nothing can have changed in it.
    pub fn acquit(&mut self, program: Option<SameProgram>) {
        // What other settings change, which were allowed to differ, isn't the machine's.
        let other_work = self.differences.iter().any(|differing| differing.blocks && differing.is_of_settings());
        self.same_program = program.filter(|_| !other_work);
        if self.same_program.is_none() {
            return;
        }
        self.counters.iter_mut().for_each(ComparedCounters::acquit);
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
