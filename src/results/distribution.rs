//! Many samples as a few numbers: quantiles and a histogram of logarithmic buckets.

use super::Distribution;

/// A bucket's upper end over its lower end: finer than any change worth reporting.
pub const BUCKET_GROWTH: f64 = 1.02;

const QUANTILES: [(&str, f64); 5] = [("0.5", 0.5), ("0.9", 0.9), ("0.95", 0.95), ("0.99", 0.99), ("0.999", 0.999)];

impl Distribution {
    /// Summarizes `values`, which must be positive and finite; `None` without any.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        Some(Self {
            count: sorted.len() as u64,
            mean: significant(sorted.iter().sum::<f64>() / sorted.len() as f64),
            min: significant(min),
            max: significant(max),
            quantiles: QUANTILES
                .iter()
                .map(|&(name, q)| (name.to_owned(), significant(quantile(&sorted, q))))
                .collect(),
            histogram: histogram(&sorted),
        })
    }
}

/// The `q` quantile of sorted, non-empty values, linear between neighbours (type 7, the default of R and numpy).
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * position.fract()
}

fn histogram(sorted: &[f64]) -> Vec<(i32, u64)> {
    let mut buckets: Vec<(i32, u64)> = Vec::new();
    for value in sorted {
        let index = (value.ln() / BUCKET_GROWTH.ln()).floor() as i32;
        match buckets.last_mut() {
            Some((last, count)) if *last == index => *count += 1,
            _ => buckets.push((index, 1)),
        }
    }
    buckets
}

/// Six significant digits: a millionth is far below any spread, and files stay small enough to be committed.
pub fn significant(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_like_numpy() {
        // numpy.quantile([1, 2, 3, 4], [0, .25, .5, 1]) = [1, 1.75, 2.5, 4]
        let values = [1.0, 2.0, 3.0, 4.0];
        assert_eq!([0.0, 0.25, 0.5, 1.0].map(|q| quantile(&values, q)), [1.0, 1.75, 2.5, 4.0]);
    }

    #[test]
    fn the_histogram_holds_every_value_in_its_bucket() {
        let values: Vec<f64> = (0..1000).map(|i| 5.0 + f64::from(i % 7) * 0.1).collect();
        let distribution = Distribution::of(&values).unwrap();
        assert_eq!(distribution.histogram.iter().map(|&(_, count)| count).sum::<u64>(), 1000);
        let (first, _) = distribution.histogram[0];
        assert!(BUCKET_GROWTH.powi(first) <= 5.0 && 5.0 < BUCKET_GROWTH.powi(first + 1));
    }

    #[test]
    fn nothing_has_no_distribution() {
        assert_eq!(Distribution::of(&[]), None);
    }
}
