//! What a measurement waits for, so that one that is stopped meanwhile can say so: a job's time limit, say, came while another
//! process held the GPU.

use crate::measure::{Observer, Update};

/// An observer that hands everything on, and remembers a wait until something else happens.
pub struct Waited<'a> {
    observer: &'a mut dyn Observer,
    waits_for: Option<String>,
}

impl<'a> Waited<'a> {
    pub fn new(observer: &'a mut dyn Observer) -> Self {
        Self { observer, waits_for: None }
    }

    /// Why there are no numbers of a measurement that was stopped.
    pub fn stopped(&self) -> String {
        const STOPPED: &str = "stopped before there were any numbers";
        match &self.waits_for {
            Some(reason) => format!("{STOPPED}, while it waited: {reason}"),
            None => STOPPED.to_owned(),
        }
    }
}

impl Observer for Waited<'_> {
    fn update(&mut self, update: Update) {
        self.waits_for = match update {
            Update::Waiting { reason } => Some(reason.to_owned()),
            _ => None,
        };
        self.observer.update(update);
    }
}
