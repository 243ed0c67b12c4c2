//! The trigamma function and its inverse, which statrs lacks.

/// psi'(x), the derivative of digamma, for x > 0.
///
/// psi'(x) = psi'(x + 1) + 1/x^2 moves x to where the asymptotic series (Abramowitz & Stegun 6.4.12) is exact to
/// double precision.
pub fn trigamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 15.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    // Bernoulli numbers B2 .. B12.
    let series = y * (1.0 / 6.0 - y * (1.0 / 30.0 - y * (1.0 / 42.0 - y * (1.0 / 30.0 - y * (5.0 / 66.0)))));
    sum + (1.0 + 0.5 / x + series) / x
}

/// The x in (0, `max`] with psi'(x) = `y`, or `max` if that is smaller.
///
/// By bisection: psi' falls from infinity, and psi'(x) > 1/x^2 gives the lower end.
pub fn inverse_trigamma(y: f64, max: f64) -> f64 {
    if y <= trigamma(max) {
        return max;
    }
    let (mut low, mut high) = ((1.0 / y.sqrt()).min(max), max);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if trigamma(middle) > y { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// psi'(1) = pi^2/6, psi'(1/2) = pi^2/2, psi'(2) = pi^2/6 - 1.
    #[test]
    fn closed_forms() {
        for (x, want) in [(1.0, PI * PI / 6.0), (0.5, PI * PI / 2.0), (2.0, PI * PI / 6.0 - 1.0)] {
            assert!((trigamma(x) - want).abs() < 1e-14, "{x}: {} {want}", trigamma(x));
        }
    }

    #[test]
    fn the_inverse_inverts() {
        for x in [1e-6, 0.01, 0.5, 1.0, 2.5, 3.999] {
            assert!((inverse_trigamma(trigamma(x), 4.0) / x - 1.0).abs() < 1e-12, "{x}");
        }
        assert_eq!(inverse_trigamma(trigamma(7.0), 4.0), 4.0);
        assert!(inverse_trigamma(1e300, 4.0) > 0.0);
    }
}
