//! What is tested: one metric of one case, on both sides.

use std::borrow::Cow;

use super::side::CellSide;
use super::{Learned, Mismatch};
use crate::metric::{Better, Kind, MetricName};
use crate::results::occasions::MoreOccasions;
use crate::stats::Share;
use crate::unit;

/// A cell on both sides, in the base's unit, reduced to the sessions that are compared.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub case: &'a str,
    pub metric: &'a MetricName,
    pub unit: &'a str,
    pub better: Better,
    pub kind: Kind,
    /// That is known beforehand.
    pub noise_threshold: Share,
    /// One is to be learned from the base.
    pub auto: bool,
    /// That was.
    pub learned: Option<Learned>,
    /// All that the base holds of it.
    pub cell: &'a CellSide,
    /// Values by session or, where the sides were measured apart, by occasion; each a run's.
    pub base: Vec<Cow<'a, [f64]>>,
    pub head: Vec<Cow<'a, [f64]>>,
    /// More occasions of the base that would confirm a change, where the sides were measured apart.
    pub missing: MoreOccasions,
    /// Values that are exactly zero where that is a number, by side.
    pub zeros: [usize; 2],
    /// Values that were no numbers, by side.
    pub dropped: [usize; 2],
    /// A side's only value is an average.
    pub has_average: bool,
    /// In what the case's settings differ.
    pub incomparable: Option<Mismatch>,
}

impl Pair<'_> {
    /// Goes by the noise threshold that was learned, where one was.
    pub fn adopt(&mut self) {
        self.noise_threshold = self.learned.map_or(self.noise_threshold, |learned| learned.noise_threshold);
    }

    /// A count that is the same in every run of both sides, such as 3 allocations: no drift and no noise has touched it. A
    /// time may be as even, because its clock is coarse.
    pub fn is_one_count(&self) -> bool {
        let groups = || self.base.iter().chain(&self.head);
        let first = groups().find_map(|group| group.first()).copied().unwrap_or(0.0);
        let counts = [&self.base, &self.head].map(|side| side.iter().map(|group| group.len()).sum::<usize>());
        let (is_zero, has_zeros) = (first == 0.0, self.zeros != [0, 0]);
        let several = (0..2).all(|side| counts[side] + self.zeros[side] > 1);
        let is_count = !unit::is_speed(self.unit) && first.fract() == 0.0;
        is_count && several && is_zero == has_zeros && groups().flat_map(|group| group.iter()).all(|it| *it == first)
    }

    /// All values of each side, zeros at the end.
    pub fn values(&self) -> [Vec<f64>; 2] {
        let side = |groups: &[Cow<[f64]>], zeros: usize| {
            let mut values = groups.concat();
            values.resize(values.len() + zeros, 0.0);
            values
        };
        [side(&self.base, self.zeros[0]), side(&self.head, self.zeros[1])]
    }
}
