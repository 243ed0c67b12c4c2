//! What a decode step is made of, where the engine's own kernel stamps it: measured in a generation of its own, never in a
//! timed one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Means of several stamped steps of one generation. The parts and the rest add up to the step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepParts {
    /// How many steps were stamped.
    pub steps: u32,
    /// How long a stamped step takes, in microseconds.
    pub step_us: f64,
    /// What is computed, in its order.
    pub products: Vec<ProductTimes>,
    /// What of the step is in no part, in microseconds.
    pub unexplained_us: f64,
}

/// A product (or attention, or the choice of a token), layer by layer; one entry where it comes once a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductTimes {
    /// Such as `gate and up`.
    pub name: String,
    /// From the last block that was done with what comes before to the last one that has the input, in microseconds.
    pub waiting_us: Vec<f64>,
    /// From there to the last block that is done, in microseconds.
    pub work_us: Vec<f64>,
    /// From the first block that has the input to the last one, in microseconds: a part of what comes before it.
    pub apart_us: Vec<f64>,
}

/// Of a case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaseStepParts {
    /// The case's id.
    pub case: String,
    /// What its decode step is made of.
    pub parts: StepParts,
}
