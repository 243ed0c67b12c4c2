//! What is told to whom, and what makes the step fail.

use std::path::PathBuf;

use crate::github::sticky::When;
use crate::word::words;

/// What to tell, and what makes the step fail.
#[derive(Debug, Clone)]
pub struct Options {
    /// When to comment.
    pub comment: When,
    /// What makes the step fail.
    pub fail_on: FailOn,
    /// What a report without a comparison means.
    pub if_no_baseline: IfNoBaseline,
    /// Where to write the summary as a file as well.
    pub summary: Option<PathBuf>,
    /// Where the event doesn't say it.
    pub pr_number: Option<u64>,
    /// Set a check run as well.
    pub check_run: bool,
}

words! {
    /// What makes the exit code 1.
    FailOn {
        /// Exit with 1 when a row regressed or a case is missing or failed.
        Regression = "regression",
        /// A regression doesn't change the exit code.
        Never = "never",
    }
}

words! {
    /// What a measurement without a baseline is.
    IfNoBaseline {
        /// Say nothing about it.
        Pass = "pass",
        /// Print a warning.
        Warn = "warn",
        /// Exit with 1.
        Fail = "fail",
    }
}
