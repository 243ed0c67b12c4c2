//! How much a machine drifts between two sessions, as far as the other cases of the report show it.
//!
//! Two sessions alone can't tell a cell's drift from its change. But a machine that drifts moves other cases too: where all of
//! them stay, large drift is no explanation. What they moved by, changes included, replaces the assumption as far as it is
//! less. docs/statistics.md has the formula and its limits.

use std::collections::HashMap;

use crate::stats::{Share, Spread};

/// Assumed standard deviation of an occasion's level where nothing tells it: 1%.
pub const ASSUMED: Share = Share::new(0.01);
/// So many moves like the assumed ones count beside those that were seen.
const WEIGHT: f64 = 4.0;

/// A cell's place, and its difference on the log scale.
pub(super) struct Move<'a> {
    pub case: &'a str,
    pub metric: &'a str,
    pub delta: f64,
}

/// Moves and the sum of their squares.
#[derive(Clone, Copy, Default)]
struct Sum {
    count: f64,
    squares: f64,
}

impl Sum {
    fn of(delta: f64) -> Self {
        Self { count: 1.0, squares: delta * delta }
    }

    fn add(&mut self, delta: f64) {
        self.count += 1.0;
        self.squares += delta * delta;
    }

    fn without(self, other: Self) -> Self {
        Self { count: self.count - other.count, squares: (self.squares - other.squares).max(0.0) }
    }

    fn mean(self) -> f64 {
        if self.count > 0.0 { self.squares / self.count } else { 0.0 }
    }
}

/// Variance that drift adds to a difference of two occasions, where only the assumption is known.
pub(super) const fn assumed() -> Spread {
    Spread { variance: 2.0 * ASSUMED.get() * ASSUMED.get(), df: f64::INFINITY }
}

/// The same for each move, from the moves of the other cases: of all their metrics or of the cell's own, whichever is more. A
/// cell has one move.
pub(super) fn learned(moves: &[Move]) -> Vec<Spread> {
    let mut all = Sum::default();
    let (mut of_case, mut of_metric) = (Sums::default(), Sums::default());
    // Looked up once each: there may be very many.
    let places: Vec<_> = moves.iter().map(|it| (of_case.place(it.case), of_metric.place(it.metric))).collect();
    for (Move { delta, .. }, (case, metric)) in moves.iter().zip(&places) {
        all.add(*delta);
        of_case.sums[*case].add(*delta);
        of_metric.sums[*metric].add(*delta);
    }
    let spread = |(it, (case, metric)): (&Move, &(usize, usize))| {
        let others = all.without(of_case.sums[*case]);
        let same_metric = of_metric.sums[*metric].without(Sum::of(it.delta));
        let seen = others.mean().max(same_metric.mean());
        let df = WEIGHT + others.count;
        let variance = (WEIGHT * assumed().variance + others.count * seen) / df;
        if variance < assumed().variance { Spread { variance, df } } else { assumed() }
    };
    moves.iter().zip(&places).map(spread).collect()
}

/// A sum for each name, in the order in which they come.
#[derive(Default)]
struct Sums<'a> {
    index: HashMap<&'a str, usize>,
    sums: Vec<Sum>,
}

impl<'a> Sums<'a> {
    /// Where the name's sum is.
    fn place(&mut self, name: &'a str) -> usize {
        *self.index.entry(name).or_insert_with(|| {
            self.sums.push(Sum::default());
            self.sums.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(deltas: &[f64]) -> Vec<Spread> {
        let names = ["a", "b", "c", "d", "e"];
        let of = |(case, delta): (&&'static str, &f64)| Move { case, metric: "ttft", delta: *delta };
        learned(&names.iter().zip(deltas).map(of).collect::<Vec<_>>())
    }

    /// Four still cases beside four assumed moves: half of the assumed variance. What the cell itself does has no part in it.
    #[test]
    fn still_cases_show_little_drift() {
        let still = moves(&[0.3, 0.0, 0.0, 0.0, 0.0])[0];
        assert!((still.variance - 1e-4).abs() < 1e-12 && still.df == 8.0, "{still:?}");
    }

    #[test]
    fn moving_cases_leave_the_assumption() {
        assert_eq!(moves(&[0.0, 0.03, -0.02, 0.02, 0.03])[0], assumed());
        assert_eq!(moves(&[0.0]), [assumed()]);
    }
}
