//! What traces say of the rows that changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::moved_parts::MovedParts;
use crate::metric::{Metric, MetricName};
use crate::trace::attribution::{Attribution, Section};

/// Sections, and cases without traces, that a report keeps.
const MOST: usize = 200;

/// Cases that changed for certain were traced, base and head in turn; or why they weren't.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attributed {
    /// What moved, by case and section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Attribution>,
    /// What moved inside a decode step, of cases whose engine stamps its own kernel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<MovedParts>,
    /// Cases that changed, of which there are no traces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// A case without traces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// The case's id.
    pub case: String,
    /// One sentence. It may hold text of the measured program.
    pub why: String,
}

impl Attributed {
    /// No more than what `ci` writes, whoever wrote it, and nothing that contradicts itself. `alpha` is the comparison's.
    pub fn bound(&mut self, alpha: f64) {
        self.sections.truncate(MOST);
        self.parts.truncate(MOST);
        self.parts.iter_mut().for_each(MovedParts::bound);
        self.left_out.truncate(MOST);
        self.sections.iter_mut().for_each(Attribution::bound);
        self.sections.retain(Attribution::is_consistent);
        self.parts.retain(|parts| parts.is_consistent(alpha));
    }

    /// What moved in the part of a case that the metric is of.
    pub fn of(&self, case: &str, metric: &MetricName) -> Option<&Attribution> {
        let section = section(metric);
        self.sections.iter().find(|found| found.case == case && found.section == section)
    }

    /// The parts of the step that a section is of.
    pub fn inside(&self, section: &Attribution) -> Option<&MovedParts> {
        let is_it = |parts: &&MovedParts| section.section == Section::Decode && parts.case == section.case;
        self.parts.iter().find(is_it)
    }

    /// Why there is no trace of a case.
    pub fn why_not(&self, case: &str) -> Option<&str> {
        self.left_out.iter().find(|left_out| left_out.case == case).map(|left_out| left_out.why.as_str())
    }
}

/// What of a generation makes up the metric, or most of it.
pub fn section(metric: &MetricName) -> Section {
    match metric.known() {
        Some(Metric::Ttft | Metric::TtftP50 | Metric::TtftP90 | Metric::TtftP99 | Metric::PrefillThroughput) => {
            Section::Prefill
        }
        _ => Section::Decode,
    }
}
