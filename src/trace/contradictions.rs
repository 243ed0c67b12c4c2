//! Numbers of a trace that can't all be true. The tracer adds them up, and so they agree in what it writes; a file may be anybody's.

use std::collections::BTreeMap;

use super::shown_name;
use super::trace_v1::{File, Kernel, OfKind, Phase, Process, Sum};

/// Characters of a name in the sentence.
const NAME: usize = 100;
/// No time has a later one: 8 to each of 61 doublings, and 8 before them.
const MOST_BUCKETS: u16 = 8 * 62;

/// The first of them in one sentence.
pub fn first(file: &File) -> Option<String> {
    file.processes.iter().find_map(of_process)
}

fn of_process(process: &Process) -> Option<String> {
    process.phases.iter().find_map(|phase| of_phase(process, phase)).or_else(|| busier_than_kernels(process))
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
    all.find_map(|(what, sum)| Some(format!("{what}{place}: {}", of_sum(sum)?)))
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

/// Stretches in which kernels ran, taken together, aren't longer than the kernels. A stretch may reach into the next phase.
fn busier_than_kernels(process: &Process) -> Option<String> {
    let mut times: BTreeMap<u32, [u64; 2]> = BTreeMap::new();
    for phase in &process.phases {
        let busy = phase.devices.iter().map(|device| (device.device, 0, device.busy.total_ns));
        let kernels = phase.kernels.iter().map(|kernel| (kernel.device, 1, kernel.sum.total_ns));
        for (device, which, ns) in busy.chain(kernels) {
            let time = &mut times.entry(device).or_default()[which];
            *time = time.saturating_add(ns);
        }
    }
    let (device, [busy, kernels]) = times.into_iter().find(|(_, [busy, kernels])| busy > kernels)?;
    Some(format!("device {device} ran kernels for {busy} ns, and all kernels together take {kernels} ns"))
}
