//! Which direction is good, where only the unit tells.

use crate::metric::Better;
use crate::unit;

/// What is divided by these is a cost of each.
const EACH: [&str; 9] = ["op", "iter", "iteration", "call", "tok", "token", "req", "request", "element"];
/// What is divided by these is a rate.
const SECOND: [&str; 4] = ["s", "sec", "second", "seconds"];
/// Words of tools for what `unit` knows.
const TIMES: [&str; 10] = [
    "sec",
    "second",
    "seconds",
    "millisecond",
    "milliseconds",
    "microsecond",
    "microseconds",
    "nanosecond",
    "nanoseconds",
    "bytes",
];

/// Rates are to be high, times, memory and the cost of each operation low; of others nobody knows.
pub(super) fn of_unit(unit: &str) -> Option<Better> {
    // A rate of each user is one as well.
    let unit = unit.trim().strip_suffix("/user").unwrap_or(unit);
    let is_amount = |unit: &str| unit::quantity(unit).is_some() || TIMES.contains(&unit);
    match unit.trim().rsplit_once('/') {
        Some((_, second)) if SECOND.contains(&second.trim()) => Some(Better::Higher),
        Some((_, each)) if EACH.contains(&each.trim()) => Some(Better::Lower),
        Some(_) => None,
        None => is_amount(unit.trim()).then_some(Better::Lower),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_high_and_costs_low() {
        for unit in ["tok/s", "ops/sec", "MB/s", "iter/sec", "tokens/sec/user"] {
            assert_eq!(of_unit(unit), Some(Better::Higher), "{unit}");
        }
        for unit in ["ns/iter", "ns/op", "B/op", "allocs/op", "ms", "MiB", "seconds", "bytes", "J/tok"] {
            assert_eq!(of_unit(unit), Some(Better::Lower), "{unit}");
        }
        for unit in ["", "points", "%", "km/h", "s/m"] {
            assert_eq!(of_unit(unit), None, "{unit}");
        }
    }
}
