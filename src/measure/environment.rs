//! The machine, as results files describe it.

use std::collections::BTreeSet;
use std::fs;

use super::gpu::{GpuProbe, versions};
use crate::case::DeviceKind;
use crate::config::Suite;
use crate::results::Environment;

/// Describes this machine and the GPUs that `suite` uses.
pub fn environment(suite: &Suite) -> Environment {
    let gpus: Vec<_> = gpus(suite).into_iter().filter_map(GpuProbe::open).map(|gpu| gpu.describe()).collect();
    let (driver_version, cuda_version) = if gpus.is_empty() { (None, None) } else { versions() };
    let uname = rustix::system::uname();
    Environment {
        gpus,
        driver_version,
        cuda_version,
        cpu: Some(cpu_model().unwrap_or_else(|| format!("unknown {}", std::env::consts::ARCH))),
        cpu_cores: std::thread::available_parallelism().ok().map(|cores| cores.get() as u32),
        memory_mib: total_memory_mib(),
        os: Some(os_name().unwrap_or_else(|| std::env::consts::OS.to_owned())),
        kernel: Some(uname.release().to_string_lossy().into_owned()),
    }
}

/// The GPUs that the suite's models run on, in order.
pub(super) fn gpus(suite: &Suite) -> BTreeSet<u32> {
    let on_gpu = suite.models.iter().filter(|model| model.spec.device == DeviceKind::Cuda);
    on_gpu.map(|model| model.spec.gpu).collect()
}

fn cpu_model() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn total_memory_mib() -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 =
        info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024)
}

fn os_name() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}
