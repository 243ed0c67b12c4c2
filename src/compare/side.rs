//! One side of a comparison, whatever file it came from.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use crate::case::{Case, Clock, ImplementationName};
use crate::metric::{Better, DEFAULT_NOISE_THRESHOLD, Kind, Metric, MetricName};
use crate::results::{
    CaseCounters, Ceilings, Environment, Measurement, Occasions, Outcome, Program, Results, Settings,
};
use crate::stats::Share;
use crate::unit::{self, Quantity};
use crate::word::Word;

/// All values of one side, by case and metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Side {
    /// What to call it: a path, or "base".
    pub name: String,
    /// What the results stand for, such as a release, where the file says it.
    pub label: Option<String>,
    /// Empty for plain samples, which don't say where they come from.
    pub sessions: Vec<SessionFacts>,
    /// Which sessions are independent of each other.
    pub occasions: Occasions,
    /// How it was measured; absent for plain samples.
    pub settings: Option<Settings>,
    /// In the order of the file.
    pub cases: Vec<CaseSide>,
    /// Warnings about the file, one sentence each.
    pub warnings: Vec<String>,
}

impl Side {
    /// Samples that another tool measured: they don't say where they come from.
    pub fn is_plain_samples(&self) -> bool {
        self.settings.is_none()
    }
}

/// A session without its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionFacts {
    /// The same on both sides where they were measured interleaved.
    pub id: String,
    /// False while the session runs, or if it was cut off.
    pub finished: bool,
    /// The machine.
    pub environment: Environment,
    /// What the device can do at most, where that was measured.
    pub ceilings: Option<Ceilings>,
    /// What was measured.
    pub program: Program,
    /// Of its file, where that was read.
    pub program_sha256: Option<String>,
}

/// What one side holds of a case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CaseSide {
    /// The case's id; the same on both sides.
    pub id: String,
    /// Absent for plain samples, of which there may be very many cases: hence the box.
    pub case: Option<Box<Case>>,
    /// The values, by metric.
    pub cells: Vec<CellSide>,
    /// Number of runs that gave numbers.
    pub runs: usize,
    /// Reasons of those that gave none.
    pub failures: Vec<String>,
    /// Why the device was throttled in the runs that were left out for it, where none is left.
    pub only_throttled: BTreeSet<String>,
    /// Of the tokens that its runs generated: more than one where they weren't the same.
    pub token_hashes: BTreeSet<String>,
    /// What ran in the runs that gave numbers.
    pub implementations: BTreeSet<ImplementationName>,
    /// Engines of those runs that are programs of their own, each once.
    pub engines: Vec<Program>,
    /// Whose clocks those runs were timed by, as far as they say.
    pub clocks: BTreeSet<Word<Clock>>,
    /// Why the run was throttled, for each run that gave numbers.
    pub throttle_reasons: Vec<BTreeSet<String>>,
    /// Mean clock of the processors in MHz, of each run that tells it.
    pub sm_clocks: Vec<f64>,
    /// What it does on the GPU, by session, where that was counted.
    pub counters: Vec<(usize, CaseCounters)>,
}

/// The values of a metric, one a run.
#[derive(Debug, Clone, PartialEq)]
pub struct CellSide {
    /// The metric, which may be one that only others know.
    pub metric: MetricName,
    /// Of all values, such as `ms`.
    pub unit: Cow<'static, str>,
    /// Which direction is good.
    pub better: Better,
    /// How the values vary.
    pub kind: Kind,
    /// The noise threshold that holds if the caller gives none.
    pub noise_threshold: Share,
    /// Compared when the caller names no metrics.
    pub default: bool,
    /// Only sessions that have values, in the order of the side's.
    pub sessions: Vec<SessionValues>,
    /// Number of values that were none: NaN, infinite, zero or negative.
    pub dropped: usize,
    /// How many of these were exactly zero.
    pub zeros: usize,
    /// Its only value is an average without its samples: nothing tells how they varied.
    pub is_average: bool,
}

/// A cell's positive, finite values of one session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionValues {
    /// Index of the session in the file.
    pub session: usize,
    /// One a run, in the order of the runs.
    pub values: Vec<f64>,
}

impl CellSide {
    /// An empty cell. Where bench-diff knows the metric, kind and noise threshold are its own.
    pub fn new(metric: MetricName, unit: Cow<'static, str>, better: Better) -> Self {
        let (kind, noise_threshold) = match metric.known().map(Metric::definition) {
            Some(known) => (known.kind, known.noise_threshold),
            None if unit::quantity(&unit) == Some(Quantity::Memory) => {
                (Kind::Memory, Metric::PeakMemory.definition().noise_threshold)
            }
            None => (Kind::Timed, DEFAULT_NOISE_THRESHOLD),
        };
        Self {
            metric,
            unit,
            better,
            kind,
            noise_threshold,
            default: true,
            sessions: Vec::new(),
            dropped: 0,
            zeros: 0,
            is_average: false,
        }
    }

    pub(super) fn has_values(&self) -> bool {
        !self.sessions.is_empty() || self.good_zeros() > 0
    }

    /// Zeros that are numbers: of what somebody else counts nothing may be left. None of our metrics can be zero.
    pub fn good_zeros(&self) -> usize {
        if self.better == Better::Lower && self.metric.known().is_none() { self.zeros } else { 0 }
    }

