//! What NVIDIA's management library (NVML) tells about a GPU. Without a driver everything here says "unknown".

use std::sync::OnceLock;

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::{Device, Nvml, cuda_driver_version_major, cuda_driver_version_minor};

use crate::results::Gpu;

pub const MIB: u64 = 1024 * 1024;

/// A GPU as CUDA numbers it, seen through NVML.
pub struct GpuProbe {
    device: Device<'static>,
}

/// A process that computes on a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuProcess {
    pub pid: u32,
    pub name: String,
    pub memory_mib: Option<u64>,
}

/// One look at the device.
#[derive(Debug, Clone, Copy, Default)]
pub struct GpuSample {
    pub sm_clock_mhz: Option<f64>,
    pub memory_clock_mhz: Option<f64>,
    pub temperature_c: Option<f64>,
    pub power_w: Option<f64>,
    pub throttling: Option<ThrottleReasons>,
    /// Held by this process, where the driver tells.
    pub process_bytes: Option<u64>,
    /// In use on the whole device.
    pub used_bytes: Option<u64>,
}

impl GpuSample {
    /// Without what changes as soon as the work ends.
    pub fn memory_only(self) -> Self {
        Self { process_bytes: self.process_bytes, used_bytes: self.used_bytes, ..Self::default() }
    }
}

impl GpuProbe {
    /// The GPU that CUDA calls `index` in this environment; `None` without a driver.
    ///
    /// `CUDA_VISIBLE_DEVICES` renumbers CUDA's devices but not NVML's. Workers run with
    /// `CUDA_DEVICE_ORDER=PCI_BUS_ID`, NVML's order.
    pub fn open(index: u32) -> Option<Self> {
        let nvml = nvml()?;
        let device = match std::env::var("CUDA_VISIBLE_DEVICES") {
            Ok(visible) if !visible.trim().is_empty() => {
                let name = visible.split(',').nth(index as usize)?.trim().to_owned();
                match name.parse() {
                    Ok(physical) => nvml.device_by_index(physical),
                    Err(_) => nvml.device_by_uuid(name),
                }
            }
            _ => nvml.device_by_index(index),
        };
        device
            .inspect_err(|error| tracing::warn!("NVML doesn't show GPU {index}: {error}"))
            .ok()
            .map(|device| Self { device })
    }

    /// The same for a card in whatever slot and container.
    pub fn uuid(&self) -> Option<String> {
        self.device.uuid().ok()
    }

    pub fn describe(&self) -> Gpu {
        let device = &self.device;
        Gpu {
            name: device.name().unwrap_or_default(),
            memory_mib: device.memory_info().ok().map(|memory| memory.total / MIB),
            compute_capability: device.cuda_compute_capability().ok().map(|c| format!("{}.{}", c.major, c.minor)),
            power_limit_w: device.enforced_power_limit().ok().map(|mw| f64::from(mw) / 1000.0),
            ecc: device.is_ecc_enabled().ok().map(|ecc| ecc.currently_enabled),
            max_sm_clock_mhz: device.max_clock_info(Clock::SM).ok(),
            max_memory_clock_mhz: device.max_clock_info(Clock::Memory).ok(),
        }
    }

    /// Energy since the driver was loaded, in joules; older and some small cards don't count it.
    pub fn energy_j(&self) -> Option<f64> {
        self.device.total_energy_consumption().ok().map(|mj| mj as f64 / 1000.0)
    }

    /// Memory in use on the whole device, without what the driver reserves for itself.
    pub fn used_bytes(&self) -> Option<u64> {
        self.device.memory_info().ok().map(|memory| memory.used)
    }

    /// Share of the last moments in which a kernel ran, in percent.
    pub fn utilization_percent(&self) -> Option<u32> {
        self.device.utilization_rates().ok().map(|rates| rates.gpu)
    }

    /// Memory of the process `pid`; `None` where the driver hides it, as in many containers.
    fn process_bytes(&self, pid: u32) -> Option<u64> {
        let processes = self.device.running_compute_processes().ok()?;
        processes.iter().find(|process| process.pid == pid).and_then(|process| match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        })
    }

    /// Everyone who has a compute context on the device.
    pub fn processes(&self) -> Vec<GpuProcess> {
        let Ok(processes) = self.device.running_compute_processes() else { return Vec::new() };
        processes.iter().map(|process| GpuProcess::new(process.pid, &process.used_gpu_memory)).collect()
    }

    pub fn sample(&self) -> GpuSample {
        let device = &self.device;
        GpuSample {
            sm_clock_mhz: device.clock_info(Clock::SM).ok().map(f64::from),
            memory_clock_mhz: device.clock_info(Clock::Memory).ok().map(f64::from),
            temperature_c: device.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
            power_w: device.power_usage().ok().map(|mw| f64::from(mw) / 1000.0),
            throttling: device.current_throttle_reasons().ok(),
            process_bytes: self.process_bytes(std::process::id()),
            used_bytes: self.used_bytes(),
        }
    }
}

impl GpuProcess {
    fn new(pid: u32, memory: &UsedGpuMemory) -> Self {
        let name = nvml().and_then(|nvml| nvml.sys_process_name(pid, 64).ok());
        let memory_mib = match memory {
            UsedGpuMemory::Used(bytes) => Some(bytes / MIB),
            UsedGpuMemory::Unavailable => None,
        };
        Self { pid, name: name.unwrap_or_else(|| "unknown".to_owned()), memory_mib }
    }
}

/// The reasons that hold clocks down against the card's will, named as NVML does. Idling and clocks that someone
/// set on purpose aren't among them.
pub fn throttle_names(reasons: ThrottleReasons) -> Vec<String> {
    const HELD_DOWN: [(ThrottleReasons, &str); 6] = [
        (ThrottleReasons::SW_POWER_CAP, "sw_power_cap"),
        (ThrottleReasons::HW_SLOWDOWN, "hw_slowdown"),
        (ThrottleReasons::SYNC_BOOST, "sync_boost"),
        (ThrottleReasons::SW_THERMAL_SLOWDOWN, "sw_thermal_slowdown"),
        (ThrottleReasons::HW_THERMAL_SLOWDOWN, "hw_thermal_slowdown"),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "hw_power_brake_slowdown"),
    ];
    HELD_DOWN.iter().filter(|(reason, _)| reasons.contains(*reason)).map(|(_, name)| (*name).to_owned()).collect()
}

/// The driver's version and the newest CUDA that it supports.
pub fn versions() -> (Option<String>, Option<String>) {
    let Some(nvml) = nvml() else { return (None, None) };
    let cuda = nvml.sys_cuda_driver_version().ok();
    let cuda = cuda.map(|v| format!("{}.{}", cuda_driver_version_major(v), cuda_driver_version_minor(v)));
    (nvml.sys_driver_version().ok(), cuda)
}

fn nvml() -> Option<&'static Nvml> {
    static NVML: OnceLock<Option<Nvml>> = OnceLock::new();
    NVML.get_or_init(|| Nvml::init().inspect_err(|error| tracing::debug!("no NVML: {error}")).ok()).as_ref()
}
