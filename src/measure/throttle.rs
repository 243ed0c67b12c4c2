//! A throttled run is measured again, within bounds, unless the device always throttles its case.

use std::collections::{BTreeMap, BTreeSet};

use crate::results::{Measurement, Outcome, Run};

/// How often a run is measured again.
pub const REPEATS: u32 = 2;

/// The reasons that throttled every one of these runs of a case: that is how the device runs it, and they can be compared
/// with each other. Failed runs don't count.
pub fn always<'a>(runs: impl Iterator<Item = &'a Run>) -> BTreeSet<&'a str> {
    let measured = runs.filter_map(|run| match &run.outcome {
        Outcome::Ok(measurement) => Some(measurement.throttle_reasons().iter().map(String::as_str).collect()),
        Outcome::Failed(_) => None,
    });
    measured.reduce(|common: BTreeSet<_>, reasons| &common & &reasons).unwrap_or_default()
}

/// What was throttled so far in a session.
#[derive(Debug, Default)]
pub struct Throttling {
    /// Repeats of a side's run: by label, case and round.
    repeats: BTreeMap<(String, String, u32), u32>,
    /// By case, the reasons that stayed through all repeats of a run. That is how this device runs it: further repeats
    /// would only take time.
    accepted: BTreeMap<String, BTreeSet<String>>,
}

impl Throttling {
    /// Accepts the reasons that all earlier runs of a case had, on all sides.
    pub fn accept_what_is_always_so<'a>(&mut self, case: &str, runs: impl Iterator<Item = &'a Run>) {
        self.accept(case, always(runs));
    }

    fn accept<'a>(&mut self, case: &str, reasons: impl IntoIterator<Item = &'a str>) {
        self.accepted.entry(case.to_owned()).or_default().extend(reasons.into_iter().map(str::to_owned));
    }

    /// Why a run doesn't count and is to be measured again; `None` if it counts.
    pub fn judge(&mut self, side: &str, case: &str, round: u32, measured: &Measurement) -> Option<String> {
        let reasons = measured.throttle_reasons();
        let accepted = self.accepted.get(case);
        if reasons.iter().all(|reason| accepted.is_some_and(|accepted| accepted.contains(reason))) {
            return None;
        }
        let repeats = self.repeats.entry((side.to_owned(), case.to_owned(), round)).or_default();
        if *repeats == REPEATS {
            self.accept(case, reasons.iter().map(String::as_str));
            return None;
        }
        *repeats += 1;
        Some(format!("clocks were held down ({})", reasons.join(", ")))
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

    fn run(measurement: Measurement) -> Run {
        Run { case: "a".into(), round: 1, started: String::new(), outcome: Outcome::Ok(measurement) }
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
        assert!(judge("a", 3, &throttled_by(&["sw_power_cap", "hw_slowdown"])), "for this reason");
        assert!(judge("b", 2, &hot), "of this case");
    }

    #[test]
    fn what_every_run_has_is_known_from_the_start() {
        let (cold, capped) = (run(throttled_by(&[])), run(throttled_by(&["sw_power_cap"])));
        let hot = run(throttled_by(&["sw_power_cap", "hw_thermal_slowdown"]));
        assert_eq!(always([&capped, &hot].into_iter()), BTreeSet::from(["sw_power_cap"]));
        assert_eq!(always([&capped, &cold].into_iter()), BTreeSet::new());
        let mut throttling = Throttling::default();
        throttling.accept_what_is_always_so("a", [&capped, &hot].into_iter());
        assert_eq!(throttling.judge("", "a", 2, &throttled_by(&["sw_power_cap"])), None);
        assert!(throttling.judge("", "a", 2, &throttled_by(&["hw_thermal_slowdown"])).is_some());
    }
}
