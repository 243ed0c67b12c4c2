//! Student's t distribution: tails and quantiles for every number of degrees of freedom that occurs.

use statrs::distribution::{Continuous, ContinuousCDF, Normal, StudentsT};
use statrs::function::beta::beta_reg;

/// From here on, [`as_normal`] is exact to 1e-10, where statrs loses digits. The normal tail itself would not do: with 1e8
/// degrees of freedom it is still off by 3e-6 of p at t = 6.
const NORMAL_DF: f64 = 1e4;

/// Beyond this, the expansion of [`expand`] is exact to 1e-9 and much faster than statrs' `inverse_cdf`, which also
/// loses precision above 1e6 and doesn't return at 1e9.
const EXPANSION_DF: f64 = 200.0;

/// P(|T| >= |t|) for `df` > 0 degrees of freedom. `t` may be infinite, not NaN.
pub fn two_sided_p(t: f64, df: f64) -> f64 {
    let t = t.abs();
    if t == 0.0 {
        return 1.0;
    }
    let tail = match StudentsT::new(0.0, 1.0, df) {
        // Near the middle what is left of 1 counts, which statrs' tail rounds to none.
        Ok(_) if df < NORMAL_DF && t < 1.0 => return 1.0 - beta_reg(0.5, 0.5 * df, t * t / (df + t * t)),
        Ok(student) if df < NORMAL_DF => student.sf(t),
        _ => Normal::standard().sf(as_normal(t, df)),
    };
    (2.0 * tail).min(1.0)
}

/// The z of the normal distribution whose tail is that of `t` > 0 (Hill 1970, algorithm 395).
fn as_normal(t: f64, df: f64) -> f64 {
    let a = df - 0.5;
    let b = 48.0 * a * a;
    let w = (a * (t / df * t).ln_1p()).sqrt();
    if !(w.is_finite() && b.is_finite()) {
        return t;
    }
    let y = w * w;
    let second = (((4.0 * y + 33.0) * y + 240.0) * y + 855.0) / (10.0 * (b + 0.8 * y * y + 100.0));
    w + w / b * (y + 3.0 - second)
}

/// From here on, [`expand`] is close enough to be polished, if `p` is this far in the upper tail.
const POLISHED: (f64, f64) = (4.0, 0.9);

/// The t with P(T <= t) = `p`, for 0 < p < 1 and `df` > 0.
pub fn quantile(p: f64, df: f64) -> f64 {
    let expanded = || expand(Normal::standard().inverse_cdf(p), df);
    match StudentsT::new(0.0, 1.0, df) {
        Ok(student) if df < EXPANSION_DF && (df < POLISHED.0 || p < POLISHED.1) => student.inverse_cdf(p),
        Ok(student) if df < EXPANSION_DF => polish(&student, 1.0 - p, expanded()),
        _ => expanded(),
    }
}

/// Newton's method on the logarithms of `t` and its tail, between which the curve is nearly straight. Several times as fast as
/// statrs' search.
fn polish(student: &StudentsT, tail: f64, mut t: f64) -> f64 {
    for _ in 0..50 {
        let at = student.sf(t);
        let step = (at / tail).ln() * at / (t * student.pdf(t));
        t *= step.exp();
        // What is left after a step of this size is its square.
        if step.abs() < 1e-7 {
            break;
        }
    }
    t
}

