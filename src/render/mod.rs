//! Shows what was decided elsewhere: for a terminal, as Markdown, JSON or CSV.

pub mod baseline;
pub mod calibrate;
pub mod comment;
pub mod csv;
pub mod markdown;
mod number;
pub mod plan;
pub mod profile;
pub mod run;
pub mod summary;
pub mod table;

pub use number::{p_value, signed_percent, value};

use crate::metric;

/// The heading of a metric, with an arrow for the direction that is better. Foreign names are not escaped.
pub fn metric_heading(name: &str, better: metric::Better) -> String {
    let title = metric::find(name).map_or(name, |known| known.title);
    let arrow = match better {
        metric::Better::Higher => '↑',
        metric::Better::Lower => '↓',
    };
    format!("{title} {arrow}")
}
