//! The page of `bench-diff models`.

use super::{NAME, SENTENCE};
use crate::case::Quantization;
use crate::catalog::{Catalog, Entry, GENERATED};
use crate::hub::{Held, HubName};
use crate::number::{bytes, count, decimal};
use crate::page::{Align, Block, Cell, Column, Line, Page, Table, command, foreign, line, name};

/// A row a model; where those lie that are here.
pub fn page(catalog: &Catalog) -> Page {
    let device = match &catalog.device {
        Some(device) => {
            let memory = device.memory.map(|memory| line![", ", bytes(memory)]).unwrap_or_default();
            line!["Models of Qwen2.5, and what fits ", name(&device.name, NAME)].and(memory)
        }
        None => line!["Models of Qwen2.5"],
    };
    Page {
        headline: device,
        top: Vec::new(),
        body: vec![Block::Table(table(catalog)), Block::List(places(&catalog.models))],
        end: notes(catalog).into_iter().map(Block::Paragraph).collect(),
    }
}

fn table(catalog: &Catalog) -> Table {
    let mut columns = vec![
        Column::left("Model", |entry: &Entry| name(short(&entry.id), NAME)),
        Column::right("Parameters", |entry: &Entry| line![decimal(entry.parameters as f64 / 1e9, 2), " B"]),
        Column::left("Weights", |entry: &Entry| name(weights(entry), NAME)),
        Column::right("Download", |entry: &Entry| entry.download_bytes.map_or("by file".into(), |it| line![bytes(it)])),
    ];
    if catalog.device.is_some() {
        columns.push(Column::new(vec!["Longest".into(), "context".into()], Align::Right, context));
    }
    columns.push(Column::left("In the cache of", |entry: &Entry| {
        Line::joined(entry.cached.iter().map(|held| name(held.hub.word(), NAME)), ", ")
    }));
    Table { wide: true, ..Table::of(columns, &catalog.models) }
}

fn short(id: &str) -> &str {
    id.strip_prefix("Qwen/").unwrap_or(id)
}

/// What the hub has: the type, where nothing is quantized.
fn weights(entry: &Entry) -> &'static str {
    if entry.quantization == Quantization::None { "bf16" } else { entry.quantization.word() }
}

fn context(entry: &Entry) -> Cell {
    match (entry.fits, entry.longest_context) {
        (_, Some(context)) => count(context as usize).into(),
        (Some(false), None) => "none".into(),
        _ => Cell::default(),
    }
}

/// Where each cached model lies.
fn places(models: &[Entry]) -> Vec<Line> {
    let held = models.iter().flat_map(|entry| entry.cached.iter().map(move |held| (entry, held)));
    let place = |(entry, held): (&Entry, &Held)| {
        let path = held.path.display().to_string();
        let whole = if held.complete { " in " } else { ", not whole, in " };
        line![name(short(&entry.id), NAME), ": ", bytes(held.bytes), whole, foreign(&path, SENTENCE)]
    };
    held.map(place).collect()
}

fn notes(catalog: &Catalog) -> Vec<Line> {
    let fits = match &catalog.device {
        Some(_) => line![
            "The longest context is of the benchmark's prompt lengths, with ",
            count(GENERATED as usize),
            " generated tokens: an estimate, with the weights as they are published."
        ],
        None => line!["There is no GPU here: ", command("--device-memory GIB"), " says what fits one of that size."],
    };
    let pull = line!["To download one", from(catalog), ": ", command("bench-diff models pull ID")];
    vec![fits, pull]
}

/// Which hub that is, where the configuration names another than the usual one.
fn from(catalog: &Catalog) -> Line {
    let mut hubs: Vec<HubName> = catalog.models.iter().map(|entry| entry.hub).collect();
    hubs.sort();
    hubs.dedup();
    match hubs[..] {
        [hub] if hub == HubName::default() => Line::default(),
        [hub] => line![" from ", name(hub.word(), NAME), ", as the configuration says"],
        _ => " from the hub that the configuration says".into(),
    }
}
