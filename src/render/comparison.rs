//! A comparison as a page: what `compare` prints, and the body of a pull request's comment.

use super::case_table::{self, Cases, Rank};
use super::reproduce::Again;
use super::{
    SENTENCE, Sides, counter_lines, details, facts, headline, moved_tables, next_step, self_check, what_moved,
};
use crate::compare::{Comparison, Difference, Side};
use crate::number::count;
use crate::page::{Block, Icon, Line, Page, foreign, line};

/// Warnings shown; a hostile report may have any number.
const WARNINGS: usize = 50;

/// What there is to say of two files, or programs, beside their numbers.
#[derive(Debug, Clone, Default)]
pub struct Files {
    labels: [Option<String>; 2],
    /// Another tool's, which has no baselines.
    are_samples: bool,
    /// What measures both again, where that is known.
    again: Option<Again>,
}

impl Files {
    /// What base and head say of themselves.
    pub fn of(base: &Side, head: &Side) -> Self {
        let labels = [base, head].map(|side| side.label.clone());
        Self { labels, are_samples: base.is_plain_samples(), again: None }
    }

    /// Of results that stand for something.
    pub fn labelled(labels: [Option<&String>; 2]) -> Self {
        Self { labels: labels.map(Option::<&String>::cloned), ..Self::default() }
    }

    /// The same, of programs that can be measured again.
    #[must_use]
    pub fn measured_again_by(self, again: impl Into<Option<Again>>) -> Self {
        Self { again: again.into(), ..self }
    }

    /// What base and head stand for.
    pub fn labels(&self) -> [Option<&str>; 2] {
        self.labels.each_ref().map(Option::as_deref)
    }

    /// `base v1.2.0`
    fn facts(&self) -> impl Iterator<Item = Line> {
        let labels = ["base ", "head "].into_iter().zip(self.labels());
        labels.filter_map(|(side, label)| Some(line![side, foreign(label?, 60)]))
    }

    fn next_step(&self, comparison: &Comparison) -> Vec<Block> {
        match self.are_samples {
            true => next_step::of_samples(comparison).map(Block::Next).into_iter().collect(),
            false => next_step::of_comparison(comparison, self.again.as_ref()),
        }
    }
}

/// Of two files or programs.
pub fn page(comparison: &Comparison, files: &Files) -> Page {
    let sides = Sides::FILES;
    let mut end = files.next_step(comparison);
    end.push(Block::Facts(files.facts().chain(facts::of_numbers(comparison)).collect()));
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
    if self_check::applies(comparison) {
        let checked = self_check::body(comparison).into_iter().chain(details::notes(comparison));
        return checked.chain(counter_lines::blocks(comparison, sides)).collect();
    }
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
    blocks.extend(what_moved::section_of(comparison));
    blocks.extend(counter_lines::blocks(comparison, sides));
    blocks.extend(moved_tables::folds(comparison));
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
    let of_metrics = cases.metrics_shown().map(|shown| {
        line![count(shown), " of ", count(cases.metrics_in_all), " metrics have a column, those that changed first"]
    });
    let said: Vec<Line> = pattern.into_iter().chain(of_metrics).collect();
    (!said.is_empty()).then(|| Block::Paragraph(Line::joined(said, "; ")))
}

/// The cases that everybody sees: those that look changed; where none does, those that are open.
fn attention<'a, 'b>(cases: &'b Cases<'a>) -> (Vec<&'b case_table::CaseRows<'a>>, bool) {
    let changed = cases.ranked(|rank| rank <= Rank::Improved);
    match changed.is_empty() {
        true => (cases.ranked(|rank| rank == Rank::Inconclusive), true),
        false => (changed, false),
    }
}

/// The cases of another comparison that look changed.
pub(super) fn changed(comparison: &Comparison) -> (usize, crate::page::Table) {
    let cases = Cases::of(&comparison.rows);
    let changed = cases.ranked(|rank| rank <= Rank::Improved);
    (changed.len(), cases.table(&changed, case_table::change))
}
