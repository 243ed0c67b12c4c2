//! Measuring: one child process a run, every sample kept.
//!
//! A [`MeasuredSide`] is a measured program and its results. [`run`] measures the missing runs of all sides in one session:
//!
//! ```text
//! let id = measure::session_id();
//! let mut sides = [MeasuredSide::new("base", Worker::at(old), &suite, &id), MeasuredSide::new("head", Worker::this()?, &suite, &id)];
//! let end = measure::run(&Request::new(&suite), &mut sides, &mut Silent, Stop::on_signals())?;
//! let [base, head] = &sides; // compare base.results with head.results
//! ```
//!
//! - The order is round, model, side, case: run 1 of all cases comes before run 2 of any. The order of the sides is
//!   drawn, and turns around every second round: A B, B A, ... A slow drift of the machine falls on all alike ([`turns`]).
//! - (case, round) pairs that a side's results already hold are not measured again. So [`MeasuredSide::resume`] continues
//!   after a crash, and calling [`run`] again with more `settings.runs` adds rounds to the same session.
//! - To measure only some cases, give a suite that holds only those.
//! - A side with an `output` is saved after every case. The results are valid at any time; `finished` is set when
//!   everything was measured.
//! - A throttled run is measured again, within bounds, and kept as discarded.
//! - A failed case is a run with its reason. Only what makes measuring pointless is an `Err`: a busy GPU, a worker
//!   that can't be started, a disk that can't be written.

mod ceilings_of_suite;
mod counted;
mod counters_of_session;
mod engines_of_side;
mod environment;
mod exclusive;
#[cfg(test)]
pub(crate) mod fixture;
mod generated;
mod halt;
mod hopeless;
mod idle;
mod measured_side;
mod metrics_of_run;
mod observer;
mod other_model;
mod program;
pub mod protocol;
mod request;
mod resident;
mod round;
mod seed_protocol;
mod seen;
mod session;
mod throttle;
mod trace;
pub mod traced;
mod traced_worker;
pub mod turns;
mod watch;
mod work;
pub mod worker;

pub use crate::child::Stop;
pub use engines_of_side::EnginesOfSide;
pub use environment::environment;
pub use halt::{End, Halt};
pub use idle::busy;
pub use measured_side::{MeasuredSide, Saved, session_id};
pub use observer::{At, Observer, Silent, Update};
pub use program::Worker;
pub use request::Request;
pub use session::run;
pub use throttle::always as always_throttled;
pub use watch::Watcher;