/// Student's quantile from the normal one, in powers of 1/df (Abramowitz & Stegun 26.7.5).
fn expand(z: f64, df: f64) -> f64 {
    let y = z * z;
    let terms = [
        (y + 1.0) / 4.0,
        ((5.0 * y + 16.0) * y + 3.0) / 96.0,
        (((3.0 * y + 19.0) * y + 17.0) * y - 15.0) / 384.0,
        ((((79.0 * y + 776.0) * y + 1482.0) * y - 1920.0) * y - 945.0) / 92160.0,
    ];
    z * (1.0 + terms.iter().rev().fold(0.0, |sum, term| (sum + term) / df))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Closed forms: df 1 is Cauchy, P(T > 1) = 1/4; df 2: P(T > t) = (1 - t / sqrt(2 + t^2)) / 2.
    #[test]
    fn tails_with_closed_forms() {
        assert!((two_sided_p(1.0, 1.0) - 0.5).abs() < 1e-14);
        let t = 3.0_f64;
        assert!((two_sided_p(-t, 2.0) - (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-14);
        assert_eq!(two_sided_p(0.0, 3.0), 1.0);
        assert_eq!(two_sided_p(f64::INFINITY, 3.0), 0.0);
    }

    /// Large df go to the normal distribution: P(|Z| > 1.959964) = 0.05.
    #[test]
    fn tails_are_continuous_up_to_infinity() {
        for df in [1e4, 1e6, 1e8, 1.1e8, 1e12, f64::INFINITY] {
            assert!((two_sided_p(1.959_963_984_540_054, df) - 0.05).abs() < 3e-5 * (1e4 / df).max(1e-3), "{df}");
        }
    }

    /// Both sides of where the methods meet, and beyond; by mpmath's quadrature with 40 digits.
    #[test]
    fn tails_of_many_degrees_of_freedom() {
        let known = [
            (9.99e3, 6.0, 2.041_687_995_705_857e-9),
            (1e4, 6.0, 2.041_618_472_922_615_3e-9),
            (1e4, 20.0, 2.764_652_586_551_066e-87),
            (9.9e4, 4.0, 6.338_845_741_197_883e-5),
            (1e5, 1.96, 0.049_998_563_194_301_64),
            (1e5, 4.0, 6.338_799_755_719_534e-5),
            (1e5, 10.0, 1.563_301_530_220_728e-23),
            (1e6, 6.0, 1.973_849_812_354_434_7e-9),
            (1e8, 6.0, 1.973_182_034_315_287_1e-9),
            (2e8, 0.5, 0.617_075_078_002_076),
            (2e8, 6.0, 1.973_178_662_192_859_8e-9),
            (1e9, 6.0, 1.973_175_964_498_492e-9),
            (1e12, 20.0, 5.507_248_458_601e-89),
        ];
        for (df, t, p) in known {
            let got = two_sided_p(t, df);
            assert!((got / p - 1.0).abs() < 1e-10, "df {df}, t {t}: {got} instead of {p}");
        }
        assert_eq!(two_sided_p(f64::INFINITY, 1e9), 0.0);
        assert!(two_sided_p(1e200, 1e9) < 1e-300);
    }

    /// What lacks to 1, also where that is next to nothing; by mpmath's incomplete beta function with 50 digits.
    #[test]
    fn tails_from_near_the_middle() {
        let known = [
            (0.5, 1e-5, 0.999_994_606_473_988_4),
            (1.0, 1e-300, 1.0),
            (2.5, 0.9999, 0.404_101_188_478_405_5),
            (3.0, 1e-5, 0.999_992_648_948_061_2),
            (3.0, 1e-9, 0.999_999_999_264_894_8),
            (4.0, 0.999_999_9, 0.373_901_009_232_566_2),
            (4.0, 1.0, 0.373_900_966_300_058_9),
            (10.0, 1e-6, 0.999_999_221_783_232),
            (50.0, 1e-3, 0.999_206_094_775_501_6),
            (9999.0, 1e-7, 0.999_999_920_213_538_8),
            (9999.0, 1e-5, 0.999_992_021_353_880_7),
            (9999.0, 0.01, 0.992_021_486_869_305_4),
            (9999.0, 0.5, 0.617_086_080_423_513_5),
            (1e4, 1e-6, 0.999_999_202_135_386_1),
            (1e9, 1e-5, 0.999_992_021_154_394_1),
        ];
        for (df, t, p) in known {
            let lacking = 1.0 - p;
            let error = (1.0 - two_sided_p(-t, df) - lacking).abs();
            assert!(error <= 1e-11 * lacking + 3e-16, "df {df}, t {t}: off by {error}");
        }
    }

    #[test]
    fn quantiles_invert_tails() {
        for df in [1.0, 2.5, 3.99, 4.0, 5.5, 12.0, 18.7, 60.0, 199.9, 200.0, 1e3, 1e6, 1e9] {
            for p in [0.9, 0.95, 0.975, 0.9995, 1.0 - 0.05 / 144.0, 1.0 - 0.05 / 320_000.0] {
                let back = two_sided_p(quantile(p, df), df) / 2.0;
                assert!((back / (1.0 - p) - 1.0).abs() < 1e-6, "df {df}, p {p}: {back}");
            }
        }
        assert!((quantile(0.05, 7.0) + quantile(0.95, 7.0)).abs() < 1e-9);
    }
}
