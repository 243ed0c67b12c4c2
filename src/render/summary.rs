//! The sentences around the rows, the same in every format. Foreign text in them is not escaped yet.

use std::cmp::Reverse;

use crate::compare::wording::percent;
use crate::compare::{Comparison, NoteKind, Row, Tier, Verdict};

/// Verdicts as a reader wants them.
pub const ORDER: [Verdict; 5] =
    [Verdict::Regressed, Verdict::NotComparable, Verdict::Improved, Verdict::Inconclusive, Verdict::Unchanged];

/// The first line, counted from the rows and notes: `1 regressed · 2 improved · 20 unchanged · 1 missing`.
/// `mark` goes before each verdict.
pub fn headline(comparison: &Comparison, mark: impl Fn(Verdict) -> &'static str) -> String {
    let verdicts = ORDER.iter().filter_map(|&verdict| {
        let count = comparison.counts.of(verdict);
        (count > 0).then(|| format!("{}{count} {}", mark(verdict), verdict.word()))
    });
    let notes =
        [NoteKind::Missing, NoteKind::Failed, NoteKind::FellBack, NoteKind::New].into_iter().filter_map(|kind| {
            let count = comparison.notes.iter().filter(|note| note.kind == kind).count();
            (count > 0).then(|| format!("{count} {}", note_word(kind)))
        });
    let parts: Vec<String> = verdicts.chain(notes).collect();
    if parts.is_empty() { "nothing to compare".to_owned() } else { parts.join(" · ") }
}

pub fn note_word(kind: NoteKind) -> &'static str {
    match kind {
        NoteKind::Missing => "missing",
        NoteKind::New => "new",
        NoteKind::Failed => "failed",
        NoteKind::FellBack => "fell back",
        NoteKind::OutputChanged => "output changed",
    }
}

/// How the sides were measured, and how sure the verdicts are.
pub fn tier_sentence(comparison: &Comparison) -> String {
    if comparison.family == 0 && comparison.counts.not_comparable > 0 {
        return "Base and head were measured on different machines or with different settings.".to_owned();
    }
    let basis = match comparison.tier {
        Tier::SameSession => "Base and head were measured interleaved in one session.",
        Tier::Confirmed => "Rows that looked changed were measured again, base and head interleaved.",
        Tier::History => "The head is compared with a history of base sessions.",
        Tier::SingleBaseline => "The head is compared with another session, so the machine's drift is in every change.",
    };
    let confidence = if comparison.tier == Tier::Confirmed { "90% (confirmed: 99%)" } else { "90%" };
    match comparison.family {
        0 => basis.to_owned(),
        family => format!(
            "{basis} {family} {}, false alarms in at most {} of reports; intervals of {confidence}.",
            if family == 1 { "test" } else { "tests" },
            percent(comparison.alpha)
        ),
    }
}

/// What to do now; `None` when there is nothing to do.
pub fn next_step(comparison: &Comparison) -> Option<String> {
    let counts = comparison.counts;
    let most_runs = comparison.rows.iter().filter_map(|row| row.runs_needed).max();
    if comparison.notes.iter().any(|note| note.kind == NoteKind::FellBack) {
        return Some(
            "find out why what was asked for didn't run in the head: its results say so in `warnings`".to_owned(),
        );
    }
    if counts.not_comparable > 0 {
        return Some("measure base and head on the same hardware with the same settings".to_owned());
    }
    if comparison.tier == Tier::SingleBaseline && counts.regressed + counts.improved + counts.inconclusive > 0 {
        return Some(
            "to be sure, measure base and head interleaved in one session, or collect five sessions of the base"
                .to_owned(),
        );
    }
    match most_runs {
        Some(runs) if counts.inconclusive > 0 => {
            Some(format!("measure up to {runs} runs a side to settle the inconclusive rows"))
        }
        _ => None,
    }
}

/// Rows in reading order: by verdict, changes by size.
pub fn ordered_rows(comparison: &Comparison) -> Vec<&Row> {
    let mut rows: Vec<&Row> = comparison.rows.iter().collect();
    let rank = |verdict: Verdict| ORDER.iter().position(|&other| other == verdict);
    let size = |row: &Row| match row.verdict {
        Verdict::Regressed | Verdict::Improved => (row.change.unwrap_or(0.0).abs() * 1e6) as u64,
        _ => 0,
    };
    rows.sort_by_key(|row| (rank(row.verdict), Reverse(size(row))));
    rows
}

/// What a row needs said beside its numbers; `None` when they, or the differences between the sides, say it.
pub fn remark(comparison: &Comparison, row: &Row) -> Option<String> {
    let told = comparison.differences.iter().any(|difference| difference.blocks);
    match (row.verdict, row.runs_needed) {
        (Verdict::NotComparable, _) if told => None,
        (Verdict::Inconclusive, Some(1)) => Some("1 run a side would tell".to_owned()),
        (Verdict::Inconclusive, Some(runs)) => Some(format!("{runs} runs a side would tell")),
        (Verdict::Inconclusive, None) if row.p.is_some() => None,
        (Verdict::Inconclusive | Verdict::NotComparable, _) => Some(row.reason.clone()),
        _ => None,
    }
}
