//! What a driver reports about its cards. What it doesn't report is `None`.

use std::collections::BTreeSet;
use std::fmt;

use crate::hex::hex;

/// The cards of a machine.
pub trait Driver: Send + Sync {
    /// All cards, in the order of their places on the bus: that of `nvidia-smi`.
    fn cards(&self) -> Vec<CardId>;

    /// The card, or the part of one (MIG), with that UUID.
    fn card(&self, uuid: &str) -> Option<Box<dyn Card>>;

    /// Of the driver itself.
    fn versions(&self) -> Versions;
}

/// Which card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardId {
    /// The driver's number of it; a part of a card (MIG) has none.
    pub index: Option<u32>,
    /// The same in whatever slot, container and process.
    pub uuid: String,
    /// Its model.
    pub name: String,
}

impl CardId {
    /// As a person names it.
    pub fn number_or_uuid(&self) -> String {
        self.index.map_or_else(|| self.uuid.clone(), |index| index.to_string())
    }
}

/// One card.
pub trait Card: Send + Sync {
    /// Which card it is.
    fn id(&self) -> &CardId;

    /// What it is made of.
    fn hardware(&self) -> Hardware;

    /// Energy since the driver was loaded, in joules; older and some small cards don't count it.
    fn energy_j(&self) -> Option<f64>;

    /// Memory in use on the whole card, without what the driver reserves for itself.
    fn used_bytes(&self) -> Option<u64>;

    /// Share of the last moments in which a kernel ran, in percent.
    fn utilization_percent(&self) -> Option<u32>;

    /// Everyone who has a compute context on the card, where the driver tells.
    fn processes(&self) -> Option<Vec<GpuProcess>>;

    /// What the process with that id is called, where the driver may tell.
    fn process_name(&self, pid: u32) -> Option<String>;

    /// One look at it, now.
    fn sample(&self) -> CardSample;
}

/// What a card is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hardware {
    /// Its model, such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// All of its memory.
    pub memory_bytes: Option<u64>,
    /// Major and minor: 9 and 0 for an H100.
    pub compute_capability: Option<(i32, i32)>,
    /// The limit in force, in watts.
    pub power_limit_w: Option<f64>,
    /// Does its memory correct errors? That costs some cards bandwidth.
    pub ecc: Option<bool>,
    /// The highest clock of its processors, in MHz.
    pub max_sm_clock_mhz: Option<u32>,
    /// The highest clock of its memory, in MHz.
    pub max_memory_clock_mhz: Option<u32>,
    /// Lines between processors and memory.
    pub bus_width_bits: Option<u32>,
    /// CUDA cores.
    pub cores: Option<u32>,
}

/// The driver's version, and the newest CUDA that it supports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// Such as `570.86.10`.
    pub driver: Option<String>,
    /// Such as `12.8`.
    pub cuda: Option<String>,
}

/// A process that computes on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpuProcess {
    /// The process's id, as the driver tells it.
    pub pid: u32,
    /// Memory that it holds on the card; hidden in many containers.
    pub bytes: Option<u64>,
}

/// One look at a card.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CardSample {
    /// Clock of the processors, in MHz.
    pub sm_clock_mhz: Option<f64>,
    /// Clock of the memory, in MHz.
    pub memory_clock_mhz: Option<f64>,
    /// Of the processor, in degrees Celsius.
    pub temperature_c: Option<f64>,
    /// What it takes, in watts.
    pub power_w: Option<f64>,
    /// What holds its clocks down.
    pub throttling: BTreeSet<Throttle>,
}

/// A reason for which the driver lowers the clocks below what was set. Idling and clocks that someone set on purpose aren't
/// among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Throttle {
    /// The driver keeps it below the power limit.
    SwPowerCap,
    /// The hardware halves the clocks, or more: heat, power brake or power supply.
    HwSlowdown,
    /// Another card of its group is held down, and they go together.
    SyncBoost,
    /// The driver keeps it below its highest operating temperature.
    SwThermalSlowdown,
    /// The hardware cools it down.
    HwThermalSlowdown,
    /// The machine's power supply asks for it.
    HwPowerBrakeSlowdown,
}

impl Throttle {
    /// As NVML names it.
    pub fn word(self) -> &'static str {
        match self {
            Self::SwPowerCap => "sw_power_cap",
            Self::HwSlowdown => "hw_slowdown",
            Self::SyncBoost => "sync_boost",
            Self::SwThermalSlowdown => "sw_thermal_slowdown",
            Self::HwThermalSlowdown => "hw_thermal_slowdown",
            Self::HwPowerBrakeSlowdown => "hw_power_brake_slowdown",
        }
    }
}

/// A card's UUID as the driver's library writes it; CUDA has the bytes.
pub fn uuid_of(bytes: [u8; 16]) -> String {
    let hex = hex(&bytes);
    format!("GPU-{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// As a person knows it: `GPU 1`.
impl fmt::Display for CardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "GPU {index}"),
            None => f.write_str(&self.uuid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_written_as_nvidia_smi_does() {
        let bytes = 0x3a11_cd46_8af1_4da2_c478_f1ae_3913_7802_u128.to_be_bytes();
        assert_eq!(uuid_of(bytes), "GPU-3a11cd46-8af1-4da2-c478-f1ae39137802");
    }
}
