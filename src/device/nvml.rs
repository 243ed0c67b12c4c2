//! NVIDIA's management library (NVML), the one place that opens it.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml, cuda_driver_version_major, cuda_driver_version_minor};

use super::driver::{Card, CardId, CardSample, Driver, GpuProcess, Hardware, Throttle, Versions};

/// The driver of this machine's NVIDIA cards, if there is one.
pub fn driver() -> Option<&'static dyn Driver> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    LIBRARY.get_or_init(Library::open).as_ref().map(|library| library as &dyn Driver)
}

/// The library, which stays open as long as the program runs.
struct Library(&'static Nvml);

impl Library {
    #[expect(clippy::disallowed_methods, reason = "the one place that opens it")]
    fn open() -> Option<Self> {
        let nvml = Nvml::init().inspect_err(|error| tracing::debug!("no NVML: {error}")).ok()?;
        Some(Self(Box::leak(Box::new(nvml))))
    }
}

impl Driver for Library {
    fn cards(&self) -> Vec<CardId> {
        let indices = 0..self.0.device_count().unwrap_or(0);
        let ids = indices.map(|index| id(&self.0.device_by_index(index)?));
        ids.filter_map(|id| id.inspect_err(unseen).ok()).collect()
    }

    fn card(&self, uuid: &str) -> Option<Box<dyn Card>> {
        let device = self.0.device_by_uuid(uuid).inspect_err(unseen).ok()?;
        let id = id(&device).inspect_err(unseen).ok()?;
        Some(Box::new(NvmlCard { nvml: self.0, device, id }))
    }

    fn versions(&self) -> Versions {
        let words = |v| format!("{}.{}", cuda_driver_version_major(v), cuda_driver_version_minor(v));
        Versions { driver: self.0.sys_driver_version().ok(), cuda: self.0.sys_cuda_driver_version().ok().map(words) }
    }
}

fn id(device: &Device) -> Result<CardId, NvmlError> {
    Ok(CardId { index: device.index().ok(), uuid: device.uuid()?, name: device.name().unwrap_or_default() })
}

fn unseen(error: &NvmlError) {
    tracing::warn!("NVML doesn't show a GPU: {error}");
}

/// A card, seen through NVML.
struct NvmlCard {
    nvml: &'static Nvml,
    device: Device<'static>,
    id: CardId,
}

impl Card for NvmlCard {
    fn id(&self) -> &CardId {
        &self.id
    }

    fn hardware(&self) -> Hardware {
        let device = &self.device;
        Hardware {
            name: self.id.name.clone(),
            memory_bytes: device.memory_info().ok().map(|memory| memory.total),
            compute_capability: device.cuda_compute_capability().ok().map(|c| (c.major, c.minor)),
            power_limit_w: device.enforced_power_limit().ok().map(|mw| f64::from(mw) / 1000.0),
            ecc: device.is_ecc_enabled().ok().map(|ecc| ecc.currently_enabled),
            max_sm_clock_mhz: device.max_clock_info(Clock::SM).ok(),
            max_memory_clock_mhz: device.max_clock_info(Clock::Memory).ok(),
            bus_width_bits: device.memory_bus_width().ok(),
            cores: device.num_cores().ok(),
        }
    }

    fn energy_j(&self) -> Option<f64> {
        self.device.total_energy_consumption().ok().map(|mj| mj as f64 / 1000.0)
    }

    fn used_bytes(&self) -> Option<u64> {
        self.device.memory_info().ok().map(|memory| memory.used)
    }

    fn utilization_percent(&self) -> Option<u32> {
        self.device.utilization_rates().ok().map(|rates| rates.gpu)
    }

    fn processes(&self) -> Option<Vec<GpuProcess>> {
        let processes = self.device.running_compute_processes().ok()?;
        let known = |process: &ProcessInfo| GpuProcess { pid: process.pid, bytes: known(&process.used_gpu_memory) };
        Some(processes.iter().map(known).collect())
    }

    fn process_name(&self, pid: u32) -> Option<String> {
        self.nvml.sys_process_name(pid, 64).ok()
    }

    fn sample(&self) -> CardSample {
        let device = &self.device;
        CardSample {
            sm_clock_mhz: device.clock_info(Clock::SM).ok().map(f64::from),
            memory_clock_mhz: device.clock_info(Clock::Memory).ok().map(f64::from),
            temperature_c: device.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
            power_w: device.power_usage().ok().map(|mw| f64::from(mw) / 1000.0),
            throttling: device.current_throttle_reasons().map(throttling).unwrap_or_default(),
        }
    }
}

fn known(memory: &UsedGpuMemory) -> Option<u64> {
    match memory {
        UsedGpuMemory::Used(bytes) => Some(*bytes),
        UsedGpuMemory::Unavailable => None,
    }
}

fn throttling(reasons: ThrottleReasons) -> BTreeSet<Throttle> {
    const HELD_DOWN: [(ThrottleReasons, Throttle); 6] = [
        (ThrottleReasons::SW_POWER_CAP, Throttle::SwPowerCap),
        (ThrottleReasons::HW_SLOWDOWN, Throttle::HwSlowdown),
        (ThrottleReasons::SYNC_BOOST, Throttle::SyncBoost),
        (ThrottleReasons::SW_THERMAL_SLOWDOWN, Throttle::SwThermalSlowdown),
        (ThrottleReasons::HW_THERMAL_SLOWDOWN, Throttle::HwThermalSlowdown),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, Throttle::HwPowerBrakeSlowdown),
    ];
    HELD_DOWN.into_iter().filter(|(reason, _)| reasons.contains(*reason)).map(|(_, throttle)| throttle).collect()
}
