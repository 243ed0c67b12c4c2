//! What the base shows against itself, as a row keeps it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::Share;

/// The base's arms differ if chance makes them do so this rarely. Not corrected for anything: a false alarm here only makes a
/// report more careful.
pub(super) const DIFFERS_P: f64 = 0.05;

/// What the base shows against itself in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BaseAgain {
    /// Its runs as the third contender.
    pub n: usize,
    /// By how much they differ from its other runs: relative, in native units.
    #[schemars(with = "f64")]
    pub change: Share,
    /// Two-sided p-value of no difference, by the test that the row's change has to pass; not adjusted.
    pub p: f64,
}

/// Why a change is none: as much happens without any.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LikeItself {
    /// The base differs from itself in this cell.
    Here(Share),
    /// It does in more cells than chance explains, by this on average (root mean square).
    InMany(Share),
}

impl BaseAgain {
    /// By more than chance explains.
    pub(super) fn differs(&self) -> bool {
        self.p <= DIFFERS_P
    }

    /// On the scale of log-ratios, without its direction.
    pub(super) fn size(&self) -> f64 {
        self.change.log_ratio().get().abs()
    }
}
