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
