//! Many calls of one kind: how many, how long, how large.

use std::collections::BTreeMap;

/// As the tracer adds them up. Its numbers are another program's: nothing is taken for granted of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    pub calls: u64,
    pub bytes: u64,
    pub total_ns: u64,
    pub min_ns: u64,
    pub max_ns: u64,
    /// How many calls took how long: `tracer/sum.rs` has the widths.
    pub buckets: BTreeMap<u16, u64>,
}

impl Sum {
    pub fn add(&mut self, other: &Self) {
        if other.calls == 0 {
            return;
        }
        self.min_ns = if self.calls == 0 { other.min_ns } else { self.min_ns.min(other.min_ns) };
        self.max_ns = self.max_ns.max(other.max_ns);
        self.calls = self.calls.saturating_add(other.calls);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        for (bucket, count) in &other.buckets {
            let sum = self.buckets.entry(*bucket).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// What is left of it without another, of which nothing is known but how many, how large and how long together.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(other.calls),
            bytes: self.bytes.saturating_sub(other.bytes),
            total_ns: self.total_ns.saturating_sub(other.total_ns),
            ..Self::default()
        }
    }

    pub fn total_ms(&self) -> f64 {
        self.total_ns as f64 / 1e6
    }

    /// Of none it is 0.
    pub fn mean_us(&self) -> f64 {
        self.total_ns as f64 / 1e3 / self.calls.max(1) as f64
    }

    /// What so large a share of the calls don't exceed, within an eighth.
    pub fn quantile_us(&self, share: f64) -> f64 {
        let all: f64 = self.buckets.values().map(|count| *count as f64).sum();
        let mut below = 0.0;
        let bucket = self.buckets.iter().find(|(_, count)| {
            below += **count as f64;
            below >= share * all
        });
        let ns = bucket.map_or(0.0, |(bucket, _)| middle(*bucket));
        ns.clamp(self.min_ns as f64, self.max_ns.max(self.min_ns) as f64) / 1e3
    }
}

/// In the middle of a bucket: 8 to each doubling, and one for each number below 8.
fn middle(bucket: u16) -> f64 {
    let (doubling, part) = (i32::from(bucket / 8), f64::from(bucket % 8));
    if doubling == 0 { part } else { (8.5 + part) * 2_f64.powi(doubling - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(calls: u64, ns: u64, bucket: u16) -> Sum {
        Sum { calls, bytes: 0, total_ns: calls * ns, min_ns: ns, max_ns: ns, buckets: [(bucket, calls)].into() }
    }

    #[test]
    fn quantiles_lie_in_their_buckets() {
        let mut both = sum(98, 1000, 8 * 7 + 7);
        both.add(&sum(2, 50_000, 8 * 13 + 4));
        let at = |share| both.quantile_us(share);
        assert!((0.89..1.13).contains(&at(0.5)) && (45.0..=50.0).contains(&at(0.99)), "{} {}", at(0.5), at(0.99));
        assert_eq!((both.calls, both.min_ns, both.max_ns, both.mean_us()), (100, 1000, 50_000, 1.98));
    }

    #[test]
    fn any_numbers_can_be_added() {
        let most =
            Sum { calls: u64::MAX, total_ns: u64::MAX, min_ns: 9, max_ns: 1, ..sum(u64::MAX >> 20, 1, u16::MAX) };
        let mut twice = most.clone();
        twice.add(&most);
        assert!(twice.total_ns == u64::MAX && twice.quantile_us(0.5).is_finite() && Sum::default().mean_us() == 0.0);
    }
}
