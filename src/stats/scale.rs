//! Changes come on two scales that look alike while they are small: shares are shown, log-ratios are computed with.

use serde::{Deserialize, Serialize};

/// A relative change, or a part of a whole: 0.02 is 2%, and -0.03 of a throughput is 3% slower.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(f64);

/// ln(head / base): ln 1.02 is 2% more. Log-ratios add up, and their errors are alike up and down.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct LogRatio(f64);

impl Share {
    /// 0.02 for 2%.
    pub const fn new(share: f64) -> Self {
        Self(share)
    }

    /// 0.02 for 2%.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// 2 for 2%.
    pub fn percent(self) -> f64 {
        self.0 * 100.0
    }

    /// Without its direction.
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// Itself, where it is a number.
    pub fn finite(self) -> Option<Self> {
        self.0.is_finite().then_some(self)
    }

    /// ln(1 + share).
    pub fn log_ratio(self) -> LogRatio {
        LogRatio(self.0.ln_1p())
    }
}

impl LogRatio {
    /// ln(head / base).
    pub const fn new(log_ratio: f64) -> Self {
        Self(log_ratio)
    }

    /// ln(head / base).
    pub const fn get(self) -> f64 {
        self.0
    }

    /// Without its direction.
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// head / base - 1.
    pub fn share(self) -> Share {
        Share(self.0.exp_m1())
    }
}

impl std::ops::Neg for LogRatio {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl std::ops::Add for LogRatio {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for LogRatio {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

/// So many standard errors.
impl std::ops::Mul<f64> for LogRatio {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self(self.0 * factor)
    }
}

impl std::ops::Div for LogRatio {
    type Output = f64;

    fn div(self, other: Self) -> f64 {
        self.0 / other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_its_log_ratio_and_back() {
        let half = Share::new(-0.5);
        assert_eq!(half.log_ratio().get(), -std::f64::consts::LN_2);
        assert_eq!((-half.log_ratio()).share(), Share::new(1.0), "twice as much is half as much the other way");
        assert_eq!(half.percent(), -50.0);
    }
}
