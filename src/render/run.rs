//! The table of `bench-diff run`, and of a first measurement: a row a case, a column a metric.

use std::borrow::Cow;
use std::collections::HashSet;

use super::case_names::Names;
use super::{NAME, SENTENCE, metric_heading};
use crate::case::WeightsSource;
use crate::metric::{Metric, MetricName};
use crate::number::{count, mean_and_deviation, percent};
use crate::page::{Align, Block, Cell, Column, Line, Page, Table, foreign, line, name, unbroken};
use crate::results::{Discarded, Level, Outcome, Results, Run, Session, levels};
use crate::stats::Share;

/// The last session's numbers: mean ± standard deviation over its runs.
pub fn page(results: &Results) -> Page {
    let Some(session) = results.sessions.last() else {
        return Page { headline: "no session".into(), ..Page::default() };
    };
    Page {
        headline: heading(results, session),
        body: numbers(&levels(&results.cases, session), |metric| is_shown(results, metric)),
        end: vec![Block::List(notes(results, session))],
        ..Page::default()
    }
}

/// Those that are tested, those of a batch, and what a program of Qwen's Speed Benchmark tells.
fn is_shown(results: &Results, metric: Metric) -> bool {
    let of_seed = results.settings.seed_protocol.is_some() && matches!(metric, Metric::Speed | Metric::E2eLatency);
    metric.definition().default || metric == Metric::BatchThroughput || of_seed
}

/// Which suite, on which device, of which program.
pub(super) fn heading(results: &Results, session: &Session) -> Line {
    let environment = &session.environment;
    let device = environment.gpus.first().map(|gpu| &gpu.name).or(environment.cpu.as_ref());
    let device = device.map_or_else(|| "an unknown device".into(), |device| foreign(device, NAME));
    let generated = results.cases.iter().any(|case| case.weights == WeightsSource::Generated);
    let weights = if generated { ", generated weights" } else { "" };
    let label = results.label.as_ref().map(|label| line![" (", foreign(label, NAME), ")"]).unwrap_or_default();
    let seed = results.settings.seed_protocol.as_ref();
    let seed = seed.map(|it| line![", measured as Qwen's protocol ", foreign(it.as_str(), NAME)]).unwrap_or_default();
    line!["Suite ", name(&results.suite, NAME), label, " on ", device, ": ", program(session), weights, seed]
}

/// Nothing is known of one that never ran.
fn program(session: &Session) -> Line {
    let engines = session.engines().into_iter().map(|engine| line![", engine ", foreign(&engine.describe(), NAME)]);
    match session.program.describe() {
        said if said.trim().is_empty() => "no program ran".into(),
        said => engines.fold(foreign(&said, NAME), Line::and),
    }
}

/// What was measured, of the metrics that are `wanted`.
pub(super) fn numbers(levels: &[Level], wanted: impl Fn(Metric) -> bool) -> Vec<Block> {
    let names = Names::of(levels.iter().map(|level| level.case.as_str()));
    let pattern = names.pattern().map(|pattern| Block::Paragraph(line!["Cases: ", pattern]));
    pattern.into_iter().chain([Block::Table(table(levels, &names, wanted))]).collect()
}

/// The columns that at least one case has something for.
fn table(levels: &[Level], names: &Names, wanted: impl Fn(Metric) -> bool) -> Table {
    let mut columns = vec![Column::left("Case", |level: &Level| names.short(&level.case))];
    for metric in Metric::ALL.iter().filter(|metric| wanted(**metric)) {
        let name = MetricName::from(*metric);
        if levels.iter().any(|level| level.metrics.contains_key(&name)) {
            let definition = metric.definition();
            let heading = metric_heading(&name, definition.unit, definition.better);
            columns.push(Column::new(heading, Align::Right, move |level: &Level| mean(level, &name)));
        }
    }
    let shares: [(&str, OfLimit); 2] =
        [("decode of limit", |level| level.decode_of_limit), ("prefill of limit", |level| level.prefill_of_limit)];
    for (heading, share) in shares.into_iter().filter(|(_, share)| levels.iter().any(|level| share(level).is_some())) {
        columns.push(Column::right(heading, move |level: &Level| {
            share(level).map(percent).map_or_else(Cell::default, Cell::from)
        }));
    }
    columns.push(Column::right("Runs", |level: &Level| count(level.runs)));
    Table { wide: true, ..Table::of(columns, levels) }
}

/// One of the shares of the device's limits.
type OfLimit = fn(&Level) -> Option<Share>;

fn mean(level: &Level, metric: &MetricName) -> Cell {
    match level.metrics.get(metric) {
        Some(summary) => unbroken(mean_and_deviation(summary.mean, summary.sd)).into(),
        None => Cell::default(),
    }
}

/// Failures and what the engine warned of, each once for a case.
fn notes(results: &Results, session: &Session) -> Vec<Line> {
    let runs = results.cases.iter().flat_map(|case| session.runs.iter().filter(move |run| run.case == case.id));
    let mut known = HashSet::new();
    let mut notes: Vec<Line> =
        runs.flat_map(said_of).filter(|said| known.insert(said.clone())).map(Said::line).collect();
    let again = |Discarded { why, run }: &Discarded| {
        line![
            "measured again: ",
            name(&run.case, NAME),
            ", run ",
            count(run.round as usize),
            ": ",
            foreign(why, SENTENCE)
        ]
    };
    notes.extend(session.discarded.iter().map(again));
    notes
}

/// What there is to say of a run.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Said<'a> {
    kind: &'static str,
    case: &'a str,
    why: Cow<'a, str>,
}

impl Said<'_> {
    fn line(self) -> Line {
        line![self.kind, ": ", name(self.case, NAME), ": ", foreign(&self.why, SENTENCE)]
    }
}

fn said_of(run: &Run) -> Vec<Said<'_>> {
    let said = |kind, why| Said { kind, case: &run.case, why };
    match &run.outcome {
        Outcome::Failed(failure) => vec![said("failed", failure.reason.as_str().into())],
        Outcome::Ok(measurement) => {
            let reasons = measurement.throttle_reasons().join(", ");
            let throttled = (!reasons.is_empty()).then(|| format!("clocks were held down: {reasons}").into());
            let warnings = measurement.warnings.iter().map(|warning| warning.as_str().into());
            warnings.chain(throttled).map(|why| said("note", why)).collect()
        }
    }
}
