//! What was seen of the devices around a generation: by card, and in all.

use std::collections::BTreeSet;

use crate::device::memory::MIB;
use crate::device::{CardId, CardSample, Throttle};
use crate::results::{CardState, DeviceState};

/// What a card told at one time.
pub struct CardLook {
    /// Of the whole card, whoever uses it.
    pub sample: CardSample,
    /// Memory that the measured program holds; 0 where the card is seen not to be used by it.
    pub held_bytes: Option<u64>,
}

/// In all.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    /// The most that the measured program held on all cards at one time; on a CPU, its resident memory.
    pub peak_bytes: Option<u64>,
    /// What all cards used, in joules; absent where one doesn't tell.
    pub energy_j: Option<f64>,
    /// Clocks, temperature and power of all cards together.
    pub device: Option<DeviceState>,
    /// In the order of the cards; empty on a CPU.
    pub by_card: Vec<CardSeen>,
}

/// Of one card.
#[derive(Debug, PartialEq)]
pub struct CardSeen {
    /// Which card.
    pub card: CardId,
    /// The most that the measured program held: 0 where it doesn't use the card, `None` where nobody tells.
    pub peak_bytes: Option<u64>,
    /// What the card used, in joules; absent where it doesn't count it, or not long enough.
    pub energy_j: Option<f64>,
    /// Clocks, temperature and power.
    pub state: DeviceState,
}

impl Seen {
    pub(super) fn of(by_card: Vec<CardSeen>, peak_bytes: Option<u64>) -> Self {
        let energy_j = by_card.iter().map(|card| card.energy_j).sum::<Option<f64>>().filter(|&joules| joules > 0.0);
        let states: Vec<&DeviceState> = by_card.iter().map(|card| &card.state).collect();
        Self { peak_bytes, energy_j, device: together(&states), by_card }
    }
}

impl Seen {
    /// A program that was given several cards may use fewer: then some show nothing of it. In one sentence.
    pub fn unused(&self) -> Option<String> {
        let told = self.by_card.iter().filter(|card| card.peak_bytes.is_some());
        let (unused, used): (Vec<_>, Vec<_>) = told.partition(|card| card.peak_bytes == Some(0));
        let names: Vec<String> = unused.iter().map(|seen| seen.card.number_or_uuid()).collect();
        (!used.is_empty() && !unused.is_empty()).then(|| {
            let (names, hold) = (names.join(" and "), if names.len() == 1 { "holds" } else { "hold" });
            format!("GPU {names} {hold} nothing of the program: it uses fewer GPUs than were named")
        })
    }

    /// What the machine did, where somebody else's process did it.
    pub fn without_memory(mut self) -> Self {
        self.peak_bytes = None;
        self.by_card.iter_mut().for_each(|card| card.peak_bytes = None);
        self
    }
}

impl CardSeen {
    pub(super) fn of<'a>(card: CardId, looks: impl Iterator<Item = &'a CardLook>, energy_j: Option<f64>) -> Self {
        let looks: Vec<&CardLook> = looks.collect();
        let peak_bytes = looks.iter().filter_map(|look| look.held_bytes).max();
        Self { card, peak_bytes, energy_j, state: state(&looks) }
    }
}

impl From<CardSeen> for CardState {
    fn from(seen: CardSeen) -> Self {
        let peak_memory_mib = seen.peak_bytes.map(|bytes| tenths(bytes as f64 / MIB as f64));
        Self { uuid: seen.card.uuid, peak_memory_mib, energy_j: seen.energy_j.map(tenths), state: seen.state }
    }
}

fn state(looks: &[&CardLook]) -> DeviceState {
    let all = |value: fn(&CardLook) -> Option<f64>| looks.iter().filter_map(|look| value(look)).collect::<Vec<f64>>();
    let reasons: BTreeSet<Throttle> = looks.iter().flat_map(|look| &look.sample.throttling).copied().collect();
    DeviceState {
        sm_clock_mhz: mean(&all(|look| look.sample.sm_clock_mhz)),
        memory_clock_mhz: mean(&all(|look| look.sample.memory_clock_mhz)),
        temperature_c: all(|look| look.sample.temperature_c).into_iter().max_by(f64::total_cmp),
        power_w: mean(&all(|look| look.sample.power_w)),
        throttle_reasons: reasons.into_iter().map(|reason| reason.word().to_owned()).collect(),
    }
}

