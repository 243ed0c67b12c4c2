//! What is kept of many: how many, how long, how large.

/// Parts of each doubling: what lies in one bucket differs by at most 1/8.
const PARTS: u32 = 8;

/// Of kernels of one shape, copies of one kind, gaps.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Sum {
    pub calls: u64,
    pub bytes: u64,
    pub total_ns: u64,
    pub min_ns: u64,
    pub max_ns: u64,
    /// How many fell into which bucket, in its order.
    pub buckets: Vec<(u16, u64)>,
}

impl Sum {
    pub fn add(&mut self, ns: u64, bytes: u64) {
        self.min_ns = if self.calls == 0 { ns } else { self.min_ns.min(ns) };
        self.max_ns = self.max_ns.max(ns);
        self.calls += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.total_ns = self.total_ns.saturating_add(ns);
        let bucket = bucket(ns);
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 += 1,
            Err(at) => self.buckets.insert(at, (bucket, 1)),
        }
    }
}

/// Below 8 ns each has its own; above, each doubling has 8 of equal width.
pub fn bucket(ns: u64) -> u16 {
    if ns < u64::from(PARTS) {
        return ns as u16;
    }
    let doubling = ns.ilog2() - PARTS.ilog2();
    let part = (ns >> doubling) as u32 - PARTS;
    (PARTS * (doubling + 1) + part) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_grow_with_what_is_in_them() {
        let times = [0, 1, 7, 8, 9, 15, 16, 17, 18, 31, 32, 1000, 1_000_000, u64::MAX];
        let buckets = times.map(bucket);
        assert!(buckets.is_sorted(), "{buckets:?}");
        assert_eq!(buckets[..11], [0, 1, 7, 8, 9, 15, 16, 16, 17, 23, 24]);
        assert_eq!(bucket(u64::MAX), 8 * 61 + 7);
    }

    #[test]
    fn a_sum_knows_its_extremes() {
        let mut sum = Sum::default();
        for ns in [900, 1000, 1000, 5] {
            sum.add(ns, 3);
        }
        assert_eq!((sum.calls, sum.bytes, sum.total_ns, sum.min_ns, sum.max_ns), (4, 12, 2905, 5, 1000));
        assert_eq!(sum.buckets, [(5, 1), (bucket(900), 1), (bucket(1000), 2)]);
    }
}
