//! What a device can hold and do, as planning needs it.

use serde::Serialize;

use super::driver::Hardware;
use super::gpus::Gpus;
use super::memory;
use crate::case::DeviceKind;

/// What the reference card is called, where there is none.
const ASSUMED: &str = "an assumed A100 80GB (no GPU here)";
/// The same with memory of another size.
const ASSUMED_OF_ANY_SIZE: &str = "an assumed GPU as fast as an A100 (no GPU here)";

/// What a device can hold and do, roughly; of several GPUs, all together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capacity {
    /// For a person, such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Bytes; `None` when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Memory bandwidth in bytes per second.
    pub bandwidth: f64,
    /// Floating-point operations per second of matrix products.
    pub flops: f64,
    /// Each of several GPUs, in the order in which they were named; empty where there is one device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_card: Vec<CardCapacity>,
}

/// What one of several GPUs can hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CardCapacity {
    /// Which one: `GPU 1`.
    pub card: String,
    /// Its model, for a person.
    pub name: String,
    /// Bytes; `None` when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

impl Capacity {
    /// The capacity of that kind of device on this machine.
    pub fn of(device: DeviceKind, gpus: &Gpus) -> Self {
        match device {
            DeviceKind::Cpu => Self::cpu(),
            DeviceKind::Cuda => {
                let cards: Vec<Self> = gpus.open().iter().map(|card| Self::gpu(&card.hardware())).collect();
                // All of them, or none: the driver may not show some.
                let known = cards.len() == gpus.count() && !cards.is_empty();
                let cards = if known { cards } else { vec![Self::reference_gpu(); gpus.count().max(1)] };
                Self::together(&gpus.names(), cards)
            }
        }
    }

    /// Devices with so many bytes each.
    #[must_use]
    pub fn with_memory_each(mut self, bytes: u64) -> Self {
        let of_any_size = |name: &str| name.replace(ASSUMED, ASSUMED_OF_ANY_SIZE);
        self.name = of_any_size(&self.name);
        self.memory = Some(bytes * self.by_card.len().max(1) as u64);
        for card in &mut self.by_card {
            (card.name, card.memory) = (of_any_size(&card.name), Some(bytes));
        }
        self
    }

    /// The card of Qwen's published tables, for machines without one.
    fn reference_gpu() -> Self {
        Self { name: ASSUMED.into(), memory: Some(80 << 30), bandwidth: 2.0e12, flops: 312e12, by_card: Vec::new() }
    }

    /// What a card doesn't report is taken from the reference card.
    fn gpu(card: &Hardware) -> Self {
        let usual = Self::reference_gpu();
        Self {
            name: card.name.clone(),
            memory: card.memory_bytes,
            bandwidth: bandwidth(card).unwrap_or(usual.bandwidth),
            flops: flops(card).unwrap_or(usual.flops),
            by_card: Vec::new(),
        }
    }

    /// A model is spread evenly, so that each card counts as the weakest.
    fn together(names: &[String], cards: Vec<Self>) -> Self {
        let count = cards.len();
        let each = names.iter().zip(&cards).map(|(card, Self { name, memory, .. })| CardCapacity {
            card: card.clone(),
            name: name.clone(),
            memory: *memory,
        });
        let by_card = if count > 1 { each.collect() } else { Vec::new() };
        let name = together(cards.iter().map(|card| card.name.as_str()).collect());
        let all = cards.into_iter().reduce(|a, b| Self {
            name: String::new(),
            memory: a.memory.zip(b.memory).map(|(a, b)| a.min(b)),
            bandwidth: a.bandwidth.min(b.bandwidth),
            flops: a.flops.min(b.flops),
            by_card: Vec::new(),
        });
        let weakest = all.unwrap_or_else(Self::reference_gpu);
        Self {
            name,
            memory: weakest.memory.map(|bytes| bytes * count as u64),
            bandwidth: weakest.bandwidth * count as f64,
            flops: weakest.flops * count as f64,
            by_card,
        }
    }

