//! How long something takes, where it is short.

use crate::number::{decimal, value};
use crate::page::{Line, line, unbroken};

/// `+15 µs`: three digits are enough of a change.
pub fn signed_us(us: f64) -> Line {
    let decimals = match us.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let sign = if us > 0.0 { "+" } else { "" };
    if us.abs() >= 1e9 {
        return unbroken(line![sign, value(us), " µs"]);
    }
    if us.abs() >= 9999.5 {
        return unbroken(line![sign, decimal(us / 1e3, 1), " ms"]);
    }
    unbroken(line![sign, decimal(us, decimals), " µs"])
}
