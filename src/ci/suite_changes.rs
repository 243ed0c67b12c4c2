//! What a pull request changes in the suite that it is measured by. What counts as a change stays the base's to say, and how
//! many runs there are at least, as few tell nothing, and whether counters are counted: a pull request must not choose by what it
//! is judged. What is measured is the pull request's to choose, and said.

use std::collections::BTreeSet;

use super::{Base, Flow};
use crate::compare::{self, CaseNote, Comparison, Difference, NoteKind};
use crate::config::{Suite, SuiteModel};
use crate::error::Result;
use crate::report::SuiteChange;
use crate::thresholds::Thresholds;

/// More are cut: a suite may have very many cases.
const MOST: usize = 20;

/// The base's suite against the pull request's.
#[derive(Debug, Default)]
pub struct SuiteChanges {
    /// To be said.
    pub changes: Vec<SuiteChange>,
    /// Cases that the base's suite has and the pull request's hasn't.
    pub taken_out: Vec<String>,
    /// What counts as a change.
    pub thresholds: Option<Thresholds>,
    /// How often it is measured at least: with fewer runs, nothing could be told.
    pub least_runs: u32,
    /// The base's suite has counters: without them a gate on counters would have nothing to fail by.
    pub counters: bool,
    /// The base says nothing of all that.
    pub base_is_unconfigured: bool,
}

impl SuiteChanges {
    /// Of one suite.
    pub fn between(base: &Suite, head: &Suite) -> Self {
        let mut changes = measured_differently(base, head);
        let kept: BTreeSet<&str> = head.cases().map(|case| case.id.as_str()).collect();
        let ids = base.cases().map(|case| case.id.as_str());
        let taken_out: Vec<String> = ids.filter(|id| !kept.contains(id)).map(str::to_owned).collect();
        changes.extend(taken_out.iter().map(|id| change("case", id, "none")));
        changes.extend(judged_differently(&base.thresholds, &head.thresholds));
        changes.truncate(MOST);
        let thresholds = Some(base.thresholds.clone());
        let (least_runs, counters) = (base.settings.runs, base.counters);
        Self { changes, taken_out, thresholds, least_runs, counters, base_is_unconfigured: false }
    }

    /// Another suite is measured than the base's. It is judged as the base judges it, where `known` is the base's suite of that
    /// name; else as the suite in whose place it is.
    pub fn in_place_of(base: &Suite, known: Option<&Suite>, head: &Suite) -> Self {
        let (least_runs, counters) = (base.settings.runs, base.counters);
        let as_base = || {
            let judged = Self::judged_by(&base.thresholds, head);
            let changes = counters_changed(counters, head.counters).into_iter().chain(judged.changes).collect();
            Self { changes, least_runs, counters, ..judged }
        };
        known.map_or_else(as_base, |known| Self::between(known, head)).naming(&base.name, head)
    }

    /// A suite that the base doesn't have, in no other's place.
    pub fn new_in_head(thresholds: &Thresholds, head: &Suite) -> Self {
        Self::judged_by(thresholds, head).naming("none", head)
    }

    /// The base has no configuration. A pull request that brings one chooses as little by what it is judged as any other.
    pub fn of_unconfigured_base(thresholds: &Thresholds, least_runs: u32, counters: bool, head: &Suite) -> Self {
        let judged = Self { least_runs, counters, base_is_unconfigured: true, ..Self::judged_by(thresholds, head) };
        let changed = [runs_changed(least_runs, head.settings.runs), counters_changed(counters, head.counters)];
        let less = changed.into_iter().flatten().filter(|change| change.overruled);
        Self { changes: less.chain(judged.changes).take(MOST).collect(), ..judged }
    }

    fn judged_by(thresholds: &Thresholds, head: &Suite) -> Self {
        let changes = judged_differently(thresholds, &head.thresholds);
        Self { changes, thresholds: Some(thresholds.clone()), ..Self::default() }
    }

    /// Says before all else that it is another suite.
    fn naming(mut self, base: &str, head: &Suite) -> Self {
        self.changes.insert(0, change(SuiteChange::SUITE, base, &head.name));
        self.changes.truncate(MOST);
        self
    }
}

fn change(setting: &str, base: &str, head: &str) -> SuiteChange {
    SuiteChange { setting: setting.replace('_', "-"), base: base.to_owned(), head: head.to_owned(), overruled: false }
}

