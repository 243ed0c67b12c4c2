//! What is tested: one metric of one case, on both sides.

use std::borrow::Cow;

use super::Mismatch;
use crate::metric::{Better, Kind, MetricName};
use crate::stats::Share;

/// A cell on both sides, in the base's unit, reduced to the sessions that are compared.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub case: &'a str,
    pub metric: &'a MetricName,
    pub unit: &'a str,
    pub better: Better,
    pub kind: Kind,
    pub noise_threshold: Share,
    /// Values by session or, where the sides were measured apart, by occasion; each a run's.
    pub base: Vec<Cow<'a, [f64]>>,
    pub head: Vec<Cow<'a, [f64]>>,
    /// Occasions of the base, where the sides were measured apart.
    pub occasions: usize,
    /// Values that were no numbers, by side.
    pub dropped: [usize; 2],
    /// In what the case's settings differ.
    pub incomparable: Option<Mismatch>,
}
