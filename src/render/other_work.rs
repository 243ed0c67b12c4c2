//! Where base and head did other work in a case, such as by an implementation of another name: that is no fault of the machine,
//! nor of how it was measured, and measuring again changes nothing.

use super::{SENTENCE, Sides};
use crate::compare::{Comparison, ReasonCode, Row, Tier, Verdict, in_short, wording};
use crate::page::{Line, command, foreign, line};

/// Differences named; the others are in the rows.
const MOST: usize = 3;

/// All that couldn't be compared is of such cases.
pub fn applies(comparison: &Comparison) -> bool {
    let mut rows = incomparable(comparison).peekable();
    let is_of_case = |row: &Row| row.finding.reason_code().is_some_and(|code| code == ReasonCode::CaseDiffers);
    rows.peek().is_some() && rows.all(is_of_case)
}

fn incomparable(comparison: &Comparison) -> impl Iterator<Item = &Row> {
    comparison.rows.iter().filter(|row| row.verdict() == Verdict::NotComparable)
}

/// Of another model, how many settings differ: which these are is with its rows.
/// `implementation that ran fast → quick`
pub fn differences(comparison: &Comparison) -> Line {
    let mut said: Vec<String> = Vec::new();
    for difference in incomparable(comparison).map(wording::reason) {
        let difference = in_short(&difference);
        if !said.iter().any(|known| known == difference) {
            said.push(difference.to_owned());
        }
    }
    let more = if said.len() > MOST { "; and more" } else { "" };
    Line::joined(said.iter().take(MOST).map(|difference| foreign(difference, SENTENCE)), "; ").and(more)
}

/// How the sides were measured, and why that tells nothing.
pub fn basis(comparison: &Comparison, sides: Sides) -> Line {
    let how = match comparison.tier {
        Tier::SameSession | Tier::Confirmed => " were measured interleaved in one session, but did other work.",
        Tier::History | Tier::SingleBaseline => " did other work.",
    };
    line!["Base and ", sides.head, how]
}

/// For who can let both do the same, or compare them as they are.
pub fn step() -> Line {
    line![
        "let base and head do the same work; if only a name changed, compare their results with ",
        command("--allow-mismatch"),
        "."
    ]
}

/// For who reads a pull request, where only a maintainer can say that it is meant so.
pub fn step_of_pull_request(replace: Line) -> Line {
    line![
        "if the pull request means to do other work, or only changed a name, a maintainer comments ",
        command("bench-accept: <reason>"),
        " and re-runs the check; after merging, start the baseline anew with ",
        replace,
        "."
    ]
}
