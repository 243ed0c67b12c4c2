//! A report for who measured at a terminal: what `ci` prints there.

use super::comparison::{self, Files};
use super::reproduce::Again;
use super::{calibration, caveat_lines, run};
use crate::compare::Comparison;
use crate::page::Page;
use crate::report::Report;

/// One after the other: what was measured or compared, and what the machine can tell apart.
pub fn pages(report: &Report) -> Vec<Page> {
    let first = match report.comparison() {
        Some(comparison) => compared(report, comparison),
        None => run::page(&report.head),
    };
    let checked = report.calibration().filter(|_| report.comparison().is_none());
    let first = caveat_lines::put_before(first, report);
    std::iter::once(first).chain(checked.as_ref().map(calibration::page)).collect()
}

fn compared(report: &Report, comparison: &Comparison) -> Page {
    let labels = [report.base().and_then(|base| base.label.as_ref()), report.head.label.as_ref()];
    comparison::page(comparison, &Files::labelled(labels).measured_again_by(Again::of_report(report)))
}
