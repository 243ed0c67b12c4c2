//! A comparison as a page: what `compare` prints, and the body of a pull request's comment.

use super::case_table::{self, Cases, Rank};
use super::reproduce::Again;
use super::{SENTENCE, Sides, details, facts, headline, next_step};
use crate::compare::{Comparison, Difference};
use crate::number::count;
use crate::page::{Block, Icon, Line, Page, foreign, line};

/// Warnings shown; a hostile report may have any number.
const WARNINGS: usize = 50;

/// Of two files; or with `again` of two programs, which can be measured again.
pub fn page(comparison: &Comparison, again: Option<&Again>) -> Page {
    let sides = Sides::FILES;
    let mut end = next_step::of_comparison(comparison, again);
    end.push(Block::Facts(facts::of_numbers(comparison)));
    Page {
        headline: headline::of_comparison(comparison),
        top: vec![Block::Paragraph(Line::joined(headline::sentences(comparison, sides), " "))],
        body: body(comparison, sides).into_iter().chain([warnings(comparison, WARNINGS)]).collect(),
        end,
    }
}

/// What weakens the verdict.
pub(super) fn warnings(comparison: &Comparison, most: usize) -> Block {
    Block::Warnings(comparison.warnings.iter().take(most).map(|warning| foreign(warning, SENTENCE)).collect())
}

/// What changed; then what has no numbers; then the rest.
pub(super) fn body(comparison: &Comparison, sides: Sides) -> Vec<Block> {
    let cases = Cases::of(&comparison.rows);
    let (shown, open) = attention(&cases);
    let mut blocks: Vec<Block> = named(&cases).into_iter().collect();
    let (blocking, others): (Vec<&Difference>, Vec<_>) = comparison.differences.iter().partition(|it| it.blocks);
    if !blocking.is_empty() {
        blocks.push(Block::Table(details::differences(&blocking, sides)));
    }
    if !shown.is_empty() {
        blocks.push(Block::Table(cases.table(&shown, case_table::change)));
    }
    blocks.extend(details::notes(comparison));
    for (rank, words) in [
        (Rank::Inconclusive, " inconclusive"),
        (Rank::NotComparable, " not comparable"),
        (Rank::Unchanged, " unchanged"),
    ] {
        let listed = cases.ranked(|of| of == rank && (rank != Rank::Inconclusive || !open));
        let title = line![rank.icon(), count(listed.len()), if listed.len() == 1 { " case" } else { " cases" }, words];
        blocks.extend(Block::fold(title, cases.table(&listed, case_table::change)));
    }
    blocks.extend(details::reasons(comparison));
    let title = line![Icon::Environment, "Differences in environment or settings (", count(others.len()), ")"];
    blocks.extend(Block::fold(title, details::differences(&others, sides)));
    blocks
}

/// What the names of all rows share, and which metrics have no column.
fn named(cases: &Cases) -> Option<Block> {
    let pattern = cases.names.pattern().map(|pattern| line!["Cases: ", pattern]);
    let left_out =
        (cases.metrics_left_out > 0).then(|| line![count(cases.metrics_left_out), " more metrics aren't shown"]);
    let said: Vec<Line> = pattern.into_iter().chain(left_out).collect();
    (!said.is_empty()).then(|| Block::Paragraph(Line::joined(said, "; ")))
}

/// The cases that everybody sees: those that look changed; where none does, those that are open.
fn attention<'a, 'b>(cases: &'b Cases<'a>) -> (Vec<&'b case_table::CaseRows<'a>>, bool) {
    let changed = cases.ranked(|rank| matches!(rank, Rank::Regressed | Rank::Unconfirmed | Rank::Improved));
    match changed.is_empty() {
        true => (cases.ranked(|rank| rank == Rank::Inconclusive), true),
        false => (changed, false),
    }
}

/// The cases of another comparison that look changed.
pub(super) fn changed(comparison: &Comparison) -> (usize, crate::page::Table) {
    let cases = Cases::of(&comparison.rows);
    let changed = cases.ranked(|rank| matches!(rank, Rank::Regressed | Rank::Unconfirmed | Rank::Improved));
    (changed.len(), cases.table(&changed, case_table::change))
}
