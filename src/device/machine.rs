//! What a process can measure on, and which of it is meant.

use super::driver::{CardId, Driver};
use super::gpus::Gpus;
use super::name::{GpuList, GpuName};
use super::ordinals::Ordinals;
use super::visible::{by_start, visible};
use crate::case::DeviceKind;

/// The devices of this machine, as a process sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    cards: Cards,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cards {
    /// Unknown: there is no driver, or it has no cards.
    Unknown,
    Known {
        all: Vec<CardId>,
        /// In CUDA's order.
        visible: Vec<CardId>,
    },
}

impl Machine {
    /// This machine, with what `CUDA_VISIBLE_DEVICES` leaves of it.
    #[expect(clippy::disallowed_methods, reason = "CUDA's own variable says which GPUs a program sees")]
    pub fn here() -> Self {
        let variable = std::env::var_os("CUDA_VISIBLE_DEVICES");
        let variable = variable.as_ref().map(|value| value.to_string_lossy());
        super::driver().map_or_else(Self::without_driver, |driver| Self::of(driver, variable.as_deref()))
    }

    /// A machine without a driver, so that its GPUs are unknown.
    pub fn without_driver() -> Self {
        Self { cards: Cards::Unknown }
    }

    pub(crate) fn of(driver: &dyn Driver, variable: Option<&str>) -> Self {
        match driver.cards() {
            all if all.is_empty() => Self::without_driver(),
            all => Self { cards: Cards::Known { all, visible: visible(driver, variable) } },
        }
    }

    /// Is one visible, whether this build can use it or not?
    pub fn has_gpu(&self) -> bool {
        matches!(&self.cards, Cards::Known { visible, .. } if !visible.is_empty())
    }

    /// What `device = "auto"` stands for: a GPU if this build can use one and there is one.
    pub fn kind(&self) -> DeviceKind {
        if cfg!(feature = "cuda") && self.has_gpu() { DeviceKind::Cuda } else { DeviceKind::Cpu }
    }

    /// The cards that `wanted` names.
    pub fn select(&self, wanted: &GpuList) -> Result<Gpus, String> {
        let Cards::Known { visible, .. } = &self.cards else { return numbers(wanted) };
        let mut cards: Vec<CardId> = Vec::new();
        for name in wanted.names() {
            let card = find(visible, name).ok_or_else(|| self.absent(name))?;
            if cards.contains(&card) {
                return Err(format!("{name} is {card} again, which is named already"));
            }
            cards.push(card);
        }
        Ok(Gpus::Known(cards))
    }

    /// CUDA's numbers of these cards in this process; the first ones, if they are unknown.
    pub fn ordinals(&self, gpus: &Gpus) -> Ordinals {
        match (&self.cards, gpus) {
            (Cards::Known { visible, .. }, Gpus::Known(cards)) => {
                let place = |card| visible.iter().position(|other| other == card);
                cards.iter().filter_map(place).map(|place| place as u32).collect()
            }
            _ => gpus.ordinals(),
        }
    }

    /// The cards that CUDA calls so in this process.
    pub fn cards(&self, ordinals: &Ordinals) -> Vec<CardId> {
        let Cards::Known { visible, .. } = &self.cards else { return Vec::new() };
        ordinals.all().iter().filter_map(|&ordinal| visible.get(ordinal as usize).cloned()).collect()
    }

    fn absent(&self, name: &GpuName) -> String {
        let Cards::Known { all, visible } = &self.cards else { return format!("there is no GPU {name}") };
        if visible.len() == all.len() {
            return format!("there is no GPU {name}: {}", list("this machine has", visible));
        }
        let shown = list("CUDA_VISIBLE_DEVICES shows", visible);
        format!("there is no GPU {name}: {shown}, of {} in this machine", all.len())
    }
}

fn find(visible: &[CardId], name: &GpuName) -> Option<CardId> {
    match name {
        GpuName::Number(number) => visible.get(*number as usize).cloned(),
        GpuName::Uuid(uuid) => by_start(visible, uuid),
    }
}

/// Without a driver a number is all that can be passed on.
fn numbers(wanted: &GpuList) -> Result<Gpus, String> {
    let number = |name: &GpuName| match name {
        GpuName::Number(number) => Ok(*number),
        GpuName::Uuid(uuid) => Err(format!("{uuid} can't be found without NVIDIA's driver: give the GPU's number")),
    };
    Ok(Gpus::Unknown(wanted.names().iter().map(number).collect::<Result<_, _>>()?))
}

