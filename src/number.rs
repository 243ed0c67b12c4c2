//! Numbers as people read them, the same everywhere.

use std::fmt;

use crate::stats::Share;

/// A number in words and digits, made here and nowhere else: whoever shows one needs no doubt about what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure(String);

impl Figure {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Four significant digits, or all before the point: `0.1234`, `6.873`, `101.3`, `14892`.
pub fn value(value: f64) -> Figure {
    let size = value.abs();
    let digits = match size {
        s if s >= 1e9 || (s > 0.0 && s < 1e-3) => return Figure(format!("{value:.3e}")),
        // 99.996 is read as 100.0, not as 100.00.
        s if s >= 999.95 => 0,
        s if s >= 99.995 => 1,
        s if s >= 9.9995 => 2,
        s if s >= 0.99995 => 3,
        _ => 4,
    };
    Figure(format!("{value:.digits$}"))
}

/// Numbers that are read together have the decimals of the largest: `9.99 → 10.01`.
pub fn alike<const N: usize>(values: [Option<f64>; N]) -> [Option<Figure>; N] {
    let decimals = values.iter().flatten().map(|number| decimals(&value(*number))).min().unwrap_or(0);
    // Two digits of the smallest must be left.
    let least = 10.0 * 0.1_f64.powi(i32::try_from(decimals).unwrap_or(0));
    let shows = |number: &f64| *number == 0.0 || (least..1e9).contains(&number.abs());
    let all_show = values.iter().flatten().all(shows);
    values.map(|number| number.map(|number| if all_show { decimal(number, decimals) } else { value(number) }))
}

fn decimals(figure: &Figure) -> usize {
    figure.0.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

/// `100.2 ± 0.1`: the deviation has the mean's decimals, as more would pretend to know it.
pub fn mean_and_deviation(mean: f64, deviation: Option<f64>) -> Figure {
    let shown = value(mean);
    let decimals = decimals(&shown);
    match deviation {
        Some(deviation) if shown.0.contains('e') || deviation >= 1e9 => {
            Figure(format!("{shown} ± {}", value(deviation)))
        }
        Some(deviation) => Figure(format!("{shown} ± {deviation:.decimals$}")),
        None => shown,
    }
}

/// A relative change: `+1.3%`, `-3.0%`, `+128%`, `0%`. Trailing zeros stay: changes are read beside each other.
pub fn signed_percent(share: Share) -> Figure {
    let percent = share.percent();
    Figure(match percent.abs() {
        0.0 => "0%".to_owned(),
        size if size >= 1e6 => format!("{percent:+.0e}%"),
        size if size >= 99.95 => format!("{percent:+.0}%"),
        size if size >= 0.095 => format!("{percent:+.1}%"),
        _ => format!("{percent:+.2}%"),
    })
}

/// What goes beside a relative change: `±0.3`, in percent points.
pub fn plus_minus(share: Share) -> Figure {
    let change = signed_percent(share.abs());
    Figure(format!("±{}", change.0.trim_start_matches('+').trim_end_matches('%')))
}

/// May an interval be said as `±`? Its halves must not differ by a digit that [`plus_minus`] shows.
pub fn is_symmetric(halves: [Share; 2]) -> bool {
    let [below, above] = halves.map(|half| half.abs().percent());
    let digit = match below.max(above) {
        size if size >= 99.95 => 1.0,
        size if size >= 0.095 => 0.1,
        _ => 0.01,
    };
    (above - below).abs() < digit
}

/// A share as a percentage with sensible digits: `2.9%`, `0.04%`, `128%`.
pub fn percent(share: Share) -> Figure {
    let percent = share.abs().percent();
    let digits = match percent {
        p if p >= 1e6 => return Figure(format!("{percent:.0e}%")),
        p if p >= 99.95 => 0,
        p if p >= 0.095 || p == 0.0 => 1,
        p if p >= 0.0095 => 2,
        _ => return Figure("under 0.01%".to_owned()),
    };
    let text = format!("{percent:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    Figure(format!("{text}%"))
}

/// The smallest change that shows: beyond 100% the exact number helps nobody.
pub fn smallest_change(share: Share) -> Figure {
    if share > Share::new(1.0) { Figure("over 100%".to_owned()) } else { percent(share) }
}

/// So many times another number: `34.3×`, `5.22×`.
pub fn times(ratio: f64) -> Figure {
    let digits = match ratio.abs() {
        size if size >= 1e6 => return Figure(format!("{ratio:.0e}×")),
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    Figure(format!("{ratio:.digits$}×"))
}

/// `3`
pub fn count(count: usize) -> Figure {
    Figure(count.to_string())
}

/// `1 run`, `2 runs`.
pub fn counted(count: usize, thing: &'static str) -> Figure {
    Figure(crate::plural::counted(count, thing))
}

/// With so many decimals: `1980`, `0.2`.
pub fn decimal(value: f64, decimals: usize) -> Figure {
    Figure(format!("{value:.decimals$}"))
}

/// `14.2 GiB`, `9.6 MiB`, `712 KiB`, `31 bytes`.
pub fn bytes(bytes: u64) -> Figure {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.into_iter().find(|(size, _)| bytes >= *size);
    Figure(match unit {
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
        Some((size, unit)) => {
            let amount = bytes as f64 / size as f64;
            let digits = usize::from(amount < 99.95);
            format!("{amount:.digits$} {unit}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        let shown: Vec<_> = [14892.3, 101.26, 11.2, 6.8731, 0.0512, 1e-5, 3e12].map(|it| value(it).0).into();
        assert_eq!(shown, ["14892", "101.3", "11.20", "6.873", "0.0512", "1.000e-5", "3.000e12"]);
        let shares = [-0.0293, 0.03, 0.0, 1.284, 0.00041, -1e-9, f64::MAX].map(Share::new);
        let shown: Vec<_> = shares.map(|it| signed_percent(it).0).into();
        assert_eq!(shown, ["-2.9%", "+3.0%", "0%", "+128%", "+0.04%", "-0.00%", "+inf%"]);
        let shown: Vec<_> = [0.003, -0.0004, 0.16, 1.5].map(|it| plus_minus(Share::new(it)).0).into();
        assert_eq!(shown, ["±0.3", "±0.04", "±16.0", "±150"]);
        assert_eq!(
            [[0.018, 0.0182], [0.05, 0.0513], [0.0001, 0.0003]].map(|it| is_symmetric(it.map(Share::new))),
            [true, false, false]
        );
        assert_eq!([0.123, 5.2246, 34.33, 128.4].map(|it| times(it).0), ["0.12×", "5.22×", "34.3×", "128×"]);
        assert_eq!((times(3e299).0, percent(Share::new(1e298)).0), ("3e299×".to_owned(), "1e300%".to_owned()));
        assert_eq!(mean_and_deviation(100.23, Some(0.123)).0, "100.2 ± 0.1");
        assert_eq!(mean_and_deviation(1e300, Some(2e299)).0, "1.000e300 ± 2.000e299");
        assert_eq!(mean_and_deviation(9000.0, None).0, "9000");
        assert_eq!([999.97, 99.996, 9.9996].map(|it| value(it).0), ["1000", "100.0", "10.00"]);
        let shown = |values: [f64; 2]| alike(values.map(Some)).map(|figure| figure.unwrap().0);
        assert_eq!(shown([9.994, 10.01]), ["9.99", "10.01"]);
        assert_eq!(shown([999.94, 1000.4]), ["1000", "1000"]);
        assert_eq!(shown([3.0, 0.0]), ["3.000", "0.000"]);
        assert_eq!(shown([1e-5, 10.0]), ["1.000e-5", "10.00"]);
        let amounts = [0, 1, 1023, 1024, 10_066_330, 15_235_000_000, 1 << 40].map(|it| bytes(it).0);
        assert_eq!(amounts, ["0 bytes", "1 byte", "1023 bytes", "1.0 KiB", "9.6 MiB", "14.2 GiB", "1024 GiB"]);
    }
}
