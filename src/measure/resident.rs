//! The most resident memory of this process and those that it started, from Linux's /proc.

use std::fs;

use crate::device::Ours;

/// Starts counting anew (`man 5 proc`: writing 5 to `clear_refs` resets `VmHWM`).
///
/// Where that isn't allowed the count keeps what loading needed, which is the same in every run.
#[expect(clippy::disallowed_methods, reason = "a switch of the kernel, and no file")]
pub fn reset_peak() {
    for pid in Ours::this_process().running() {
        if let Err(error) = fs::write(format!("/proc/{pid}/clear_refs"), "5") {
            tracing::debug!("can't reset the peak of resident memory of {pid}: {error}");
        }
    }
}

/// The peaks since the last reset, added up; `None` where the system doesn't tell.
pub fn peak_bytes() -> Option<u64> {
    Ours::this_process().running().into_iter().map(peak_of).sum::<Option<u64>>().filter(|&bytes| bytes > 0)
}

/// A process that has ended meanwhile holds nothing.
fn peak_of(pid: u32) -> Option<u64> {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return Some(0) };
    let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) else { return Some(0) };
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_seen_and_forgotten() {
        const BYTES: usize = 256 << 20;
        drop(std::hint::black_box(vec![1_u8; BYTES]));
        let with = peak_bytes().unwrap();
        assert!(with > BYTES as u64);
        reset_peak();
        assert!(peak_bytes().unwrap() < with - BYTES as u64 / 2);
    }
}
