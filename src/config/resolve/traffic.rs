//! How many requests are in flight at once: each number is a case of its own.

use std::collections::BTreeSet;

use super::{Entry, Resolver};
use crate::case::{Case, Traffic};
use crate::engine::EngineKind;

/// Requests of a run for each that is in flight.
const TURNS: u32 = 4;

impl Resolver<'_> {
    /// The case once for each number of requests in flight.
    pub(super) fn under_traffic(
        &mut self,
        entry: &Entry,
        engine: &dyn EngineKind,
    ) -> impl Fn(Case) -> Vec<Case> + use<> {
        let in_flight = self.pick_model(entry, |settings| settings.concurrency.clone()).unwrap_or_else(|| vec![1]);
        let requests = self.pick_model(entry, |settings| settings.requests);
        if let Some(reason) = wrong(&in_flight, engine).filter(|_| self.complete) {
            self.report_model(entry, "concurrency", |settings| settings.concurrency.is_some(), reason);
        }
        let most = in_flight.iter().copied().max().unwrap_or(1);
        if let Some(requests) = requests.filter(|&requests| requests < most && self.complete) {
            let reason = format!("{requests} requests are fewer than the {most} that should be in flight at once");
            self.report_model(entry, "requests", |settings| settings.requests.is_some(), reason);
        }
        move |case| {
            let one = |&concurrency: &u32| match concurrency {
                1 => case.clone(),
                _ => case.clone().under(Traffic { concurrency, requests: requests.unwrap_or(concurrency * TURNS) }),
            };
            in_flight.iter().map(one).collect()
        }
    }
}

fn wrong(in_flight: &[u32], engine: &dyn EngineKind) -> Option<String> {
    if in_flight.iter().any(|&count| count > 1) && !engine.takes_traffic() {
        return Some(format!(
            "the engine `{}` generates for one request at a time: several in flight are for the engine `server`",
            engine.name()
        ));
    }
    let mut seen = BTreeSet::new();
    let twice = in_flight.iter().find(|count| !seen.insert(**count));
    twice.map(|count| format!("`{count}` is there twice"))
}
