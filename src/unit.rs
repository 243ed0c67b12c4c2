//! Units of metrics: which of them measure the same, and by how much they differ.

/// What a unit measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    Time,
    Memory,
    /// Tokens per second.
    Tokens,
    /// Requests per second.
    Requests,
}

/// Each unit that is known, what it measures, and how many seconds or bytes it is, or what it counts per second.
const UNITS: &[(&str, Quantity, f64)] = &[
    ("ns", Quantity::Time, 1e-9),
    ("us", Quantity::Time, 1e-6),
    ("\u{b5}s", Quantity::Time, 1e-6),
    ("\u{3bc}s", Quantity::Time, 1e-6),
    ("ms", Quantity::Time, 1e-3),
    ("s", Quantity::Time, 1.0),
    ("min", Quantity::Time, 60.0),
    ("h", Quantity::Time, 3600.0),
    ("B", Quantity::Memory, 1.0),
    ("kB", Quantity::Memory, 1e3),
    ("KB", Quantity::Memory, 1e3),
    ("MB", Quantity::Memory, 1e6),
    ("GB", Quantity::Memory, 1e9),
    ("TB", Quantity::Memory, 1e12),
    ("KiB", Quantity::Memory, 1024.0),
    ("MiB", Quantity::Memory, 1048576.0),
    ("GiB", Quantity::Memory, 1073741824.0),
    ("TiB", Quantity::Memory, 1099511627776.0),
    ("tok/s", Quantity::Tokens, 1.0),
    ("tokens/s", Quantity::Tokens, 1.0),
    ("tokens/sec", Quantity::Tokens, 1.0),
    ("req/s", Quantity::Requests, 1.0),
    ("requests/s", Quantity::Requests, 1.0),
    ("requests/sec", Quantity::Requests, 1.0),
];

/// Of a time or a rate, rather than of a count or a size.
pub fn is_speed(unit: &str) -> bool {
    unit.ends_with("/s") || quantity(unit).is_some_and(|quantity| quantity != Quantity::Memory)
}

/// What `unit` measures, if it is known.
pub fn quantity(unit: &str) -> Option<Quantity> {
    find(unit).map(|(quantity, _)| quantity)
}

/// How many `to` one `from` is; `None` where they don't measure the same, or are the same word.
pub fn factor(from: &str, to: &str) -> Option<f64> {
    if from == to {
        return Some(1.0);
    }
    let ((quantity, from), (other, to)) = (find(from)?, find(to)?);
    (quantity == other).then_some(from / to)
}

/// The unit that is probably meant by an unknown one that differs only in its capitals, as `gib` does.
pub fn meant(unit: &str) -> Option<&'static str> {
    let alike = |(name, _, _): &&(&'static str, Quantity, f64)| name.eq_ignore_ascii_case(unit);
    UNITS.iter().find(alike).filter(|_| find(unit).is_none()).map(|(name, _, _)| *name)
}

fn find(unit: &str) -> Option<(Quantity, f64)> {
    UNITS.iter().find(|(name, _, _)| *name == unit).map(|(_, quantity, factor)| (*quantity, *factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_one_quantity_convert() {
        assert_eq!(factor("GiB", "MiB"), Some(1024.0));
        assert_eq!(factor("GB", "GiB"), Some(1e9 / 1073741824.0));
        assert_eq!(factor("s", "ms"), Some(1000.0));
        assert_eq!(factor("tok/s", "tok/s"), Some(1.0));
        assert_eq!((factor("requests/sec", "req/s"), factor("tok/s", "req/s")), (Some(1.0), None));
        assert_eq!([factor("ms", "MiB"), factor("tok/s", "s"), factor("MHz", "ms")], [None; 3]);
    }

    #[test]
    fn capitals_matter_but_are_guessed() {
        assert_eq!((meant("gib"), meant("Gb"), meant("GiB"), meant("tok/s")), (Some("GiB"), Some("GB"), None, None));
    }
}
