//! There is no report, not even one of a failure: the configuration is broken, the runner died, the artifact is missing.
//! What an earlier run said of another commit must not be taken for what this one says.

use std::collections::BTreeSet;

use super::outcome::{StepOutcome, annotation_of_failure};
use super::{Options, Step, Target};
use crate::error::{Advice, Exit, Result};
use crate::github::ApiError;
use crate::github::outputs;
use crate::github::sticky::Conversation;
use crate::io::Io;
use crate::report::{Report, Subject};

/// Tells that nothing was measured, and why, in place of the comments that earlier runs left.
pub fn publish_nothing(
    why: &str,
    options: &Options,
    variable: &dyn Fn(&str) -> Option<String>,
    io: &mut Io,
) -> Result<Exit> {
    Step::start(options, variable, io)?.publish_nothing(why)
}

impl Step<'_, '_> {
    fn publish_nothing(&mut self, why: &str) -> Result<Exit> {
        let target = self.target(&[])?;
        let report = Report::of_nothing(&Subject::default(), why);
        let surroundings = self.surroundings(&report, target.as_ref())?;
        let mut outcome = StepOutcome::default();
        outcome.add(&report, false);
        if self.context.is_some() {
            let annotation = annotation_of_failure(&report, &self.options.fail_on);
            write!(self.io.err, "{}", outputs::commands(&annotation.into_iter().collect::<Vec<_>>()))?;
        }
        let summary = self.summarize(&report, &surroundings)?;
        match &target {
            Some(target) => outcome.comments = self.replace_earlier(target, why)?,
            None => write!(self.io.out, "{summary}")?,
        }
        self.end(&outcome, &summary)?;
        Ok(outcome.exit(self.options))
    }

    /// The comments and check runs of all that was measured before; the comments' addresses.
    fn replace_earlier(&mut self, target: &Target, why: &str) -> Result<Vec<String>> {
        let earlier = match earlier(target) {
            Ok(earlier) => earlier,
            Err(error) => {
                self.warn(&format!("an earlier comment may still be there: {}", error.in_one_line()))?;
                Vec::new()
            }
        };
        let mut comments = Vec::new();
        for subject in earlier {
            let report = Report::of_nothing(&subject, why);
            let surroundings = self.surroundings(&report, Some(target))?;
            comments.extend(self.tell(&report, &surroundings, Some(target))?);
        }
        Ok(comments)
    }
}

/// What our comments are about, but those that this very run wrote: another job of it may have measured.
fn earlier(target: &Target) -> Result<Vec<Subject>, ApiError> {
    let run = target.context.measuring_run();
    let mut conversation = Conversation::open(&target.client, &target.context.repository, target.pull.number)?;
    let subjects = conversation.subjects()?;
    let told: BTreeSet<_> = subjects.iter().filter(|(_, of)| *of == run).map(|(subject, _)| subject).collect();
    let all: BTreeSet<_> = subjects.iter().map(|(subject, _)| subject).collect();
    Ok(all.difference(&told).take(MOST).copied().cloned().collect())
}

/// As many as one step publishes reports.
const MOST: usize = 16;
