//! Is the GPU ours alone? Numbers from a shared card are worth nothing.

use std::time::{Duration, Instant};

use super::gpu::{GpuProbe, GpuProcess, MIB};
use super::observer::{Observer, Update};
use crate::child::Stop;
use crate::error::{Error, Result};

const RETRY: Duration = Duration::from_millis(500);
/// What a display or a management daemon may use.
const IDLE_PERCENT: u32 = 10;
const IDLE_BYTES: u64 = 1024 * MIB;
/// The sharing daemon holds a context but doesn't compute.
const HARMLESS: &str = "nvidia-cuda-mps-server";

/// Waits until the GPU is idle, and refuses with the reasons when it isn't within `limit`.
///
/// Called when no worker of ours runs, so every process on the device is foreign. Returns false when told to stop.
pub fn wait_until_idle(gpu: u32, limit: Duration, observer: &mut dyn Observer, stop: &Stop) -> Result<bool> {
    let Some(probe) = GpuProbe::open(gpu) else {
        tracing::debug!("no NVML: unknown whether GPU {gpu} is idle");
        return Ok(true);
    };
    let start = Instant::now();
    let mut told = false;
    loop {
        let Some(reason) = busy(&probe.processes(), probe.utilization_percent(), probe.used_bytes()) else {
            return Ok(true);
        };
        if stop.is_requested() {
            return Ok(false);
        }
        let waited = start.elapsed();
        if waited >= limit {
            return Err(Error::measurement(format!(
                "GPU {gpu} is busy: {reason}; stop that or wait longer than {} s",
                limit.as_secs()
            )));
        }
        // Our own last worker takes a moment to leave: not worth a word.
        if !told && waited >= Duration::from_secs(2) {
            told = true;
            observer.update(Update::Waiting { reason: &format!("GPU {gpu} is busy: {reason}") });
        }
        std::thread::sleep(RETRY);
    }
}

/// Why the device isn't idle, if it isn't.
fn busy(processes: &[GpuProcess], percent: Option<u32>, used: Option<u64>) -> Option<String> {
    let foreign: Vec<String> =
        processes.iter().filter(|process| !process.name.contains(HARMLESS)).map(name_offender).collect();
    if !foreign.is_empty() {
        return Some(foreign.join(", "));
    }
    if let Some(percent) = percent.filter(|&percent| percent > IDLE_PERCENT) {
        return Some(format!("something that the driver doesn't name keeps it {percent}% busy"));
    }
    let used = used.filter(|&bytes| bytes > IDLE_BYTES)?;
    Some(format!("something that the driver doesn't name holds {} MiB", used / MIB))
}

fn name_offender(process: &GpuProcess) -> String {
    let name = crate::child::clean(&process.name, 64);
    match process.memory_mib {
        Some(mib) => format!("process {} ({name}, {mib} MiB)", process.pid),
        None => format!("process {} ({name})", process.pid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, memory_mib: Option<u64>) -> GpuProcess {
        GpuProcess { pid: 4242, name: name.to_owned(), memory_mib }
    }

    #[test]
    fn offenders_are_named() {
        let busy = |processes: &[GpuProcess]| busy(processes, Some(0), Some(0));
        assert_eq!(busy(&[]), None);
        assert_eq!(busy(&[process("python3", Some(512))]).as_deref(), Some("process 4242 (python3, 512 MiB)"));
        assert_eq!(busy(&[process("x\x1b[31m", None)]).as_deref(), Some("process 4242 (x [31m)"));
        assert_eq!(busy(&[process("nvidia-cuda-mps-server", Some(30))]), None);
    }

    #[test]
    fn nameless_use_is_noticed() {
        assert!(busy(&[], Some(97), None).unwrap().contains("97% busy"));
        assert!(busy(&[], None, Some(5000 * MIB)).unwrap().contains("5000 MiB"));
        assert_eq!(busy(&[], None, None), None, "unknown isn't busy");
    }
}
