//! The base against itself: one program as two contenders that take their turns with the head.
//!
//! Nothing differs between them but what the measuring does to a contender. So what they seem to differ by says what such a
//! difference is worth here, and a change has to be clearly more.

use std::collections::HashMap;

use super::base_again::{BaseAgain, DIFFERS_P, LikeItself};
use super::finding::{Conclusion, Tested};
use super::reason::{Doubt, Open};
use super::suspect::Suspect;
use crate::stats::{self, LogRatio};

/// A change is believed if it is so many times what the base differs from itself.
const TIMES: f64 = 3.0;

/// What the base shows against itself, as of the last look at each cell.
#[derive(Debug, Default)]
pub(super) struct Itself(HashMap<Suspect, BaseAgain>);

/// As large as the noise threshold: also what doesn't differ from both arms of the base.
fn looks_changed(conclusion: &Conclusion) -> bool {
    let maybe = matches!(conclusion, Conclusion::Open(Open::Doubt { doubt: Doubt::Noise, .. }));
    maybe || matches!(conclusion, Conclusion::Worse | Conclusion::Better)
}

impl Itself {
    pub fn note(&mut self, cell: Suspect, again: BaseAgain) {
        self.0.insert(cell, again);
    }

    /// Takes back what the base itself shows as well.
    pub fn judge(&self, cell: &Suspect, tested: &mut Tested) {
        tested.base_again = self.0.get(cell).copied();
        let size =
            tested.change.filter(|_| looks_changed(&tested.conclusion)).map(|change| change.log_ratio().get().abs());
        if let Some(as_much) = size.and_then(|size| self.as_much(cell, size)) {
            tested.conclusion = Conclusion::LikeItself(as_much);
        }
    }

    /// Does the base differ from itself by too much for a change of this size?
    fn as_much(&self, cell: &Suspect, size: f64) -> Option<LikeItself> {
        let here = self.0.get(cell).filter(|again| again.differs());
        if let Some(again) = here.filter(|again| size < TIMES * again.size()) {
            return Some(LikeItself::Here(again.change.abs()));
        }
        let usual = self.usual(cell)?;
        (size < TIMES * usual).then(|| LikeItself::InMany(LogRatio::new(usual).share()))
    }

    /// How much the base differs from itself in this metric, if it does in more cells than chance explains.
    fn usual(&self, cell: &Suspect) -> Option<f64> {
        let differing = self.0.values().filter(|again| again.differs()).count();
        if stats::at_least(differing, self.0.len(), DIFFERS_P) >= DIFFERS_P {
            return None;
        }
        let of_metric = self.0.iter().filter(|(other, _)| other.metric == cell.metric);
        let squares: Vec<f64> = of_metric.map(|(_, again)| again.size().powi(2)).collect();
        stats::mean(&squares).map(f64::sqrt)
    }
}
