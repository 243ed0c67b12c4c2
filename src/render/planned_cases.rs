//! The page of `bench-diff plan`.

use super::{NAME, SENTENCE};
use crate::engine::Memory;
use crate::number::{count, decimal};
use crate::page::{Block, Cell, Column, Icon, Line, Page, Table, code, foreign, line, name, unbroken};
use crate::plan::{Plan, PlannedCase};

/// The cases with what they need; how long all of them take, and what can't run.
pub fn page(plan: &Plan) -> Page {
    let memory = plan.device.memory.map(|bytes| line![", ", gib(bytes)]).unwrap_or_default();
    let candle = plan.candle.as_ref().map(|candle| {
        let candle = name(&candle.to_string(), NAME);
        Block::Paragraph(line!["Built against the candle ", candle, ", by ", unbroken("`bench-diff ci`")])
    });
    Page {
        headline: line!["Suite ", name(&plan.suite, NAME), " on ", name(&plan.device.name, NAME), memory],
        top: candle.into_iter().collect(),
        body: vec![Block::Table(table(&plan.cases)), Block::Paragraph(summary(plan))],
        end: vec![Block::List(refused(&plan.cases))],
    }
}

fn table(cases: &[PlannedCase]) -> Table {
    type Part = (&'static str, fn(&Memory) -> u64);
    const PARTS: [Part; 4] = [
        ("Weights", |memory| memory.weights),
        ("KV cache", |memory| memory.kv_cache),
        ("Workspace", |memory| memory.workspace),
        ("Total", Memory::total),
    ];
    let mut columns = vec![Column::left("Case", |planned: &PlannedCase| code(&planned.case.id, NAME))];
    columns.extend(PARTS.map(|(heading, part)| {
        Column::right(heading, move |planned: &PlannedCase| {
            planned.memory.map(|memory| gib(part(&memory))).unwrap_or_default()
        })
    }));
    columns.push(Column::right("One run", time));
    Table { wide: true, ..Table::of(columns, cases) }
}

fn time(planned: &PlannedCase) -> Cell {
    match planned.failure {
        Some(_) => Cell { mark: Some((Icon::Failed, "won't run")), lines: Vec::new() },
        None => duration(planned.seconds).into(),
    }
}

fn summary(plan: &Plan) -> Line {
    let running = plan.cases.iter().filter(|case| case.failure.is_none()).count();
    let (all, runs) = (count(plan.cases.len()), count(plan.runs as usize));
    line![count(running), " of ", all, " cases will run, ", runs, " runs each: ", duration(plan.seconds)]
}

fn refused(cases: &[PlannedCase]) -> Vec<Line> {
    let why = |planned: &PlannedCase| {
        let reason = foreign(&planned.failure.as_ref()?.reason, SENTENCE);
        Some(line!["won't run: ", name(&planned.case.id, NAME), ": ", reason])
    };
    cases.iter().filter_map(why).collect()
}

fn gib(bytes: u64) -> Line {
    unbroken(line![decimal(bytes as f64 / (1u64 << 30) as f64, 2), " GiB"])
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
