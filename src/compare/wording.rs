//! How changes are said.

use super::{Row, Verdict};
use crate::metric::Better;

/// A share as a percentage with sensible digits: `2.9%`, `0.04%`, `128%`.
pub fn percent(share: f64) -> String {
    let percent = share.abs() * 100.0;
    let digits = match percent {
        p if p >= 99.95 => 0,
        p if p >= 0.095 || p == 0.0 => 1,
        p if p >= 0.0095 => 2,
        _ => return "under 0.01%".to_owned(),
    };
    let text = format!("{percent:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}%")
}

/// The smallest change that shows: beyond 100% the exact number helps nobody.
pub fn smallest_change(share: f64) -> String {
    if share > 1.0 { "over 100%".to_owned() } else { percent(share) }
}

/// A relative change in native units as a person says it: `2.9% slower`, `3% more`.
pub fn change(change: f64, unit: &str, better: Better) -> String {
    if change == 0.0 {
        return "no change".to_owned();
    }
    let worse = (change > 0.0) == (better == Better::Lower);
    let word = match (unit, worse) {
        ("B" | "MiB" | "GiB" | "J/tok", _) => {
            if change > 0.0 {
                "more"
            } else {
                "less"
            }
        }
        _ if !is_speed(unit) => {
            if worse {
                "worse"
            } else {
                "better"
            }
        }
        (_, true) => "slower",
        (_, false) => "faster",
    };
    format!("{} {word}", percent(change))
}

fn is_speed(unit: &str) -> bool {
    unit.ends_with("/s") || matches!(unit, "s" | "ms" | "us" | "µs" | "ns")
}

impl Row {
    /// The verdict as in tables.
    pub fn verdict_word(&self) -> &'static str {
        if self.unconfirmed { "unconfirmed" } else { self.verdict.word() }
    }

    /// Changed, or looks so until that is confirmed.
    pub fn looks_changed(&self) -> bool {
        self.unconfirmed || matches!(self.verdict, Verdict::Regressed | Verdict::Improved)
    }

    /// The interval leaves no change out. In a self-check that is noise, whatever it says.
    pub fn seems_to_differ(&self) -> bool {
        self.interval.is_some_and(|[low, high]| low > 0.0 || high < 0.0)
    }

    /// The change as a person says it; `None` where there is none to say.
    pub fn change_in_words(&self) -> Option<String> {
        self.change.map(|value| change(value, &self.unit, self.better))
    }
}

impl Verdict {
    /// As in tables: `not comparable`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Improved => "improved",
            Self::Inconclusive => "inconclusive",
            Self::Unchanged => "unchanged",
            Self::NotComparable => "not comparable",
        }
    }
}
