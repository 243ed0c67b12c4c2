//! When a device ran a kernel at all: kernels overlap, and their records come in the order of their ends, or in none.

/// So many wait until those that come late are there.
const WAITING: usize = 8192;

/// Of one device.
#[derive(Debug, Default)]
pub struct Busy {
    waiting: Vec<(u64, u64)>,
    /// What began before this is settled.
    settled: u64,
}

impl Busy {
    /// Takes one more kernel; `settle` gets stretches that are over, in their order and apart from each other.
    pub fn add(&mut self, start: u64, end: u64, settle: &mut impl FnMut(u64, u64)) {
        self.waiting.push((start, end));
        if self.waiting.len() >= WAITING {
            self.settle_first(WAITING / 2, settle);
        }
    }

    /// Everything so far.
    pub fn settle_all(&mut self, settle: &mut impl FnMut(u64, u64)) {
        self.settle_first(self.waiting.len(), settle);
    }

    fn settle_first(&mut self, count: usize, settle: &mut impl FnMut(u64, u64)) {
        self.waiting.sort_unstable();
        let mut current: Option<(u64, u64)> = None;
        for (start, end) in self.waiting.drain(..count) {
            // What comes too late counts from where we are.
            let (start, end) = (start.max(self.settled), end.max(self.settled));
            current = Some(match current {
                Some((first, last)) if start <= last => (first, last.max(end)),
                other => {
                    other.into_iter().for_each(|(start, end)| settle(start, end));
                    (start, end)
                }
            });
        }
        if let Some((start, end)) = current.filter(|(start, end)| start < end) {
            settle(start, end);
            self.settled = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(kernels: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let (mut busy, mut found) = (Busy::default(), Vec::new());
        kernels.iter().for_each(|(start, end)| busy.add(*start, *end, &mut |start, end| found.push((start, end))));
        busy.settle_all(&mut |start, end| found.push((start, end)));
        found
    }

    #[test]
    fn what_overlaps_counts_once() {
        assert_eq!(settled(&[(30, 40), (10, 20), (15, 25), (16, 17), (25, 26)]), [(10, 26), (30, 40)]);
        assert_eq!(settled(&[]), []);
    }

    #[test]
    fn a_long_run_is_the_same_in_pieces() {
        let kernels: Vec<(u64, u64)> = (0..50_000).map(|number| (number * 10, number * 10 + 4)).collect();
        let sum: u64 = settled(&kernels).iter().map(|(start, end)| end - start).sum();
        assert_eq!(sum, 200_000);
    }

    #[test]
    fn nothing_counts_twice_even_when_it_comes_late() {
        let mut kernels: Vec<(u64, u64)> = (100..20_100).map(|number| (number * 10, number * 10 + 4)).collect();
        kernels.push((0, 1_000_000));
        let found = settled(&kernels);
        assert!(found.windows(2).all(|pair| pair[0].1 <= pair[1].0), "apart, and in order");
    }
}
