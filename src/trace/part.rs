//! A phase of a program, or all of it.

use std::collections::{BTreeMap, BTreeSet};

use super::Sum;

/// What happened, added up over devices and processes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    pub kernels: BTreeMap<Shape, Kernel>,
    /// By what CUPTI calls their kinds.
    pub copies: BTreeMap<u32, Sum>,
    pub sets: Sum,
    pub synchronizations: BTreeMap<u32, Sum>,
    pub allocations: BTreeMap<u32, Sum>,
    pub releases: BTreeMap<u32, Sum>,
    pub graph_launches: u64,
    /// Processes and the devices on which they ran kernels.
    pub devices: BTreeSet<(u32, u32)>,
    /// Stretches of time in which kernels ran, and those between them in which none did.
    pub busy: Sum,
    pub gaps: Sum,
}

/// Calls of a kernel that are alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    /// As a person reads it.
    pub name: String,
    pub grid: [u32; 3],
    pub block: [u32; 3],
}

/// What is known of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kernel {
    pub sum: Sum,
    /// Of a thread, and bytes of a block: the most of any.
    pub registers: u16,
    pub shared_bytes: u64,
}

/// A kind of copy, synchronisation or memory, as CUPTI numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Copy(u32),
    Synchronization(u32),
    Memory(u32),
}

impl Kind {
    /// In words, where this build has some.
    pub fn words(self) -> Option<&'static str> {
        Some(match self {
            Self::Copy(1) => "host to device",
            Self::Copy(2) => "device to host",
            Self::Copy(8) => "device to device",
            Self::Copy(9) => "host to host",
            Self::Copy(10) => "between devices",
            Self::Synchronization(1) => "of an event",
            Self::Synchronization(2) => "a stream with an event",
            Self::Synchronization(3) => "of a stream",
            Self::Synchronization(4) => "of a device",
            Self::Memory(1) => "pageable memory",
            Self::Memory(2) => "pinned memory",
            Self::Memory(3) => "device memory",
            Self::Memory(5 | 7) => "managed memory",
            Self::Memory(6) => "variables of modules",
            _ => return None,
        })
    }

    pub fn number(self) -> u32 {
        match self {
            Self::Copy(number) | Self::Synchronization(number) | Self::Memory(number) => number,
        }
    }
}

impl Part {
    /// With another.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for (shape, kernel) in &other.kernels {
            self.kernels.entry(shape.clone()).or_default().add(kernel);
        }
        add_all(&mut self.copies, &other.copies);
        add_all(&mut self.synchronizations, &other.synchronizations);
        add_all(&mut self.allocations, &other.allocations);
        add_all(&mut self.releases, &other.releases);
        self.devices.extend(&other.devices);
        self.sets.add(&other.sets);
        self.busy.add(&other.busy);
        self.gaps.add(&other.gaps);
        self.graph_launches = self.graph_launches.saturating_add(other.graph_launches);
        self
    }

    /// What it has more than another: a generation of many tokens without one of a single token is the decoding of the rest.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let kernels = self.kernels.iter().map(|(shape, kernel)| {
            let sum = other.kernels.get(shape).map_or(kernel.sum.clone(), |other| kernel.sum.without(&other.sum));
            (shape.clone(), Kernel { sum, ..kernel.clone() })
        });
        Self {
            kernels: kernels.filter(|(_, kernel)| kernel.sum.calls > 0).collect(),
            copies: less(&self.copies, &other.copies),
            sets: self.sets.without(&other.sets),
            synchronizations: less(&self.synchronizations, &other.synchronizations),
            allocations: less(&self.allocations, &other.allocations),
            releases: less(&self.releases, &other.releases),
            graph_launches: self.graph_launches.saturating_sub(other.graph_launches),
            devices: self.devices.clone(),
            busy: self.busy.without(&other.busy),
            gaps: self.gaps.without(&other.gaps),
        }
    }

    pub fn launches(&self) -> u64 {
        self.kernels.values().fold(0, |sum, kernel| sum.saturating_add(kernel.sum.calls))
    }

    /// Of all kernels; those that run at the same time count both.
    pub fn kernel_ms(&self) -> f64 {
        self.kernels.values().map(|kernel| kernel.sum.total_ms()).sum()
    }

    /// From the first kernel to the last, without the time between windows of a phase; of each device and process.
    pub fn span_ms(&self) -> f64 {
        self.busy.total_ms() + self.gaps.total_ms()
    }
}

impl Kernel {
    pub fn add(&mut self, other: &Self) {
        self.sum.add(&other.sum);
        self.registers = self.registers.max(other.registers);
        self.shared_bytes = self.shared_bytes.max(other.shared_bytes);
    }
}

fn less(from: &BTreeMap<u32, Sum>, other: &BTreeMap<u32, Sum>) -> BTreeMap<u32, Sum> {
    let without = |kind: &u32, sum: &Sum| other.get(kind).map_or(sum.clone(), |other| sum.without(other));
    let left = from.iter().map(|(kind, sum)| (*kind, without(kind, sum)));
    left.filter(|(_, sum)| sum.calls > 0).collect()
}

fn add_all(to: &mut BTreeMap<u32, Sum>, from: &BTreeMap<u32, Sum>) {
    from.iter().for_each(|(kind, sum)| to.entry(*kind).or_default().add(sum));
}
