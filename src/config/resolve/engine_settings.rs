//! Settings of engines that are programs or servers of their own.

use super::{Entry, Resolver};
use crate::case::EngineName;
use crate::config::file::ModelSettings;
use crate::engine::command;

impl Resolver<'_> {
    /// Who names a program or a server wants it to run the model.
    pub(super) fn engine_name(&self, entry: &Entry) -> Option<EngineName> {
        let implied = |set: fn(&ModelSettings) -> bool, name: &str| {
            self.pick_model(entry, |settings| set(settings).then(|| EngineName::from(name)))
        };
        self.pick_model(entry, |settings| settings.engine.clone())
            .or_else(|| implied(|settings| settings.command.is_some(), command::NAME))
            .or_else(|| implied(|settings| settings.server.is_some(), "server"))
    }

    /// What builds the program that `command` names.
    pub(super) fn build(&mut self, entry: &Entry) -> Option<Vec<String>> {
        let build = self.pick_model(entry, |settings| settings.build.clone())?;
        if self.complete && self.pick_model(entry, |settings| settings.command.clone()).is_none() {
            let reason = "`build` needs `command`, the program that it builds".to_owned();
            self.report_model(entry, "build", |settings| settings.build.is_some(), reason);
        }
        Some(build)
    }
}