    /// Adds a run's value. Sessions come in their order.
    pub fn push(&mut self, session: usize, value: f64) {
        if !(value.is_finite() && value > 0.0) {
            self.dropped += 1;
            self.zeros += usize::from(value == 0.0);
            return;
        }
        match self.sessions.last_mut() {
            Some(last) if last.session == session => last.values.push(value),
            _ => {
                // Most cells have one session, and there may be very many cells.
                if self.sessions.is_empty() {
                    self.sessions.reserve_exact(1);
                }
                self.sessions.push(SessionValues { session, values: vec![value] });
            }
        }
    }
}

impl Side {
    /// The cases by their ids.
    pub fn by_id(&self) -> HashMap<&str, &CaseSide> {
        self.cases.iter().map(|case| (case.id.as_str(), case)).collect()
    }

    /// What a results file holds, by case and metric.
    pub fn from_results(name: impl Into<String>, results: &Results) -> Self {
        let mut side = Self {
            name: name.into(),
            label: results.label.clone(),
            sessions: results.sessions.iter().map(SessionFacts::from).collect(),
            occasions: Occasions::of(&results.sessions),
            settings: Some(results.settings.clone()),
            cases: results.cases.iter().map(CaseSide::from).collect(),
            warnings: Vec::new(),
        };
        let index: HashMap<&str, usize> =
            results.cases.iter().enumerate().map(|(index, case)| (case.id.as_str(), index)).collect();
        let mut unknown = BTreeSet::new();
        for (session, runs) in results.sessions.iter().map(|session| &session.runs).enumerate() {
            for run in runs {
                // The reader has checked that every run is planned; results made in memory may differ.
                let Some(&case) = index.get(run.case.as_str()) else { continue };
                let case = &mut side.cases[case];
                match &run.outcome {
                    Outcome::Ok(measured) => case.add(measured, session, &mut unknown),
                    Outcome::Failed(failure) => case.failures.push(failure.reason.clone()),
                }
            }
        }
        for (session, counters) in results.sessions.iter().map(|session| &session.counters).enumerate() {
            for counted in counters {
                let Some(&case) = index.get(counted.case.as_str()) else { continue };
                side.cases[case].counters.push((session, counted.clone()));
            }
        }
        for case in &mut side.cases {
            case.cells.sort_by_key(|cell| cell.metric.known());
            // The programs of Qwen's Speed Benchmark tell little else.
            let speeds = case.cells.iter_mut().filter(|cell| cell.metric.known() == Some(Metric::Speed));
            speeds.for_each(|cell| cell.default |= results.settings.seed_protocol.is_some());
        }
        if !unknown.is_empty() {
            let names: Vec<_> = unknown.into_iter().map(|name| format!("`{name}`")).collect();
            side.warnings.push(format!(
                "{} holds metrics that this bench-diff doesn't know, left out: {}",
                side.name,
                names.join(", ")
            ));
        }
        side
    }
}

impl CaseSide {
    /// What ran instead of the implementation that was asked for, and that.
    pub fn fallback(&self) -> Option<(&ImplementationName, &ImplementationName)> {
        let asked = &self.case.as_ref()?.implementation;
        let other = self.implementations.iter().find(|ran| *ran != asked && asked.is_named())?;
        Some((other, asked))
    }

    /// Why every run of both sides was throttled: that is how the device runs the case.
    pub fn always_throttled(&self, other: &Self) -> BTreeSet<String> {
        let runs = self.throttle_reasons.iter().chain(&other.throttle_reasons).cloned();
        runs.reduce(|common, reasons| &common & &reasons).unwrap_or_default()
    }

    fn add(&mut self, measured: &Measurement, session: usize, unknown: &mut BTreeSet<String>) {
        self.runs += 1;
        self.token_hashes.extend(measured.token_hash.iter().cloned());
        let asked = self.case.as_ref().map(|case| &case.implementation);
        let ran = measured.implementation.as_ref().or(asked);
        if let Some(ran) = ran.filter(|ran| !self.implementations.contains(*ran)) {
            self.implementations.insert(ran.clone());
        }
        if let Some(clock) = measured.clock.as_ref().filter(|clock| !self.clocks.contains(*clock)) {
            self.clocks.insert(clock.clone());
        }
        if let Some(engine) = measured.program.as_ref().filter(|engine| !self.engines.contains(engine)) {
            self.engines.push(engine.clone());
        }
        self.throttle_reasons.push(measured.throttle_reasons().iter().cloned().collect());
        self.sm_clocks.extend(measured.device.as_ref().and_then(|device| device.sm_clock_mhz));
        for (name, &value) in &measured.metrics {
            let Some(known) = name.known().map(Metric::definition) else {
                unknown.insert(name.to_string());
                continue;
            };
            let cell = match self.cells.iter().position(|cell| cell.metric == *name) {
                Some(index) => &mut self.cells[index],
                None => {
                    let mut cell = CellSide::new(name.clone(), Cow::Borrowed(known.unit), known.better);
                    cell.default = known.default;
                    self.cells.push(cell);
                    self.cells.last_mut().expect("just pushed")
                }
            };
            cell.push(session, value);
        }
    }
}

impl From<&crate::results::Session> for SessionFacts {
    fn from(session: &crate::results::Session) -> Self {
        Self {
            id: session.id.clone(),
            finished: session.finished.is_some(),
            environment: session.environment.clone(),
            ceilings: session.ceilings,
            program: session.program.clone(),
            program_sha256: session.program_sha256.clone(),
        }
    }
}

impl From<&Case> for CaseSide {
    fn from(case: &Case) -> Self {
        Self { id: case.id.clone(), case: Some(Box::new(case.clone())), ..Self::default() }
    }
}