/// `this machine has 0 (NVIDIA H100, GPU-...) and 1 (...)`.
fn list(has: &str, visible: &[CardId]) -> String {
    let each = visible.iter().enumerate().map(|(number, card)| format!("{number} ({}, {})", card.name, card.uuid));
    match &each.collect::<Vec<_>>()[..] {
        [] => format!("{has} none"),
        [one] => format!("{has} only {one}"),
        [first @ .., last] => format!("{has} {} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    fn select(machine: &Machine, gpus: &str) -> Result<Vec<u32>, String> {
        match machine.select(&gpus.parse().unwrap())? {
            Gpus::Known(cards) => Ok(cards.iter().filter_map(|card| card.index).collect()),
            Gpus::Unknown(numbers) => Ok(numbers),
        }
    }

    #[test]
    fn a_number_counts_what_is_visible() {
        let eight = Fake::cards(8);
        let all = Machine::of(&eight, None);
        assert_eq!(select(&all, "0"), Ok(vec![0]));
        assert_eq!(select(&all, "7,1,2"), Ok(vec![7, 1, 2]));
        let some = Machine::of(&eight, Some("6,2,4"));
        assert_eq!(select(&some, "0"), Ok(vec![6]));
        assert_eq!(select(&some, "2,1"), Ok(vec![4, 2]));
        let uuid = Fake::uuid(2);
        assert_eq!(select(&some, &uuid), Ok(vec![2]), "a UUID is the card, wherever it stands");
        assert_eq!(select(&some, &uuid[..12]), Ok(vec![2]));
    }

    #[test]
    fn a_card_that_is_not_there_is_told_with_those_that_are() {
        let two = Fake::cards(2);
        let error = select(&Machine::of(&two, None), "2").unwrap_err();
        let each = [0, 1].map(|index| format!("{index} (Card of 80 GiB, {})", Fake::uuid(index)));
        assert_eq!(error, format!("there is no GPU 2: this machine has {} and {}", each[0], each[1]));
        let hidden = Machine::of(&two, Some("1"));
        let error = select(&hidden, "1").unwrap_err();
        let shown = format!("CUDA_VISIBLE_DEVICES shows only 0 (Card of 80 GiB, {})", Fake::uuid(1));
        assert_eq!(error, format!("there is no GPU 1: {shown}, of 2 in this machine"));
        assert!(select(&hidden, &Fake::uuid(0)).is_err(), "hidden is hidden, by whatever name");
        let error = select(&Machine::of(&two, Some("")), "0").unwrap_err();
        assert_eq!(error, "there is no GPU 0: CUDA_VISIBLE_DEVICES shows none, of 2 in this machine");
        assert!(select(&Machine::of(&two, None), &format!("0,{}", Fake::uuid(0))).unwrap_err().contains("again"));
    }

    /// A worker finds the cards that it was given, by the same code.
    #[test]
    fn a_worker_sees_the_cards_in_the_order_in_which_they_were_named() {
        let eight = Fake::cards(8);
        let gpus = Machine::of(&eight, Some("6,2,4")).select(&"2,0".parse().unwrap()).unwrap();
        let worker = Machine::of(&eight, gpus.visible_devices().as_deref());
        assert_eq!(Gpus::Known(worker.cards(&gpus.ordinals())), gpus);
        assert_eq!(gpus.keys(), [Fake::uuid(4), Fake::uuid(6)]);
    }

    #[test]
    fn in_this_process_cuda_counts_what_is_visible() {
        let machine = Machine::of(&Fake::cards(8), Some("6,2,4"));
        let gpus = machine.select(&"2,0".parse().unwrap()).unwrap();
        assert_eq!(machine.ordinals(&gpus).all(), [2, 0]);
    }

    #[test]
    fn without_a_driver_numbers_are_passed_on() {
        let machine = Machine::without_driver();
        assert_eq!(machine.kind(), DeviceKind::Cpu);
        let gpus = machine.select(&"3,1".parse().unwrap()).unwrap();
        assert_eq!((gpus.ordinals().all(), gpus.visible_devices()), (&[3, 1][..], None));
        assert!(select(&machine, "GPU-5a3f").unwrap_err().contains("give the GPU's number"));
    }

    #[test]
    fn auto_is_no_gpu_where_all_are_hidden() {
        let usual = if cfg!(feature = "cuda") { DeviceKind::Cuda } else { DeviceKind::Cpu };
        assert_eq!(Machine::of(&Fake::cards(2), None).kind(), usual);
        assert_eq!(Machine::of(&Fake::cards(2), Some("")).kind(), DeviceKind::Cpu);
    }
}
