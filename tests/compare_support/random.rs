//! Chance that is the same on every machine.

use std::f64::consts::TAU;

/// SplitMix64 (Steele, Lea, Flood 2014) and Box-Muller: small, and the same on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (TAU * self.uniform()).cos()
    }
}

/// How runs scatter on the log scale, with the standard deviation 1.
#[derive(Clone, Copy)]
pub enum Shape {
    Normal,
    /// Exponential: never much faster, now and then much slower.
    Skewed,
    /// Student's t with three degrees of freedom.
    HeavyTailed,
}

impl Shape {
    pub fn draw(self, random: &mut Random) -> f64 {
        match self {
            Self::Normal => random.normal(),
            Self::Skewed => -(1.0 - random.uniform()).ln() - 1.0,
            Self::HeavyTailed => {
                let squares: f64 = (0..3).map(|_| random.normal().powi(2)).sum();
                random.normal() / squares.sqrt()
            }
        }
    }
}
