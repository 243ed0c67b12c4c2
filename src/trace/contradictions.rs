//! Numbers of a trace that can't all be true. The tracer adds them up, and so they agree in what it writes; a file may be anybody's.

use std::collections::BTreeMap;

use super::shown_name;
use super::trace_v1::{Device, File, Kernel, OfKind, Phase, Process, Sum};

/// Characters of a name in the sentence.
const NAME: usize = 100;
/// No time has a later one: 8 to each of 61 doublings, and 8 before them.
const MOST_BUCKETS: u16 = 8 * 62;

/// The first of them in one sentence.
pub fn first(file: &File) -> Option<String> {
    file.processes.iter().find_map(of_process)
}

fn of_process(process: &Process) -> Option<String> {
    process.phases.iter().find_map(|phase| of_phase(process, phase)).or_else(|| busy_otherwise(process))
}

fn of_phase(process: &Process, phase: &Phase) -> Option<String> {
    let kernels = phase.kernels.iter().map(|kernel| (kernel_name(process, kernel), &kernel.sum));
    let kinds = [
        ("copies", &phase.copies),
        ("memory sets", &phase.sets),
        ("synchronisations", &phase.synchronizations),
        ("allocations", &phase.allocations),
        ("releases", &phase.releases),
    ];
    let beside = kinds.into_iter().flat_map(|(of, sums)| {
        sums.iter().map(move |OfKind { kind, sum, .. }| (format!("the {of} of kind {kind}"), sum))
    });
    let devices = phase.devices.iter().flat_map(|device| {
        let busy = (format!("the busy time of device {}", device.device), &device.busy);
        let gaps = device.gaps.as_ref().map(|gaps| (format!("the gaps of device {}", device.device), gaps));
        [Some(busy), gaps].into_iter().flatten()
    });
    let mut all = kernels.chain(beside).chain(devices);
    let place = if phase.name.is_empty() { String::new() } else { format!(", in the phase `{}`", cut(&phase.name)) };
    all.find_map(|(what, sum)| Some(format!("{what}{place}: {}", of_sum(sum)?))).or_else(|| {
        let gaps = |device: &Device| device.gaps.as_ref().map_or(0, |gaps| gaps.calls);
        let device = phase.devices.iter().find(|device| gaps(device) > device.busy.calls)?;
        let (number, gaps, stretches) = (device.device, gaps(device), device.busy.calls);
        Some(format!("device {number}{place} has more gaps ({gaps}) than stretches in which kernels ran ({stretches})"))
    })
}

fn kernel_name(process: &Process, kernel: &Kernel) -> String {
    let name = process.names.get(kernel.name).map(|name| shown_name(name)).unwrap_or_default();
    format!("the kernel `{}`", cut(&name))
}

fn cut(name: &str) -> String {
    name.chars().take(NAME).collect()
}

fn of_sum(sum: &Sum) -> Option<String> {
    let Sum { calls, bytes, total_ns, min_ns, max_ns, .. } = *sum;
    if calls == 0 {
        return (bytes > 0 || total_ns > 0).then(|| format!("0 calls take {total_ns} ns and have {bytes} bytes"));
    }
    if min_ns > max_ns {
        return Some(format!("the shortest call takes {min_ns} ns, and the longest {max_ns}"));
    }
    let (least, most) = (calls.saturating_mul(min_ns), calls.saturating_mul(max_ns));
    if !(least..=most).contains(&total_ns) {
        return Some(format!("{calls} calls of {min_ns} to {max_ns} ns take {total_ns} ns in all"));
    }
    of_buckets(sum)
}

/// How the calls are spread. Some files leave that out.
fn of_buckets(sum: &Sum) -> Option<String> {
    let Sum { calls, min_ns, max_ns, ref buckets, .. } = *sum;
    let (Some((first, _)), Some((last, _))) = (buckets.first(), buckets.last()) else { return None };
    if !buckets.is_sorted_by(|(one, _), (other, _)| one < other) || *last >= MOST_BUCKETS {
        return Some("its buckets are out of order".to_owned());
    }
    let counted = buckets.iter().fold(0u64, |all, (_, count)| all.saturating_add(*count));
    if counted != calls {
        return Some(format!("{calls} calls, of which {counted} have a time"));
    }
    let is_outside = min_ns < begin(*first) || max_ns < begin(*last) || begin(*first + 1) <= min_ns;
    is_outside.then(|| format!("calls of {min_ns} to {max_ns} ns are said to take other times"))
}

/// In nanoseconds: 8 buckets to each doubling, and one for each number below 8.
fn begin(bucket: u16) -> u64 {
    let (doubling, part) = (u32::from(bucket / 8), u64::from(bucket % 8));
    if doubling == 0 { part } else { (8 + part).checked_shl(doubling - 1).filter(|ns| *ns >= 8).unwrap_or(u64::MAX) }
}

/// What a device ran.
#[derive(Default)]
struct Ran {
    busy_ns: u64,
    kernels_ns: u64,
    longest_ns: u64,
}

/// Stretches in which kernels ran, taken together, aren't longer than the kernels, and not shorter than any of them. A stretch
/// may reach into the next phase.
fn busy_otherwise(process: &Process) -> Option<String> {
    let mut devices: BTreeMap<u32, Ran> = BTreeMap::new();
    for phase in &process.phases {
        for device in &phase.devices {
            let ran = devices.entry(device.device).or_default();
            ran.busy_ns = ran.busy_ns.saturating_add(device.busy.total_ns);
        }
        for Kernel { device, sum, .. } in &phase.kernels {
            let ran = devices.entry(*device).or_default();
            ran.kernels_ns = ran.kernels_ns.saturating_add(sum.total_ns);
            ran.longest_ns = ran.longest_ns.max(sum.max_ns);
        }
    }
    devices.into_iter().find_map(|(device, Ran { busy_ns, kernels_ns, longest_ns })| {
        let ran = format!("device {device} ran kernels for {busy_ns} ns");
        if busy_ns > kernels_ns {
            Some(format!("{ran}, and all kernels together take {kernels_ns} ns"))
        } else if busy_ns < longest_ns {
            Some(format!("{ran}, and one of them takes {longest_ns} ns"))
        } else {
            None
        }
    })
}
