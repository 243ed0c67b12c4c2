//! A comparison of a program with itself: what the machine does, and no verdict.

use super::calibration;
use super::case_table::{self, Cases};
use super::commit_names::short_commit;
use crate::calibrate::calibrate;
use crate::compare::{Comparison, Row, Tier};
use crate::number::{counted, percent};
use crate::page::{Block, Icon, Line, code, line};

/// Is it one, and is there anything to say of the machine?
pub fn applies(comparison: &Comparison) -> bool {
    comparison.same_program.is_some() && !comparison.judges_nothing()
}

/// `The same program on both sides: what differs (up to 27%) is the machine's`
pub fn answer(comparison: &Comparison) -> Line {
    let changes = comparison.rows.iter().filter_map(|row| Some(row.change()?.abs()));
    let largest = changes.reduce(|a, b| if b > a { b } else { a });
    let size = largest.map_or_else(Line::default, |largest| line![" (up to ", percent(largest), ")"]);
    line![Icon::SelfCheck, "The same program on both sides: what differs", size, " is the machine's"]
}

/// What is known of the program, and what follows.
pub fn sentence(comparison: &Comparison) -> Option<Line> {
    let commit = comparison.same_program.as_ref()?.commit.as_deref().map(short_commit).unwrap_or_default();
    let which = if commit.is_empty() { Line::default() } else { line![", built from ", code(&commit, 20)] };
    Some(line![
        "Base and head are one program",
        which,
        ": this is a self-check of the machine, in which nothing regresses."
    ])
}

/// What the machine can tell apart, and what it made of one program.
pub fn body(comparison: &Comparison) -> Vec<Block> {
    let runs = comparison.rows.iter().filter_map(runs_of).min().unwrap_or(1);
    let calibration = calibrate("", "", runs, runs, comparison);
    let cases = Cases::of(&comparison.rows);
    let all = cases.ranked(|_| true);
    let said = match comparison.tier {
        Tier::SameSession | Tier::Confirmed => calibration::verdict(&calibration),
        // What more runs of the same sessions would show isn't what moved.
        Tier::SingleBaseline | Tier::History => vec![calibration::apparent(&calibration.apparent), APART.into()],
    };
    let mut blocks = vec![Block::List(said)];
    let title =
        line![Icon::SelfCheck, "Self-check, the same program as base and head (", counted(all.len(), "case"), ")"];
    blocks.extend(Block::fold(title, cases.table(&all, case_table::noise)));
    blocks
}

const APART: &str = "The sessions are apart, so the machine's drift between them is in every difference. Two builds measured \
                     interleaved in one session share it.";

fn runs_of(row: &Row) -> Option<u32> {
    u32::try_from(row.sides.base?.n.min(row.sides.head?.n)).ok()
}
