//! Numbers with sensible digits.

use crate::stats::Share;

/// Four significant digits, or all before the point: `0.1234`, `6.873`, `101.3`, `14892`.
pub fn value(value: f64) -> String {
    let size = value.abs();
    let digits = match size {
        s if s >= 1e9 || (s > 0.0 && s < 1e-3) => return format!("{value:.3e}"),
        s if s >= 1000.0 => 0,
        s if s >= 100.0 => 1,
        s if s >= 10.0 => 2,
        s if s >= 1.0 => 3,
        _ => 4,
    };
    format!("{value:.digits$}")
}

/// A relative change: `+1.3%`, `-3.0%`, `+128%`, `0%`. Trailing zeros stay: changes are read beside each other.
pub fn signed_percent(share: Share) -> String {
    let percent = share.percent();
    match percent.abs() {
        0.0 => "0%".to_owned(),
        size if size >= 99.95 => format!("{percent:+.0}%"),
        size if size >= 0.095 => format!("{percent:+.1}%"),
        _ => format!("{percent:+.2}%"),
    }
}

/// A p-value: two significant digits, nothing finer than 0.0001.
pub fn p_value(p: f64) -> String {
    match p {
        p if p < 0.0001 => "<0.0001".to_owned(),
        p if p < 0.001 => format!("{p:.4}"),
        p if p < 0.1 => format!("{p:.3}"),
        p => format!("{p:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        let shown: Vec<_> = [14892.3, 101.26, 11.2, 6.8731, 0.0512, 1e-5, 3e12].map(value).into();
        assert_eq!(shown, ["14892", "101.3", "11.20", "6.873", "0.0512", "1.000e-5", "3.000e12"]);
        let shown: Vec<_> = [-0.0293, 0.03, 0.0, 1.284, 0.00041, -1e-9].map(Share::new).map(signed_percent).into();
        assert_eq!(shown, ["-2.9%", "+3.0%", "0%", "+128%", "+0.04%", "-0.00%"]);
        let shown: Vec<_> = [0.0, 0.00034, 0.0123, 0.5, 1.0].map(p_value).into();
        assert_eq!(shown, ["<0.0001", "0.0003", "0.012", "0.50", "1.00"]);
    }
}
