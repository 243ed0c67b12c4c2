//! The device at hand, as planning needs it: is there a GPU, how large and how fast is it.

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::Clock;
use serde::Serialize;

use crate::case::DeviceKind;

/// What a device can hold and do, roughly.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capacity {
    pub name: String,
    /// Bytes; `None` when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Memory bandwidth in bytes per second.
    pub bandwidth: f64,
    /// Floating-point operations per second of matrix products.
    pub flops: f64,
}

/// The device that `device = "auto"` stands for: a GPU if this build can use one and there is one.
pub fn at_hand() -> DeviceKind {
    let gpus = || Nvml::init().and_then(|nvml| nvml.device_count()).unwrap_or(0);
    if cfg!(feature = "cuda") && gpus() > 0 { DeviceKind::Cuda } else { DeviceKind::Cpu }
}

impl Capacity {
    /// The capacity of that kind of device on this machine.
    pub fn of(device: DeviceKind, gpu: u32) -> Self {
        match device {
            DeviceKind::Cpu => Self::cpu(),
            DeviceKind::Cuda => Self::gpu(gpu).unwrap_or_else(Self::reference_gpu),
        }
    }

    /// A card that everybody knows, where there is none at hand: the one of Qwen's published tables.
    fn reference_gpu() -> Self {
        Self {
            name: "an assumed A100 80GB (no GPU here)".into(),
            memory: Some(80 << 30),
            bandwidth: 2.0e12,
            flops: 312e12,
        }
    }

    fn gpu(index: u32) -> Option<Self> {
        let nvml = Nvml::init().ok()?;
        let device = nvml.device_by_index(index).ok()?;
        let hertz = |clock| device.max_clock_info(clock).ok().map(|mhz| f64::from(mhz) * 1e6);
        // Two transfers a clock.
        let bandwidth = hertz(Clock::Memory)? * 2.0 * f64::from(device.memory_bus_width().ok()?) / 8.0;
        let capability = device.cuda_compute_capability().ok()?;
        // Dense bf16 operations a clock and multiprocessor, and its cores, by NVIDIA's white papers.
        let (operations, cores) = match (capability.major, capability.minor) {
            (9.., _) => (4096.0, 128),
            (8, 0) => (2048.0, 64),
            _ => (1024.0, 128),
        };
        let multiprocessors = f64::from(device.num_cores().ok()? / cores);
        Some(Self {
            name: device.name().ok()?,
            memory: Some(device.memory_info().ok()?.total),
            bandwidth,
            flops: operations * multiprocessors * hertz(Clock::SM)?,
        })
    }

    /// An ordinary processor: there is no cheap way to know better.
    fn cpu() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            name: format!("CPU with {cores} cores"),
            memory: system_memory(),
            bandwidth: 15e9,
            flops: 50e9 * cores as f64,
        }
    }
}

/// The machine's memory in bytes, where /proc tells.
fn system_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}