fn measured_differently(base: &Suite, head: &Suite) -> Vec<SuiteChange> {
    let mut found: Vec<SuiteChange> = runs_changed(base.settings.runs, head.settings.runs).into_iter().collect();
    found.extend(counters_changed(base.counters, head.counters));
    let said = |it: Difference| change(&it.field, &it.base, &it.head);
    found.extend(compare::settings_differences(&base.settings, &head.settings).into_iter().map(said));
    found.extend(started_differently(base, head));
    for case in head.cases() {
        let Some(before) = base.cases().find(|before| before.id == case.id) else { continue };
        for differing in compare::case_differences(before, case).into_iter().map(said) {
            if !found.contains(&differing) {
                found.push(differing);
            }
        }
    }
    found
}

/// Fewer runs than the base's aren't the pull request's to choose.
fn runs_changed(base: u32, head: u32) -> Option<SuiteChange> {
    let changed = change("runs", &base.to_string(), &head.to_string());
    (base != head).then_some(SuiteChange { overruled: head < base, ..changed })
}

/// More may be counted than the base does, but no less.
fn counters_changed(base: bool, head: bool) -> Option<SuiteChange> {
    let changed = change("counters", &base.to_string(), &head.to_string());
    (base != head).then_some(SuiteChange { overruled: base, ..changed })
}

/// How programs of their own are started and built.
fn started_differently(base: &Suite, head: &Suite) -> Vec<SuiteChange> {
    let words = |words: Option<&Vec<String>>| match words {
        Some(words) if !words.is_empty() => words.join(" "),
        _ => "none".to_owned(),
    };
    let mut found = Vec::new();
    for now in &head.models {
        let same = |before: &&SuiteModel| before.cases.iter().any(|case| now.cases.iter().any(|it| it.id == case.id));
        let Some(before) = base.models.iter().find(same) else { continue };
        let pairs = [
            ("command", words(Some(&before.spec.command)), words(Some(&now.spec.command))),
            ("build", words(before.build.as_ref()), words(now.build.as_ref())),
        ];
        let differing = pairs.into_iter().filter(|(_, before, now)| before != now);
        for differing in differing.map(|(setting, before, now)| change(setting, &before, &now)) {
            if !found.contains(&differing) {
                found.push(differing);
            }
        }
    }
    found
}

fn judged_differently(base: &Thresholds, head: &Thresholds) -> Vec<SuiteChange> {
    let metrics = |of: &Thresholds| if of.metrics.is_empty() { "default".to_owned() } else { of.metrics.join(", ") };
    let mut pairs = vec![
        ("metrics".to_owned(), metrics(base), metrics(head)),
        ("alpha".to_owned(), base.alpha.to_string(), head.alpha.to_string()),
        ("gate-at-threshold".to_owned(), base.gate_at_threshold.to_string(), head.gate_at_threshold.to_string()),
        ("counters-floor".to_owned(), base.counters_floor.to_string(), head.counters_floor.to_string()),
    ];
    let names: BTreeSet<&String> = base.noise_thresholds.keys().chain(head.noise_thresholds.keys()).collect();
    let threshold = |of: &Thresholds, name: &String| match of.noise_thresholds.get(name) {
        Some(threshold) => threshold.to_string(),
        None => "default".to_owned(),
    };
    pairs.extend(
        names
            .into_iter()
            .map(|name| (format!("noise-thresholds.{name}"), threshold(base, name), threshold(head, name))),
    );
    let differing = pairs.into_iter().filter(|(_, base, head)| base != head);
    differing.map(|(setting, base, head)| SuiteChange { setting, base, head, overruled: true }).collect()
}

impl Flow<'_> {
    /// Another suite than the base's matters where a comparison was promised: the base's has a baseline, or the base is run. Where
    /// none was, it is a first run.
    pub(super) fn changes_that_matter(&self, hardware: &str) -> Result<Vec<SuiteChange>> {
        let (store, changes) = (&self.request.committed, &self.caveats.suite_changes);
        let is_renamed = |change: &&SuiteChange| change.setting == SuiteChange::SUITE;
        let Some(renamed) = changes.iter().find(is_renamed) else { return Ok(changes.clone()) };
        if matches!(self.request.base, Base::Program(_)) || store.find(&renamed.base, hardware)?.is_some() {
            return Ok(changes.clone());
        }
        let compared = store.find(&self.request.suite.name, hardware)?.is_some();
        Ok(changes.iter().filter(|change| compared && !is_renamed(change)).cloned().collect())
    }

    /// What isn't measured any more is lost, whatever the rest is compared with.
    pub(super) fn note_taken_out(&self, comparison: &mut Comparison) {
        for case in &self.request.taken_out {
            if !comparison.notes.iter().any(|note| note.case == *case) {
                let reason = "the pull request takes it out of the suite".to_owned();
                comparison.notes.push(CaseNote { case: case.clone(), kind: NoteKind::Missing, fails: true, reason });
            }
        }
    }
}
