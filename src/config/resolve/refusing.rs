//! What an engine can't do: of a setting it is a mistake of the file, of a model the failure of its cases.

use super::{Entry, Resolver};
use crate::config::SuiteModel;
use crate::config::file::ModelSettings;
use crate::engine::Refusal;

impl Resolver<'_> {
    /// Why the model itself can't be run. What is of settings is reported.
    pub(super) fn refused(&mut self, entry: &Entry, refusals: Vec<Refusal>) -> Option<Refusal> {
        let (of_model, of_settings): (Vec<_>, Vec<_>) =
            refusals.into_iter().partition(|refusal| self.is_of_model(entry, refusal));
        for refusal in of_settings {
            self.report_refusal(entry, refusal);
        }
        of_model.into_iter().next()
    }

    /// Is it the model itself that the engine can't run, whatever is set?
    fn is_of_model(&self, entry: &Entry, refusal: &Refusal) -> bool {
        refusal.setting == "quantization" && self.pick_model(entry, |settings| settings.quantization).is_none()
    }

    /// A model that the engine can't run fails its own cases; a suite of nothing else is a mistake.
    pub(super) fn report_refused(&mut self, models: &[(&Entry, SuiteModel)]) {
        if self.complete && models.iter().any(|(_, model)| model.refused.is_none()) {
            return;
        }
        for (entry, model) in models {
            if let Some(refusal) = model.refused.clone() {
                self.report_refusal(entry, refusal);
            }
        }
    }

    /// What the engine can't do. With settings left out it may be their absence's fault, unless it is a setting's own.
    fn report_refusal(&mut self, entry: &Entry, Refusal { setting, reason }: Refusal) {
        let set: fn(&ModelSettings) -> bool = match setting {
            "quantization" => |settings| settings.quantization.is_some(),
            "dtype" => |settings| settings.dtype.is_some(),
            "command" => |settings| settings.command.is_some(),
            "server" => |settings| settings.server.is_some(),
            "batch-size" => |settings| settings.batch_size.is_some(),
            // A suite's setting, of which one of its models may be incapable.
            "seed-protocol" => |_| false,
            _ => |settings| settings.implementation.is_some(),
        };
        if !self.complete && setting != "quantization" {
            return;
        }
        let before = self.problems.len();
        if setting == "gpus" {
            let of_flags = self.flags.gpus.is_some() || self.flags.model.implementation.is_some();
            let reason = if of_flags { reason } else { as_in_a_file(&reason) };
            self.report_suite("gpus", |settings| settings.gpus.is_some(), reason);
        } else if self.pick_model(entry, |settings| set(settings).then_some(())).is_some() {
            self.report_model(entry, setting, set, reason);
        } else {
            self.report_entry(entry, reason);
        }
        // A suite's setting is refused once, for all of its models.
        let new = self.problems.split_off(before).into_iter().filter(|problem| !self.refusals.contains(problem));
        let new: Vec<_> = new.collect();
        self.refusals.extend(new);
    }
}

/// The same advice to who writes a file.
fn as_in_a_file(reason: &str) -> String {
    reason.replace("--implementation plain", "implementation = \"plain\"")
}
