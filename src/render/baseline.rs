//! The pages of `bench-diff baseline`.

use std::path::Path;

use super::{NAME, SENTENCE, run};
use crate::baseline::{self, Change, Entry, Findings};
use crate::number::{count, counted};
use crate::page::{Block, Cell, Column, Line, Page, Table, code, foreign, line, name};
use crate::results::occasions::HOURS_APART;
use crate::results::{Occasions, Results};

/// One row for each baseline of a directory.
pub fn list(entries: &[Entry], directory: &Path) -> Page {
    let columns = vec![
        Column::left("Baseline", named),
        Column::right("Sessions", |entry: &Entry| count(entry.sessions)),
        Column::right("Cases", |entry: &Entry| count(entry.cases)),
        Column::left("Newest", |entry: &Entry| foreign(day(&entry.measured), 20)),
    ];
    Page {
        headline: line![counted(entries.len(), "baseline"), " in ", path(directory)],
        body: vec![Block::Table(Table::of(columns, entries))],
        ..Page::default()
    }
}

/// Its name, and below it what its sessions are of: beside it, there is no room on a usual screen.
fn named(entry: &Entry) -> Cell {
    let occasions = line!["on ", counted(entry.occasions, "occasion"), ", of ", foreign(&entry.program, NAME)];
    Cell { mark: None, lines: vec![code(&entry.name(), NAME), occasions] }
}

/// Of a time, the day.
fn day(time: &str) -> &str {
    time.split_once('T').map_or(time, |(day, _)| day)
}

/// The newest session, and how many there are.
pub fn show(results: &Results, file: &Path) -> Page {
    let occasions = Occasions::of(&results.sessions);
    let mut page = run::page(results);
    let newest = line!["The newest of ", foreign(&occasions.in_words(), SENTENCE), " in ", path(file)];
    page.end.push(Block::Paragraph(newest));
    page.end.extend(lacking(&occasions).map(Block::Paragraph));
    page
}

/// What an update did to each file, and what these still lack.
pub fn update(changes: &[Change]) -> Page {
    let blocks = |change: &Change| {
        let remarks: Vec<Line> = close_in_time(change).into_iter().chain(lacking(&change.occasions)).collect();
        let remarks = (!remarks.is_empty()).then_some(Block::List(remarks));
        [Block::Paragraph(told(change))].into_iter().chain(remarks)
    };
    Page { body: changes.iter().flat_map(blocks).collect(), ..Page::default() }
}

/// What a session of an afternoon adds to others of it.
fn close_in_time(change: &Change) -> Option<Line> {
    let hours = count(HOURS_APART as usize);
    match change.on_known_occasions {
        0 => None,
        1 => Some(line![
            "measured within ",
            hours,
            " hours of another session, or a copy of it: both count as one occasion"
        ]),
        several => Some(line![
            count(several),
            " of them were measured within ",
            hours,
            " hours of another session, or are copies: they make no occasion of their own"
        ]),
    }
}

fn lacking(occasions: &Occasions) -> Option<Line> {
    baseline::lacking(occasions).map(|lacks| foreign(&lacks, SENTENCE))
}

fn told(change: &Change) -> Line {
    let Change { path: file, sessions, added, dropped, .. } = change;
    let dropped = if *dropped > 0 { line![", ", count(*dropped), " old dropped"] } else { Line::default() };
    match added {
        0 => line![path(file), " holds these results already"],
        _ => line![path(file), " now holds ", counted(*sessions, "session"), " (", count(*added), " new", dropped, ")"],
    }
}

/// All is well, but for what some lack.
pub fn verified(findings: &Findings, directory: &Path) -> Page {
    let headline = match findings.files {
        0 => line!["no baselines in `", path(directory), "`"],
        files => line![counted(files, "baseline"), ": OK"],
    };
    let remarks = findings.remarks.iter().map(|remark| foreign(remark, SENTENCE)).collect();
    Page { headline, body: vec![Block::List(remarks)], ..Page::default() }
}

fn path(path: &Path) -> Line {
    name(&path.to_string_lossy(), 2 * NAME)
}
