//! The sentences around the rows, the same in every format. Foreign text in them is not escaped yet.

use std::cmp::Reverse;

use crate::compare::wording::{advice, percent, reason};
use crate::compare::{Comparison, Conclusion, Finding, NoteKind, Open, Ranges, Reading, Row, Settling, Tier, Verdict};
use crate::plural::counted;
use crate::results::occasions::{HISTORY, more_sessions};
use crate::stats::Share;

/// Verdicts as a reader wants them.
pub const ORDER: [Verdict; 5] =
    [Verdict::Regressed, Verdict::NotComparable, Verdict::Improved, Verdict::Inconclusive, Verdict::Unchanged];

/// The first line, counted from the rows and notes: `1 regressed · 2 improved · 20 unchanged · 1 missing`.
/// `mark` goes before each verdict.
pub fn headline(comparison: &Comparison, mark: impl Fn(Verdict) -> &'static str) -> String {
    let unconfirmed = comparison.rows.iter().filter(|row| row.is_unconfirmed()).count();
    let said = |verdict, count: usize, word| (count > 0).then(|| format!("{}{count} {word}", mark(verdict)));
    let verdicts = ORDER.iter().flat_map(|&verdict| {
        let count = comparison.counts.of(verdict);
        match verdict {
            // Rows that look changed are told from those that show nothing.
            Verdict::Inconclusive => [
                said(verdict, unconfirmed, "unconfirmed"),
                said(verdict, count.saturating_sub(unconfirmed), verdict.word()),
            ],
            _ => [said(verdict, count, verdict.word()), None],
        }
    });
    let verdicts = verdicts.flatten();
    let notes =
        [NoteKind::Missing, NoteKind::Failed, NoteKind::FellBack, NoteKind::New].into_iter().filter_map(|kind| {
            let count = comparison.notes.iter().filter(|note| note.kind == kind).count();
            (count > 0).then(|| format!("{count} {}", note_word(kind)))
        });
    let parts: Vec<String> = verdicts.chain(notes).collect();
    if parts.is_empty() { "nothing to compare".to_owned() } else { parts.join(" · ") }
}

/// What a note is about, in a list of counts.
pub fn note_word(kind: NoteKind) -> &'static str {
    match kind {
        NoteKind::Missing => "missing",
        NoteKind::New => "new",
        NoteKind::Failed => "failed",
        NoteKind::FellBack => "fell back",
        NoteKind::OutputChanged => "output changed",
    }
}

/// How the sides were measured, and how sure the verdicts are: a rate of errors where one holds, with its condition.
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
    if comparison.family == 0 {
        return basis.to_owned();
    }
    let tests = counted(comparison.family, "test");
    let alarms = format!("false alarms in at most {} of reports", percent(Share::new(comparison.alpha)));
    match comparison.tier {
        Tier::SameSession => format!("{basis} {tests}, {alarms}; intervals of 90%."),
        Tier::Confirmed => format!("{basis} {tests}, {alarms}; intervals of 90% (confirmed: 99%)."),
        Tier::History => format!(
            "{basis} {tests}, {alarms}, if the machine drifts no more than it did in the history; intervals of 90%."
        ),
        Tier::SingleBaseline => format!(
            "{basis} {tests}; by itself this calls nothing slower or faster. Intervals of 90%, if sessions drift by 1%."
        ),
    }
}

/// What to do now; `None` when there is nothing to do.
pub fn next_step(comparison: &Comparison) -> Option<String> {
    let counts = comparison.counts;
    let most_runs = comparison.rows.iter().filter_map(|row| row.runs_needed()).max();
    if comparison.notes.iter().any(|note| note.kind == NoteKind::FellBack) {
        return Some(
            "find out why what was asked for didn't run in the head: its results say so in `warnings`".to_owned(),
        );
    }
    if counts.not_comparable > 0 {
        return Some("measure base and head on the same hardware with the same settings".to_owned());
    }
    if comparison.tier == Tier::SingleBaseline && counts.regressed + counts.improved + counts.inconclusive > 0 {
        let missing = HISTORY.saturating_sub(comparison.base_occasions.unwrap_or(1)).max(1);
        return Some(format!(
            "to be sure, measure base and head interleaved in one session, or collect {}, with `bench-diff baseline update`",
            more_sessions(missing, " of the base")
        ));
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
    let size = |row: &Row| match row.verdict() {
        _ if row.looks_changed() => (row.change().unwrap_or_default().get().abs() * 1e6) as u64,
        _ => 0,
    };
    rows.sort_by_key(|row| (rank(row.verdict()), !row.is_unconfirmed(), Reverse(size(row))));
    rows
}

/// What a row needs said beside its numbers; `None` when they, the differences between the sides, or the next step say it.
pub fn remark(comparison: &Comparison, row: &Row) -> Option<String> {
    let told = comparison.differences.iter().any(|difference| difference.blocks);
    match &row.finding {
        _ if row.is_unconfirmed() => None,
        Finding::Tested(tested) => {
            if let Conclusion::Open(Open::Doubt { settling: settling @ Settling::HeadRuns(_), .. }) = tested.conclusion
            {
                return Some(advice(settling));
            }
            let runs = tested.conclusion.runs_needed()? as usize;
            Some(format!("{} a side would tell", counted(runs, "run")))
        }
        Finding::NotComparable(_) if told => None,
        Finding::Ranges(Ranges { reading: Reading::Worse | Reading::Better | Reading::Unchanged, .. }) => None,
        Finding::Ranges(_) | Finding::Untestable { .. } | Finding::NotComparable(_) => Some(reason(row)),
    }
}
