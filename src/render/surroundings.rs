//! What surrounds a report where it is published.

use crate::report::Acceptance;

/// What surrounds the report.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The workflow run that measured, with its summary and its artifacts.
    pub run_url: Option<String>,
    /// The measured commit of the pull request.
    pub commit: Option<String>,
    /// A maintainer's word that the regressions are intended.
    pub accepted: Option<Acceptance>,
}