    /// An ordinary processor: there is no cheap way to know better.
    fn cpu() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            name: format!("CPU with {cores} cores"),
            memory: memory::allowed_bytes(),
            bandwidth: 15e9,
            flops: 50e9 * cores as f64,
            by_card: Vec::new(),
        }
    }
}

/// `2x NVIDIA H100`, or the names of unlike cards.
fn together(mut names: Vec<&str>) -> String {
    let count = names.len();
    names.dedup();
    match names[..] {
        [name] if count > 1 => format!("{count}x {name}"),
        _ => names.join(", "),
    }
}

/// Bytes a second: two transfers a clock.
fn bandwidth(card: &Hardware) -> Option<f64> {
    Some(hertz(card.max_memory_clock_mhz)? * 2.0 * f64::from(card.bus_width_bits?) / 8.0)
}

fn flops(card: &Hardware) -> Option<f64> {
    // Dense bf16 operations a clock and multiprocessor, and its cores, by NVIDIA's white papers.
    let (operations, cores) = match card.compute_capability? {
        (9.., _) => (4096.0, 128),
        (8, 0) => (2048.0, 64),
        _ => (1024.0, 128),
    };
    Some(operations * f64::from(card.cores? / cores) * hertz(card.max_sm_clock_mhz)?)
}

fn hertz(mhz: Option<u32>) -> Option<f64> {
    mhz.map(|mhz| f64::from(mhz) * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h100() -> Hardware {
        Hardware {
            name: "NVIDIA H100 80GB HBM3".into(),
            memory_bytes: Some(80 << 30),
            compute_capability: Some((9, 0)),
            max_sm_clock_mhz: Some(1980),
            max_memory_clock_mhz: Some(2619),
            bus_width_bits: Some(5120),
            cores: Some(16_896),
            ..Hardware::default()
        }
    }

    /// NVIDIA's data sheet says 3.35 TB/s and 989 Tflop/s, at a lower clock.
    #[test]
    fn a_card_is_known_by_what_it_is_made_of() {
        let capacity = Capacity::gpu(&h100());
        assert_eq!(capacity.bandwidth, 2619e6 * 2.0 * 640.0);
        assert_eq!(capacity.flops, 4096.0 * 132.0 * 1980e6);
    }

    #[test]
    fn what_a_card_does_not_tell_makes_it_no_other_card() {
        let capacity = Capacity::gpu(&Hardware { bus_width_bits: None, ..h100() });
        assert_eq!((capacity.name.as_str(), capacity.memory), ("NVIDIA H100 80GB HBM3", Some(80 << 30)));
        assert_eq!(capacity.bandwidth, Capacity::reference_gpu().bandwidth);
    }

    #[test]
    fn several_cards_hold_and_do_as_many_times_the_weakest() {
        let card = |memory, bandwidth| Capacity {
            name: "a".into(),
            memory: Some(memory),
            bandwidth,
            flops: 3.0,
            by_card: Vec::new(),
        };
        let names = ["GPU 2", "GPU 0"].map(str::to_owned);
        let of =
            |place: usize, bytes| CardCapacity { card: names[place].clone(), name: "a".into(), memory: Some(bytes) };
        let by_card = vec![of(0, 4), of(1, 5)];
        let two = Capacity { name: "2x a".into(), memory: Some(8), bandwidth: 2.0, flops: 6.0, by_card };
        assert_eq!(Capacity::together(&names, vec![card(4, 1.0), card(5, 9.0)]), two);
        assert_eq!(Capacity::together(&names[..1], vec![card(4, 1.0)]), card(4, 1.0));
        let seven = two.with_memory_each(7);
        assert_eq!((seven.memory, seven.by_card), (Some(14), vec![of(0, 7), of(1, 7)]));
        assert_eq!(card(4, 1.0).with_memory_each(7), card(7, 1.0));
    }
}
