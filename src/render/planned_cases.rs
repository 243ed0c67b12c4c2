//! The page of `bench-diff plan`.

use super::case_names::Names;
use super::{NAME, SENTENCE};
use crate::engine::Memory;
use crate::number::{Figure, count, decimal};
use crate::page::{Align, Block, Cell, Column, Icon, Line, Page, Table, command, foreign, line, name, unbroken};
use crate::plan::{Plan, PlannedCase, PlannedEngine};

/// The cases with what they need; how long all of them take, and what can't run.
pub fn page(plan: &Plan) -> Page {
    let memory = plan.device.memory.map(|bytes| line![", ", gib(bytes), " GiB"]).unwrap_or_default();
    let candle = plan.candle.as_ref().map(|candle| {
        let candle = name(&candle.to_string(), NAME);
        Block::Paragraph(line!["Built against the candle ", candle, ", by ", command("bench-diff ci")])
    });
    let engines = plan.engines.iter().map(|engine| Block::Paragraph(program(engine)));
    let names = Names::of(plan.cases.iter().map(|planned| planned.case.id.as_str()));
    let pattern = names.pattern().map(|pattern| Block::Paragraph(line!["Cases: ", pattern]));
    Page {
        headline: line!["Suite ", name(&plan.suite, NAME), " on ", name(&plan.device.name, NAME), memory],
        top: candle.into_iter().chain(engines).chain(pattern).collect(),
        body: vec![Block::Table(table(plan, &names)), Block::Paragraph(summary(plan))],
        end: vec![Block::List(refused(&plan.cases)), Block::List(otherwise(&plan.cases))],
    }
}

/// `Engine ./target/release/my-engine, which cargo build --release builds`
fn program(PlannedEngine { command, build }: &PlannedEngine) -> Line {
    let said = line!["Engine ", name(&command.join(" "), NAME)];
    match build.as_deref() {
        None | Some([]) => said,
        Some(build) => line![said, ", which ", name(&build.join(" "), NAME), " builds first"],
    }
}

fn table(plan: &Plan, names: &Names) -> Table {
    type Part = (&'static str, fn(&Memory) -> u64);
    const PARTS: [Part; 4] = [
        ("Weights", |memory| memory.weights),
        ("KV cache", |memory| memory.kv_cache),
        ("Workspace", |memory| memory.workspace),
        ("Total", Memory::total),
    ];
    let mut columns = vec![Column::left("Case", |planned: &PlannedCase| names.short(&planned.case.id))];
    if plan.cases.iter().any(|planned| !planned.by_card.is_empty()) {
        columns.push(Column::left("On", |planned: &PlannedCase| {
            let cards = plan.device.by_card.iter().take(planned.by_card.len());
            lines(cards.map(|card| name(&card.card, NAME)))
        }));
    }
    columns.extend(PARTS.map(|(title, part)| {
        let amount = move |planned: &PlannedCase| lines(by_card(planned).iter().map(|memory| gib(part(memory)).into()));
        Column::new(vec![title.into(), "GiB".into()], Align::Right, amount)
    }));
    columns.push(Column::right("One run", time));
    Table { wide: true, ..Table::of(columns, &plan.cases) }
}

/// What each card needs; of one device, what that does.
fn by_card(planned: &PlannedCase) -> &[Memory] {
    if planned.by_card.is_empty() { planned.memory.as_slice() } else { &planned.by_card }
}

fn lines(lines: impl Iterator<Item = Line>) -> Cell {
    Cell { mark: None, lines: lines.collect() }
}

fn time(planned: &PlannedCase) -> Cell {
    match planned.failure {
        Some(_) => Cell { mark: Some((Icon::Failed, "won't run")), lines: Vec::new() },
        None => planned.seconds.map_or_else(Cell::default, |seconds| duration(seconds).into()),
    }
}

fn summary(plan: &Plan) -> Line {
    let running = || plan.cases.iter().filter(|case| case.failure.is_none());
    let (all, runs) = (count(plan.cases.len()), count(plan.runs as usize));
    let untold = running().filter(|case| case.seconds.is_none()).count();
    let time = match untold {
        0 => line![": ", duration(plan.seconds)],
        _ if untold == running().count() => ": their engine can't tell how long that takes".into(),
        untold => {
            line![": ", duration(plan.seconds), ", and ", count(untold), " whose engine can't tell how long they take"]
        }
    };
    line![count(running().count()), " of ", all, " cases will run, ", runs, " runs each"].and(time)
}

fn refused(cases: &[PlannedCase]) -> Vec<Line> {
    by_reason("won't run: ", cases, |planned| planned.failure.as_ref().map(|failure| &failure.reason))
}

/// Those that something else runs than was asked for.
fn otherwise(cases: &[PlannedCase]) -> Vec<Line> {
    by_reason("", cases, |planned| planned.instead.as_ref().filter(|_| planned.failure.is_none()))
}

/// Neighbours that share a reason, as the contexts of a model do, share a line.
fn by_reason(what: &'static str, cases: &[PlannedCase], reason: fn(&PlannedCase) -> Option<&String>) -> Vec<Line> {
    let told: Vec<_> = cases.iter().filter_map(|planned| Some((planned, reason(planned)?))).collect();
    let why = |alike: &[(&PlannedCase, &String)]| {
        let (first, reason) = alike.first()?;
        let more = match alike.len() - 1 {
            0 => Line::default(),
            more => line![" and ", count(more), " more"],
        };
        Some(line![what, name(&first.case.id, NAME), more, ": ", foreign(reason, SENTENCE)])
    };
    told.chunk_by(|(_, one), (_, next)| one == next).filter_map(why).collect()
}

fn gib(bytes: u64) -> Figure {
    decimal(bytes as f64 / (1u64 << 30) as f64, 2)
}

/// An estimate of time, as rough as it is.
fn duration(seconds: f64) -> Line {
    unbroken(match seconds {
        ..1.0 => "under 1 s".into(),
        ..120.0 => line!["about ", decimal(seconds, 0), " s"],
        ..7200.0 => line!["about ", decimal(seconds / 60.0, 0), " min"],
        _ => line!["about ", decimal(seconds / 3600.0, 1), " h"],
    })
}
