//! Shows what was decided elsewhere: for a terminal, as Markdown, JSON or CSV.

pub mod baseline;
pub mod calibration;
mod columns;
pub mod comment;
pub mod csv;
pub mod markdown;
mod number;
pub mod planned_cases;
pub mod profile_tables;
pub mod run;
pub mod summary;
pub mod table;

pub use number::{p_value, signed_percent, value};

use crate::metric::{Better, MetricName};

/// The heading of a metric, with an arrow for the direction that is better. Foreign names are not escaped.
pub fn metric_heading(name: &MetricName, better: Better) -> String {
    let title = name.known().map_or(name.as_str(), |known| known.definition().title);
    let arrow = match better {
        Better::Higher => '↑',
        Better::Lower => '↓',
    };
    format!("{title} {arrow}")
}
