//! A run whose clocks were held down is measured again, within bounds.

use std::collections::{BTreeMap, BTreeSet};

use crate::results::Measurement;

/// How often a run is measured again.
pub const REPEATS: u32 = 2;

/// What was throttled so far in a session.
#[derive(Debug, Default)]
pub struct Throttling {
    /// Repeats of a side's run: by label, case and round.
    repeats: BTreeMap<(String, String, u32), u32>,
    /// Cases that stayed throttled through all repeats. That is how this device runs them: repeating theirs would only
    /// take time.
    always: BTreeSet<String>,
}

impl Throttling {
    /// Why a run doesn't count and is to be measured again; `None` if it counts.
    pub fn judge(&mut self, side: &str, case: &str, round: u32, measured: &Measurement) -> Option<String> {
        let reasons = measured.device.as_ref().map(|device| device.throttle_reasons.join(", "));
        let reasons = reasons.filter(|reasons| !reasons.is_empty() && !self.always.contains(case))?;
        let repeats = self.repeats.entry((side.to_owned(), case.to_owned(), round)).or_default();
        if *repeats == REPEATS {
            self.always.insert(case.to_owned());
            return None;
        }
        *repeats += 1;
        Some(format!("clocks were held down ({reasons})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::DeviceState;

    fn throttled_by(reasons: &[&str]) -> Measurement {
        let throttle_reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        let device = Some(DeviceState { throttle_reasons, ..DeviceState::default() });
        Measurement { device, ..Measurement::default() }
    }

    #[test]
    fn a_case_that_is_always_throttled_costs_its_repeats_once() {
        let mut throttling = Throttling::default();
        let (cold, hot) = (throttled_by(&[]), throttled_by(&["sw_power_cap"]));
        let mut judge =
            |case: &str, round, measured: &Measurement| throttling.judge("", case, round, measured).is_some();
        assert!(!judge("a", 1, &cold) && !judge("a", 1, &Measurement::default()));
        assert!(judge("a", 1, &hot) && judge("a", 1, &hot), "twice again");
        assert!(!judge("a", 1, &hot), "the third counts");
        assert!(!judge("a", 2, &hot), "and so do all later ones");
        assert!(judge("b", 2, &hot), "of this case");
    }
}
