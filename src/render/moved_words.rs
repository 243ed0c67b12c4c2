//! What "What got slower" and the folds beside it spell alike: names, numbers and changes of what moved.

use super::trace_page::KERNEL;
use crate::number::{Figure, decimal, value};
use crate::page::{Line, code, line, unbroken};
use crate::trace::attribution::{Attribution, MovedKernel, Section};

pub fn words(found: &Attribution) -> (&'static str, &'static str) {
    match found.section {
        Section::Decode => ("decode", " a token"),
        Section::Prefill => ("prefill", " a prefill"),
    }
}

pub fn names(kernel: &MovedKernel) -> Line {
    match &kernel.renamed {
        Some(renamed) => line![code(&kernel.name, KERNEL), " → ", code(renamed, KERNEL), " (perhaps renamed)"],
        None => code(&kernel.name, KERNEL),
    }
}

pub fn both(base: impl Into<Line>, head: impl Into<Line>) -> Line {
    let (base, head) = (base.into(), head.into());
    if base == head { base } else { unbroken(line![base, " → ", head]) }
}

/// How often, or how many: `49`, or what it is on average.
pub fn times(number: f64) -> Figure {
    let is_whole = number.abs() < 1e9 && (number - number.round()).abs() < 0.0005;
    if is_whole { decimal(number, 0) } else { value(number) }
}

/// `+15 µs`: three digits are enough of a change.
pub fn signed_us(us: f64) -> Line {
    let decimals = match us.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    if (999.5..1e9).contains(&us.abs()) {
        return signed_ms(us / 1e3);
    }
    let sign = if us > 0.0 { "+" } else { "" };
    if us.abs() >= 1e9 {
        return unbroken(line![sign, value(us), " µs"]);
    }
    unbroken(line![sign, decimal(us, decimals), " µs"])
}

fn signed_ms(ms: f64) -> Line {
    let sign = if ms > 0.0 { "+" } else { "" };
    unbroken(line![sign, decimal(ms, if ms.abs() < 9.995 { 2 } else { 1 }), " ms"])
}
