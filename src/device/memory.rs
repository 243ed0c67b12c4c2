//! The machine's memory.

use crate::case::DeviceKind;

pub const MIB: u64 = 1 << 20;

/// In bytes, where /proc tells.
pub fn system_bytes() -> Option<u64> {
    total(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// What this process and its kin may have of it: a container has a limit.
pub fn allowed_bytes() -> Option<u64> {
    let limit = |path: &&str| limit(&std::fs::read_to_string(path).ok()?);
    system_bytes().into_iter().chain(LIMITS.iter().filter_map(limit)).min()
}

/// Where the kernel tells the limit, of control groups of version 2 and 1.
const LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// `max` is none; version 1 has a number that no machine has.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// All that a process on such a device can have, in bytes: the machine's memory, what it swaps, and that of its cards. `None`
/// where a part isn't known.
pub fn all_bytes(device: DeviceKind) -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let swap = size(&meminfo, "SwapTotal:").unwrap_or(0);
    Some(total(&meminfo)? + swap + cards(device)?)
}

fn cards(device: DeviceKind) -> Option<u64> {
    match (device, super::driver()) {
        (DeviceKind::Cpu, _) => Some(0),
        (DeviceKind::Cuda, None) => None,
        (DeviceKind::Cuda, Some(driver)) => {
            driver.cards().iter().map(|card| driver.card(&card.uuid)?.hardware().memory_bytes).sum()
        }
    }
}

fn total(meminfo: &str) -> Option<u64> {
    size(meminfo, "MemTotal:")
}

fn size(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_may_have_a_limit() {
        assert_eq!([limit("max\n"), limit("536870912\n")], [None, Some(512 * MIB)]);
    }

    #[test]
    fn the_total_is_in_bytes() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       16384 kB\n"), Some(16 * MIB));
        assert_eq!(total("MemTotal: 16384 pages\n"), None);
    }
}
