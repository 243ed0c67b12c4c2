//! One session measures one model for each name, whatever happens to its files in between.

use crate::case::ModelIdentity;
use crate::child::clean;
use crate::error::{Error, Result};

/// Characters of a name or value that a measured program tells.
const LENGTH: usize = 200;
/// Names of a shape: there are a dozen.
const MOST: usize = 40;

/// What a measured program says of its model: bounded, and in one line each.
pub fn cleaned(told: &ModelIdentity) -> ModelIdentity {
    let text = |text: &String| clean(text, LENGTH);
    let shape = told.shape.iter().take(MOST).map(|(name, value)| (text(name), text(value))).collect();
    ModelIdentity { shape, weights_sha256: told.weights_sha256.as_ref().map(text) }
}

/// The model of that name is what it was.
pub fn check_same(model: &str, then: &ModelIdentity, now: &ModelIdentity) -> Result<()> {
    let what = match then.other_shape(now).next() {
        Some([name, then, now]) => format!("{name} was {then} and is {now}"),
        None if then.has_other_weights(now) => "its weights are others".to_owned(),
        None => return Ok(()),
    };
    Err(Error::measurement(format!("the model {model} changed in the middle of the session: {what}"))
        .hint("a session measures one model of a name: put the files back, or start anew"))
}
