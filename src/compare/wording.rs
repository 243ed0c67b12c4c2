//! How changes are said, and why a verdict is what it is: the only place with these sentences.

use super::memory_rule::{GRANULARITY_MIB, GRANULARITY_SHARE, is_little};
use super::reason::MAX_RUNS;
use super::{
    Conclusion, Doubt, Finding, LikeItself, Mismatch, Open, Reading, Row, Settling, Sides, Summary, Unconfirmed,
    Untestable, Verdict,
};
use crate::metric;
use crate::number::percent;
use crate::plural::counted;
use crate::results::occasions::HOURS_APART;
use crate::stats::Share;
use crate::unit::{self, Quantity};
use crate::word::words;

words! {
    /// Which way a change goes, as a person says it.
    Direction {
        Slower = "slower",
        Faster = "faster",
        More = "more",
        Less = "less",
        Worse = "worse",
        Better = "better",
    }
}

impl Direction {
    /// Of a change in native units. No change has no direction.
    fn of(change: Share, unit: &str, better: metric::Better) -> Option<Self> {
        let grew = change.get() > 0.0;
        let worse = grew == (better == metric::Better::Lower);
        match unit {
            _ if change.get() == 0.0 => None,
            _ if is_amount(unit) => Some(if grew { Self::More } else { Self::Less }),
            _ if !unit::is_speed(unit) => Some(if worse { Self::Worse } else { Self::Better }),
            _ => Some(if worse { Self::Slower } else { Self::Faster }),
        }
    }
}

/// A relative change in native units as a person says it: `2.9% slower`, `3% more`.
pub fn change(change: Share, unit: &str, better: metric::Better) -> String {
    match Direction::of(change, unit, better) {
        Some(direction) => format!("{} {direction}", percent(change)),
        None => "no change".to_owned(),
    }
}

fn is_amount(unit: &str) -> bool {
    unit == "J/tok" || unit::quantity(unit) == Some(Quantity::Memory)
}

/// Why, in a sentence; for what is inconclusive also what would settle it. Foreign text in it is not escaped.
pub fn reason(row: &Row) -> String {
    match &row.finding {
        Finding::Tested(tested) if tested.conclusion.is_told() => conclusion(row, &tested.conclusion),
        Finding::Tested(tested) => conclusion(row, &tested.conclusion) + &left_out(row),
        Finding::Ranges(ranges) => reading(row, ranges.reading) + &left_out(row),
        Finding::Untestable { why, .. } => untestable(why),
        Finding::NotComparable(mismatch) => differing(mismatch),
    }
}

/// ` (1 value of 4 of the head left out: no positive, finite numbers)`
fn left_out(row: &Row) -> String {
    let Sides { base, head, dropped } = row.sides;
    let side = |(name, of, dropped): (&str, Option<Summary>, usize)| {
        let total = dropped + of.map_or(0, |of| of.n);
        format!(" ({} of {total} of the {name} left out: no positive, finite numbers)", counted(dropped, "value"))
    };
    let sides = [("base", base, dropped[0]), ("head", head, dropped[1])];
    sides.into_iter().filter(|(_, _, dropped)| *dropped > 0).map(side).collect()
}

fn conclusion(row: &Row, conclusion: &Conclusion) -> String {
    let words = || row.change_in_words().unwrap_or_default();
    let noise_threshold = percent(row.cell.noise_threshold);
    match conclusion {
        Conclusion::Unchanged => match row.change_in_words().filter(|_| row.is_certain()) {
            Some(words) => format!("{words}, below {noise_threshold}"),
            None => format!("within ±{noise_threshold}"),
        },
        Conclusion::AtThreshold => format!("{}, at the threshold of {noise_threshold}", words()),
        Conclusion::Worse | Conclusion::Better => format!("{}, beyond ±{noise_threshold}", words()),
        Conclusion::Unconfirmed(Unconfirmed::Occasions(missing)) => format!(
            "{}, unconfirmed: {}, or base and head measured interleaved would settle it",
            words(),
            missing.in_words(" of the base")
        ),
        Conclusion::Unconfirmed(Unconfirmed::Unsteady) => format!(
            "{}, unconfirmed: the machine drifts by more than half of {noise_threshold} from session to session; base and \
             head measured interleaved would settle it",
            words()
        ),
        Conclusion::LikeItself(as_much) => format!("{}, but {}", words(), like_itself(*as_much)),
        Conclusion::Open(Open::Doubt { doubt, settling }) => {
            format!("{}; {}", doubtful(row, *doubt), advice(*settling))
        }
        Conclusion::Unconfirmed(Unconfirmed::Told(told)) | Conclusion::Open(Open::Told { told, .. }) => {
            told.text.clone()
        }
        Conclusion::SameProgram => SAME_PROGRAM.to_owned(),
        Conclusion::NotMeasuredAgain(screen) => {
            format!("looks changed, and couldn't be measured again: {}", self::conclusion(row, screen))
        }
    }
}

const SAME_PROGRAM: &str = "the same program on both sides: what differs is the machine's";
/// What the base does without any change.
fn like_itself(as_much: LikeItself) -> String {
    match as_much {
        LikeItself::Here(share) => {
            format!("the base differs from itself by {}, measured just so: this machine can't tell", percent(share))
        }
        LikeItself::InMany(share) => format!(
            "the base differs from itself in more cases than by chance, by {} on average: this machine can't tell",
            percent(share)
        ),
    }
}

