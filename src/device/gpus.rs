//! The GPUs that something is measured on.

use super::driver::{Card, CardId};
use super::ordinals::Ordinals;

/// In the order in which they were named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gpus {
    /// No driver shows them: CUDA's numbers, as they were given.
    Unknown(Vec<u32>),
    /// The driver knows each.
    Known(Vec<CardId>),
}

/// None: a CPU.
impl Default for Gpus {
    fn default() -> Self {
        Self::Known(Vec::new())
    }
}

impl Gpus {
    /// How many were named.
    pub fn count(&self) -> usize {
        match self {
            Self::Unknown(numbers) => numbers.len(),
            Self::Known(cards) => cards.len(),
        }
    }

    /// Each for itself.
    pub fn split(&self) -> Vec<Self> {
        match self {
            Self::Unknown(numbers) => numbers.iter().map(|&number| Self::Unknown(vec![number])).collect(),
            Self::Known(cards) => cards.iter().map(|card| Self::Known(vec![card.clone()])).collect(),
        }
    }

    /// The cards, opened; those that the driver doesn't show are missing.
    pub fn open(&self) -> Vec<Box<dyn Card>> {
        let (Self::Known(cards), Some(driver)) = (self, super::driver()) else { return Vec::new() };
        cards.iter().filter_map(|card| driver.card(&card.uuid)).collect()
    }

    /// `CUDA_VISIBLE_DEVICES` for a process that is to see these alone, numbered from 0 in this order. `None` leaves it as
    /// it is.
    pub fn visible_devices(&self) -> Option<String> {
        match self {
            Self::Known(cards) if !cards.is_empty() => {
                Some(cards.iter().map(|card| card.uuid.as_str()).collect::<Vec<_>>().join(","))
            }
            _ => None,
        }
    }

    /// CUDA's numbers of them in a process with these [visible devices](Self::visible_devices).
    pub fn ordinals(&self) -> Ordinals {
        match self {
            Self::Unknown(numbers) => numbers.iter().copied().collect(),
            Self::Known(cards) => Ordinals::first(cards.len()),
        }
    }

    /// As a person knows them: `GPU 1`.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Unknown(numbers) => numbers.iter().map(|number| format!("GPU {number}")).collect(),
            Self::Known(cards) => cards.iter().map(CardId::to_string).collect(),
        }
    }

    /// A name for each that no other card of this machine has.
    pub fn keys(&self) -> Vec<String> {
        match self {
            Self::Unknown(numbers) => numbers.iter().map(|number| format!("gpu-{number}")).collect(),
            Self::Known(cards) => cards.iter().map(|card| card.uuid.clone()).collect(),
        }
    }
}
