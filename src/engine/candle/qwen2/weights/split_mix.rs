//! A generator of random numbers that starts anywhere in its stream.

/// Steele, Lea and Flood's SplitMix64: 64 random bits an item, without end.
#[derive(Clone, Copy)]
pub struct SplitMix(pub u64);

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl SplitMix {
    /// The stream from its `count`th item on.
    pub fn after(self, count: u64) -> Self {
        Self(self.0.wrapping_add(GAMMA.wrapping_mul(count)))
    }

    /// Streams that have nothing to do with each other.
    pub fn parts<const N: usize>(mut self) -> [Self; N] {
        std::array::from_fn(|_| Self(self.next().unwrap_or_default()))
    }
}

impl Iterator for SplitMix {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(GAMMA);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(bits ^ (bits >> 31))
    }
}