/// Why a tested row stays open.
fn doubtful(row: &Row, doubt: Doubt) -> String {
    let words = || row.change_in_words().unwrap_or_else(|| "changed".to_owned());
    match (doubt, row.interval()) {
        (Doubt::Size, _) => {
            format!("{}, but whether by more than {} is open", words(), percent(row.cell.noise_threshold))
        }
        (Doubt::Noise, _) => format!("{}, but that may be noise", words()),
        (Doubt::Range, Some([low, high])) => {
            let end = |value| change(value, &row.cell.unit, row.cell.better);
            format!("anything from {} to {} is possible", end(low), end(high))
        }
        (Doubt::Range, None) => "anything is possible".to_owned(),
    }
}

/// What would settle an open row.
pub fn advice(settling: Settling) -> String {
    match settling {
        Settling::Runs { total, more } => format!("{total} runs per side would settle it, {more} more than there are"),
        Settling::HeadRuns(1) => "1 more run of the head would settle it".to_owned(),
        Settling::HeadRuns(more) => format!("{more} more runs of the head would settle it"),
        Settling::Sessions(1) => {
            format!("1 more session of the head, at least {HOURS_APART} hours later, would settle it")
        }
        Settling::Sessions(more) => {
            format!("{more} more sessions of the head, at least {HOURS_APART} hours apart, would settle it")
        }
        Settling::Interleaving => "base and head measured interleaved in one session would settle it".to_owned(),
        Settling::TooMany => format!("it would take more than {MAX_RUNS} runs per side to settle it"),
    }
}

fn reading(row: &Row, reading: Reading) -> String {
    let words = row.change_in_words().unwrap_or_else(|| "another amount".to_owned());
    let floor = floor(row);
    match reading {
        Reading::Worse | Reading::Better => format!("{words}, beyond the spread of the runs and {floor}"),
        Reading::Unchanged => format!("every run within {floor}"),
        Reading::SameProgram => SAME_PROGRAM.to_owned(),
        Reading::Unclear => format!("{words}: not all runs are within {floor}, but base and head overlap or are close"),
    }
}

/// From where on a change of memory counts.
fn floor(row: &Row) -> String {
    let threshold = row.cell.noise_threshold;
    let is_rounded = row.cell.metric.known().is_some();
    match row.sides.base.filter(|_| is_rounded) {
        None => percent(threshold).to_string(),
        Some(base) if !is_little(&row.cell.unit, base.mean) => {
            format!("{GRANULARITY_MIB} MiB or {}", percent(threshold))
        }
        Some(_) if threshold > GRANULARITY_SHARE => percent(threshold).to_string(),
        Some(_) => percent(GRANULARITY_SHARE).to_string(),
    }
}

fn untestable(why: &Untestable) -> String {
    match why {
        Untestable::InvalidValues { side, invalid, total } => {
            let numbers =
                if *invalid == 1 { "is no positive, finite number" } else { "are not positive, finite numbers" };
            format!("error: {invalid} of {} of the {side} {numbers}", counted(*total, "value"))
        }
        Untestable::NoSharedValues => "no values in the sessions that both sides share".to_owned(),
        Untestable::SingleRuns => {
            "one run on each side can't be distinguished from noise; 3 runs per side are usual".to_owned()
        }
        Untestable::SingleRunsOfSessions => {
            "one run on each side of a session can't be distinguished from noise".to_owned()
        }
        Untestable::OnlyAverages => {
            "an average without its samples can't be distinguished from noise: how it varies is unknown".to_owned()
        }
        Untestable::Told(told) => told.text.clone(),
    }
}

fn differing(mismatch: &Mismatch) -> String {
    match mismatch {
        Mismatch::Sides(fields) | Mismatch::Case(fields) => fields.join(", "),
        Mismatch::Told(told) => told.text.clone(),
    }
}

impl Row {
    /// The verdict as in tables.
    pub fn verdict_word(&self) -> &'static str {
        if self.is_unconfirmed() { "unconfirmed" } else { self.verdict().word() }
    }

    /// Which way it changed; `None` where it didn't.
    pub fn direction(&self) -> Option<Direction> {
        let change = self.change().or_else(|| self.boundless())?;
        Direction::of(change, &self.cell.unit, self.cell.better)
    }

    /// For its sign, a change that is no number: from nothing, or beyond all bounds.
    fn boundless(&self) -> Option<Share> {
        let worse = match self.verdict() {
            Verdict::Regressed => true,
            Verdict::Improved => false,
            _ => return None,
        };
        let grew = worse == (self.cell.better == metric::Better::Lower);
        Some(Share::new(if grew { f64::INFINITY } else { -1.0 }))
    }

    /// The change as a person says it; `None` where there is none to say.
    pub fn change_in_words(&self) -> Option<String> {
        if self.change().is_none() {
            return self.direction().map(|direction| format!("{} beyond all bounds", direction.word()));
        }
        self.change().map(|value| change(value, &self.cell.unit, self.cell.better))
    }
}

impl Verdict {
    /// As in tables: `not comparable`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Improved => "improved",
            Self::AtThreshold => "at the threshold",
            Self::Inconclusive => "inconclusive",
            Self::Unchanged => "unchanged",
            Self::NotComparable => "not comparable",
        }
    }
}