/// Clocks are the cards' mean, the temperature is that of the hottest, and power is what all of them take. What held one
/// down held all.
fn together(cards: &[&DeviceState]) -> Option<DeviceState> {
    let all =
        |value: fn(&DeviceState) -> Option<f64>| cards.iter().filter_map(|card| value(card)).collect::<Vec<f64>>();
    let mut reasons = Vec::new();
    for reason in cards.iter().flat_map(|card| &card.throttle_reasons) {
        if !reasons.contains(reason) {
            reasons.push(reason.clone());
        }
    }
    let power: Option<f64> = cards.iter().map(|card| card.power_w).sum();
    let state = DeviceState {
        sm_clock_mhz: mean(&all(|card| card.sm_clock_mhz)),
        memory_clock_mhz: mean(&all(|card| card.memory_clock_mhz)),
        temperature_c: all(|card| card.temperature_c).into_iter().max_by(f64::total_cmp),
        power_w: power.filter(|_| !cards.is_empty()).map(tenths),
        throttle_reasons: reasons,
    };
    (state != DeviceState::default()).then_some(state)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| tenths(values.iter().sum::<f64>() / values.len() as f64))
}

/// To a tenth: more would only be noise.
fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::CardSample;

    fn card(clock: f64, temperature: f64, watt: f64, throttling: &[Throttle]) -> CardSeen {
        let sample = CardSample {
            sm_clock_mhz: Some(clock),
            memory_clock_mhz: None,
            temperature_c: Some(temperature),
            power_w: Some(watt),
            throttling: throttling.iter().copied().collect(),
        };
        let look = CardLook { sample, held_bytes: None };
        let id = CardId { index: Some(0), uuid: "GPU-1".into(), name: String::new() };
        CardSeen::of(id, [&look].into_iter(), Some(3.0))
    }

    #[test]
    fn two_cards_are_told_as_one_device() {
        let hot = card(1800.0, 80.0, 500.0, &[Throttle::HwThermalSlowdown, Throttle::SwPowerCap]);
        let cold = card(1900.0, 40.0, 300.05, &[Throttle::SwPowerCap]);
        let seen = Seen::of(vec![hot, cold], Some(1));
        let device = seen.device.unwrap();
        assert_eq!((device.sm_clock_mhz, device.memory_clock_mhz), (Some(1850.0), None));
        assert_eq!((device.temperature_c, device.power_w), (Some(80.0), Some(800.1)));
        assert_eq!(device.throttle_reasons, ["sw_power_cap", "hw_thermal_slowdown"]);
        assert_eq!(seen.energy_j, Some(6.0));
    }

    #[test]
    fn a_program_that_uses_fewer_cards_is_told() {
        let holding = |index, bytes| {
            let seen = card(1.0, 1.0, 1.0, &[]);
            CardSeen { card: CardId { index: Some(index), ..seen.card }, peak_bytes: bytes, ..seen }
        };
        let unused = |cards| Seen::of(cards, None).unused();
        assert_eq!(unused(vec![holding(0, Some(1)), holding(1, Some(1))]), None);
        assert_eq!(unused(vec![holding(0, None), holding(1, None)]), None, "nobody tells");
        let told = "GPU 1 and 3 hold nothing of the program: it uses fewer GPUs than were named";
        assert_eq!(
            unused(vec![holding(0, Some(1)), holding(1, Some(0)), holding(2, None), holding(3, Some(0))]).as_deref(),
            Some(told)
        );
    }

    #[test]
    fn energy_that_lacks_a_card_is_unknown() {
        let silent = CardSeen { energy_j: None, ..card(1.0, 1.0, 1.0, &[]) };
        assert_eq!(Seen::of(vec![card(1.0, 1.0, 1.0, &[]), silent], None).energy_j, None);
        assert_eq!(Seen::of(Vec::new(), None), Seen::default());
    }
}
