//! Shows what was decided elsewhere: for a terminal, as Markdown, JSON or CSV.

pub mod escape;
pub mod plan;
