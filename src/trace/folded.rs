//! A trace as folded stacks, which flame graphs are made of: `phase;operation;kernel NANOSECONDS`, a line each.

use std::collections::BTreeMap;

use super::part::Kind;
use super::timeline::plain;
use super::{Part, Sum, Trace};

/// Of all phases, or of one. Kernels, copies and memory sets that run at the same time count each; what the host waits for is
/// left out, as it waits for these.
pub fn text(trace: &Trace, phase: Option<&str>) -> String {
    let mut stacks: BTreeMap<String, u64> = BTreeMap::new();
    let wanted = trace.phases.iter().filter(|(name, _)| phase.is_none_or(|phase| phase == name));
    for (name, part) in wanted {
        for (frames, ns) in of_part(part) {
            let phase = if name.is_empty() { "(no phase)" } else { name };
            let frames: Vec<String> = std::iter::once(phase).chain(frames).map(frame).collect();
            let sum = stacks.entry(frames.join(";")).or_default();
            *sum = sum.saturating_add(ns);
        }
    }
    stacks.iter().filter(|(_, ns)| **ns > 0).map(|(stack, ns)| format!("{stack} {ns}\n")).collect()
}

fn of_part(part: &Part) -> Vec<(Vec<&str>, u64)> {
    let mut stacks = Vec::new();
    let kernels =
        part.kernels.iter().map(|(shape, kernel)| (vec!["kernels", shape.name.as_str()], kernel.sum.total_ns));
    stacks.extend(kernels);
    stacks.extend(part.copies.iter().map(|(kind, sum)| copies(*kind, sum)));
    stacks.push((vec!["memory sets"], part.sets.total_ns));
    stacks.push((vec!["no kernel running"], part.gaps.total_ns));
    stacks
}

fn copies(kind: u32, sum: &Sum) -> (Vec<&'static str>, u64) {
    (vec!["copies", Kind::Copy(kind).words().unwrap_or("of another kind")], sum.total_ns)
}

/// What would end a frame is written as something else.
fn frame(name: &str) -> String {
    let name = plain(name).replace(';', ":");
    if name.trim().is_empty() { "(no name)".to_owned() } else { name.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::{Kernel, Shape};
    use super::*;

    fn sum(ns: u64) -> Sum {
        Sum { calls: 1, total_ns: ns, ..Sum::default() }
    }

    #[test]
    fn every_stack_is_a_line_with_its_time() {
        let mut part = Part::default();
        for (name, grid, ns) in [("a;b", 1, 10), ("a:b", 2, 5), ("x\ny 7", 1, 20), ("", 1, 1), ("none", 1, 0)] {
            let shape = Shape { name: name.into(), grid: [grid, 1, 1], block: [1; 3] };
            part.kernels.insert(shape, Kernel { sum: sum(ns), ..Kernel::default() });
        }
        part.copies.insert(1, sum(3));
        part.gaps = sum(100);
        let trace =
            Trace { phases: vec![(String::new(), Part::default()), ("decode".into(), part)], ..Trace::default() };
        let expected = "decode;copies;host to device 3\ndecode;kernels;(no name) 1\ndecode;kernels;a:b 15\n\
                        decode;kernels;x\u{fffd}y 7 20\ndecode;no kernel running 100\n";
        assert_eq!(text(&trace, None), expected);
        assert_eq!(text(&trace, Some("decode")), expected);
        assert_eq!(text(&trace, Some("prefill")), "");
    }
}
