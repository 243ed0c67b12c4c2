//! Shows what was decided elsewhere. What is read as a page is built here as a `Page`, once for all
//! places: [`comparison`] of a comparison, [`pull_request`] of a whole report.

pub mod baseline;
pub mod calibration;
mod case_names;
mod case_table;
mod caveat_lines;
pub mod code_diff_page;
mod commit_names;
pub mod comparison;
pub mod conformance;
mod counter_lines;
pub mod csv;
mod details;
pub mod doctor;
mod facts;
pub mod greedy_tokens;
mod headline;
mod inside_step;
pub mod kernel_page;
mod kernel_place;
mod microseconds;
pub mod models_table;
mod moved_tables;
mod next_step;
mod other_work;
pub mod planned_cases;
pub mod profile_tables;
pub mod published;
pub mod pull_request;
pub mod report_tables;
pub mod reproduce;
pub mod run;
mod self_check;
pub mod side_by_side;
mod surroundings;
pub mod trace_diff_page;
pub mod trace_page;
mod what_moved;

use crate::metric::{Better, MetricName};
use crate::page::{Line, code, foreign};
use crate::report::Report;

/// Longer names of others are cut.
const NAME: usize = 80;
/// Longer sentences of others are cut.
const SENTENCE: usize = 400;

/// What the sides are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sides {
    /// As headings.
    title: [&'static str; 2],
    /// At the start of a sentence.
    the_head: &'static str,
    /// Within a sentence.
    head: &'static str,
    interleaved: &'static str,
}

impl Sides {
    /// Where nobody asked for a verdict on a pull request, the head is what is checked out.
    fn of(report: &Report) -> Self {
        if report.is_local() { Self::FILES } else { Self::PULL_REQUEST }
    }

    const FILES: Self =
        Self { title: ["Base", "Head"], the_head: "The head", head: "head", interleaved: "base and head interleaved" };
    const PULL_REQUEST: Self =
        Self { title: ["Base", "PR"], the_head: "The PR", head: "PR", interleaved: "base and PR interleaved" };
}

/// A metric's title; the name as it is where bench-diff doesn't know it.
fn metric(name: &MetricName) -> Line {
    name.known().map_or_else(|| code(name.as_str(), NAME), |known| known.definition().title.into())
}

/// Where it stands among others: as listed, then those of others.
fn metric_order(name: &MetricName) -> usize {
    name.known().map_or(usize::MAX, |known| known as usize)
}

/// With an arrow for the direction that is better, and on the next line the unit.
fn metric_heading(name: &MetricName, unit: &str, better: Better) -> Vec<Line> {
    let arrow = match better {
        Better::Higher => " ↑",
        Better::Lower => " ↓",
    };
    vec![metric(name).and(arrow), foreign(unit, 16)]
}
