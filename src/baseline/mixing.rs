//! Levels that must not be mixed: sessions of a faster and of a slower build would show a drift that the machine doesn't
//! have, and changes as large would never be seen again.

use crate::compare::{self, Options, Row, Side, Verdict};
use crate::error::{Error, Result};
use crate::results::{Results, Session};

/// Rows that are named; more are counted.
const MOST_ROWS: usize = 8;

/// How sessions of another build differ from those of a baseline, a sentence for each cell; nothing where they don't. The
/// library's own comparison judges.
pub(super) fn differences(kept: &Results, new: &Results) -> Result<Vec<String>> {
    let is_other = |session: &&Session| {
        kept.sessions.iter().all(|known| known.id != session.id && !known.is_surely_of_one_build_with(session))
    };
    let sessions: Vec<Session> = new.sessions.iter().filter(is_other).cloned().collect();
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    let others = Results { sessions, ..new.clone() };
    let [kept, others] = [("the baseline", kept), ("the results", &others)].map(|(n, it)| Side::from_results(n, it));
    let rows = compare::compare(&kept, &others, &Options::default())?.rows;
    Ok(named(rows.iter().filter(|row| row.looks_changed()).collect()))
}

/// Regressions first: a baseline that takes them in is blind to them.
fn named(mut rows: Vec<&Row>) -> Vec<String> {
    rows.sort_by_key(|row| row.verdict() == Verdict::Improved);
    let more = rows.len().saturating_sub(MOST_ROWS);
    let said = |row: &&Row| {
        let change = row.change_in_words().unwrap_or_default();
        format!("{} {}: {change}", row.cell.case, row.cell.metric)
    };
    let rest = (more > 0).then(|| format!("and {more} more"));
    rows.iter().take(MOST_ROWS).map(said).chain(rest).collect()
}

/// Refuses what differs.
pub(super) fn refuse(what: String, differences: Vec<String>, hint: &str) -> Result<()> {
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!("{what}:")).with_details(differences).hint(hint))
}
