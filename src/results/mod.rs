//! Results: in memory (`model`), and in files.
//!
//! A results file names its schema. `v2` is what is written; older ones are read through `upgrade`, a step a schema.
//! A schema that was released only gains optional fields: what changes a meaning is a new schema. `schemas/` holds them
//! as JSON Schema, `tests/fixtures/schemas/` a file of each.

mod builds;
mod compact;
mod convert;
mod counters;
mod described;
pub(crate) mod distribution;
mod export;
mod fingerprint;
mod flat_run;
mod levels;
mod model;
pub(crate) mod occasions;
mod read;
mod step_parts;
mod upgrade;
pub(crate) mod v1;
pub(crate) mod v2;
mod write;

pub use builds::are_surely_the_same;
pub use counters::{CaseCounters, Counted, CountedPair, Counter, Counts};
pub use levels::{Level, levels};
pub use model::*;
pub use occasions::Occasions;
pub(crate) use read::{from_json, read_bounded, read_bytes, schema_of, without_bad_numbers};
pub use read::{parse, read};
pub use step_parts::{CaseStepParts, ProductTimes, StepParts};

/// The schema that is written. Those from 1 on are read.
pub const SCHEMA: u32 = 2;
