//! The machine, as results files describe it.

use std::fs;

use crate::config::Suite;
use crate::device::memory::{MIB, system_bytes};
use crate::device::{self, Hardware, Versions};
use crate::results::{Environment, Gpu};

/// Describes this machine and the GPUs that `suite` uses.
pub fn environment(suite: &Suite) -> Environment {
    let gpus: Vec<Gpu> = suite
        .gpus
        .open()
        .iter()
        .map(|card| Gpu { uuid: Some(card.id().uuid.clone()), ..card.hardware().into() })
        .collect();
    let driver = device::driver().filter(|_| !gpus.is_empty());
    let versions = driver.map_or_else(Versions::default, |driver| driver.versions());
    let uname = rustix::system::uname();
    Environment {
        gpus,
        driver_version: versions.driver,
        cuda_version: versions.cuda,
        cpu: Some(cpu_model().unwrap_or_else(|| format!("unknown {}", std::env::consts::ARCH))),
        cpu_cores: std::thread::available_parallelism().ok().map(|cores| cores.get() as u32),
        memory_mib: system_bytes().map(|bytes| bytes / MIB),
        os: Some(os_name().unwrap_or_else(|| std::env::consts::OS.to_owned())),
        kernel: Some(uname.release().to_string_lossy().into_owned()),
    }
}

impl From<Hardware> for Gpu {
    fn from(card: Hardware) -> Self {
        Self {
            name: card.name,
            uuid: None,
            memory_mib: card.memory_bytes.map(|bytes| bytes / MIB),
            compute_capability: card.compute_capability.map(|(major, minor)| format!("{major}.{minor}")),
            power_limit_w: card.power_limit_w,
            ecc: card.ecc,
            max_sm_clock_mhz: card.max_sm_clock_mhz,
            max_memory_clock_mhz: card.max_memory_clock_mhz,
        }
    }
}

fn cpu_model() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn os_name() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}
