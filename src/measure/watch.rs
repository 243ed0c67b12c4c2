//! The device and the memory while a generation runs, seen from a second thread that looks rarely.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nvml_wrapper::bitmasks::device::ThrottleReasons;

use super::gpu::{GpuProbe, GpuSample, throttle_names};
use super::resident;
use crate::case::DeviceKind;
use crate::results::DeviceState;

/// The first look comes early, so that short generations have one.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// A look costs NVML about a millisecond on another core: under 0.5% of this.
const INTERVAL: Duration = Duration::from_millis(250);
/// NVML counts energy in steps of up to 100 ms: below this a difference is more step than energy.
const SHORTEST_ENERGY: Duration = Duration::from_secs(2);

/// Watches one device for as long as the worker lives.
pub struct Watcher {
    device: DeviceKind,
    gpu: Option<u32>,
    /// In use on the device before this process used it.
    base_bytes: u64,
}

/// A running observation; [`finish`](Watch::finish) ends it.
pub struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<Vec<GpuSample>>,
    started: std::time::Instant,
    energy_j: Option<f64>,
}

/// What was seen.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    pub peak_bytes: Option<u64>,
    pub energy_j: Option<f64>,
    pub device: Option<DeviceState>,
}

impl Watcher {
    /// Must come before the engine touches the device.
    pub fn new(device: DeviceKind, gpu: u32) -> Self {
        let probe = match device {
            DeviceKind::Cuda => GpuProbe::open(gpu),
            DeviceKind::Cpu => None,
        };
        let base_bytes = probe.as_ref().and_then(GpuProbe::used_bytes).unwrap_or(0);
        Self { device, gpu: probe.is_some().then_some(gpu), base_bytes }
    }

    pub fn start(&self) -> Watch {
        if self.device == DeviceKind::Cpu {
            resident::reset_peak();
        }
        let probe = self.probe();
        let energy_j = probe.as_ref().and_then(GpuProbe::energy_j);
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || probe.map(|probe| look(&probe, &stopped)).unwrap_or_default());
        Watch { stop, thread, started: std::time::Instant::now(), energy_j }
    }

    pub fn finish(&self, watch: Watch) -> Seen {
        let elapsed = watch.started.elapsed();
        let energy_j = self.probe().and_then(|probe| probe.energy_j());
        // The thread may have ended already, without a GPU.
        let _ = watch.stop.send(());
        let samples = watch.thread.join().unwrap_or_default();
        let energy_j = energy_j.zip(watch.energy_j).map(|(end, start)| end - start);
        Seen {
            peak_bytes: self.peak_bytes(&samples),
            energy_j: energy_j.filter(|&joules| joules > 0.0 && elapsed >= SHORTEST_ENERGY),
            device: state(&samples),
        }
    }

    fn probe(&self) -> Option<GpuProbe> {
        self.gpu.and_then(GpuProbe::open)
    }

    fn peak_bytes(&self, samples: &[GpuSample]) -> Option<u64> {
        match self.device {
            DeviceKind::Cpu => resident::peak_bytes(),
            DeviceKind::Cuda => {
                let peak = samples.iter().filter_map(GpuSample::held_bytes(self.base_bytes)).max();
                peak.filter(|&bytes| bytes > 0)
            }
        }
    }
}

impl GpuSample {
    /// What this process holds: NVML's count for it, or else what the device holds more than before.
    fn held_bytes(base: u64) -> impl Fn(&Self) -> Option<u64> {
        move |sample| sample.process_bytes.or_else(|| sample.used_bytes.map(|used| used.saturating_sub(base)))
    }
}

/// Looks until told to stop, and once more then.
fn look(probe: &GpuProbe, stopped: &Receiver<()>) -> Vec<GpuSample> {
    let mut samples = Vec::new();
    let mut wait = FIRST_LOOK;
    while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        samples.push(probe.sample());
        wait = INTERVAL;
    }
    // Clocks fall as soon as the work ends, so a last look only counts for memory, unless it is the only one.
    let last = probe.sample();
    samples.push(if samples.is_empty() { last } else { last.memory_only() });
    samples
}

fn state(samples: &[GpuSample]) -> Option<DeviceState> {
    let mean = |value: fn(&GpuSample) -> Option<f64>| {
        let values: Vec<f64> = samples.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| (values.iter().sum::<f64>() / values.len() as f64 * 10.0).round() / 10.0)
    };
    let max = |value: fn(&GpuSample) -> Option<f64>| samples.iter().filter_map(value).max_by(f64::total_cmp);
    let reasons = samples.iter().filter_map(|sample| sample.throttling).fold(ThrottleReasons::empty(), |a, b| a | b);
    let state = DeviceState {
        sm_clock_mhz: mean(|sample| sample.sm_clock_mhz),
        memory_clock_mhz: mean(|sample| sample.memory_clock_mhz),
        temperature_c: max(|sample| sample.temperature_c),
        power_w: mean(|sample| sample.power_w),
        throttle_reasons: throttle_names(reasons),
    };
    (state != DeviceState::default()).then_some(state)
}
