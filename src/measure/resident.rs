//! The most resident memory of this process, from Linux's /proc.

use std::fs;

/// Starts counting anew (`man 5 proc`: writing 5 to `clear_refs` resets `VmHWM`).
///
/// Where that isn't allowed the count keeps what loading needed, which is the same in every run.
#[expect(clippy::disallowed_methods, reason = "a switch of the kernel, and no file")]
pub fn reset_peak() {
    if let Err(error) = fs::write("/proc/self/clear_refs", "5") {
        tracing::debug!("can't reset the peak of resident memory: {error}");
    }
}

/// The peak since the last reset; `None` where the system doesn't tell.
pub fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
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
