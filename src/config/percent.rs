//! A share as a file says it: `"0.5%"`.

use schemars::JsonSchema;
use serde::Deserialize;

/// A percentage such as `"0.5%"`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct Percent(#[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)?%$"))] String);

impl Percent {
    /// `"0.5%"` is 0.005.
    pub fn share(&self) -> Result<f64, String> {
        let Self(text) = self;
        match text.strip_suffix('%').map(|number| number.trim().parse::<f64>()) {
            Some(Ok(percent)) if (0.0..100.0).contains(&percent) => Ok(percent / 100.0),
            _ => Err(format!("`{text}` is no percentage below 100%: write one such as \"0.5%\"")),
        }
    }
}
