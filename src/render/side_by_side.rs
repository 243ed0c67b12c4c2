//! Several sides against one base: a row a case and metric, a column a side.

use std::collections::HashMap;

use super::case_names::Names;
use super::case_table::{self, Rank};
use super::{NAME, SENTENCE, details, headline, metric_heading};
use crate::compare::{Comparison, Difference, Row};
use crate::number::{count, counted, value};
use crate::page::{Align, Block, Cell, Column, Line, Page, Table, code, foreign, line, strong, unbroken};

/// A side, compared with the base.
#[derive(Debug)]
pub struct Against {
    /// What to call it: its path.
    pub name: String,
    /// Of the base and this side.
    pub comparison: Comparison,
}

/// A case and metric: what each side shows of it.
struct Compared<'a> {
    any: &'a Row,
    sides: Vec<Option<&'a Row>>,
}

/// All sides in one table, and below it what there is to say of each.
pub fn page(base: &str, sides: &[Against]) -> Page {
    let rows = rows(sides);
    let names = Names::of(rows.iter().map(|row| row.any.cell.case.as_str()));
    let pattern = names.pattern().map(|pattern| Block::Paragraph(line!["Cases: ", pattern]));
    let table = (!rows.is_empty()).then(|| Block::Table(table(&rows, sides, &names)));
    Page {
        headline: line![counted(sides.len(), "side"), " against ", code(base, NAME)],
        top: vec![Block::List(sides.iter().map(answer).collect())],
        body: pattern.into_iter().chain(table).chain(sides.iter().flat_map(rest)).collect(),
        end: vec![Block::Facts(vec!["↑ higher is better, ↓ lower is better".into(), false_alarms(sides)])],
    }
}

/// `new.json: Slower: decode −4.9% in 1 of 3 cases`
fn answer(side: &Against) -> Line {
    line![code(&side.name, NAME), ": ", headline::of_comparison(&side.comparison)]
}

/// Rows of the same case and metric side by side, in the order in which they come first.
fn rows(sides: &[Against]) -> Vec<Compared<'_>> {
    let (mut places, mut rows) = (HashMap::new(), Vec::<Compared>::new());
    for (at, side) in sides.iter().enumerate() {
        for row in &side.comparison.rows {
            let place = *places.entry((&row.cell.case, &row.cell.metric)).or_insert(rows.len());
            if place == rows.len() {
                rows.push(Compared { any: row, sides: vec![None; sides.len()] });
            }
            rows[place].sides[at] = Some(row);
        }
    }
    rows
}

fn table(rows: &[Compared], sides: &[Against], names: &Names) -> Table {
    let heading = |row: &Compared| {
        let cell = &row.any.cell;
        unbroken(Line::joined(metric_heading(&cell.metric, &cell.unit, cell.better), ", "))
    };
    let base = |row: &Compared| {
        let known = row.sides.iter().flatten().find_map(|row| row.sides.base);
        known.map_or_else(Cell::default, |base| value(base.center()).into())
    };
    let mut columns = vec![
        Column::left("Case", |row: &Compared| names.short(&row.any.cell.case)),
        Column::left("Metric", heading),
        Column::right("Base", base),
    ];
    for (at, side) in sides.iter().enumerate() {
        let shown = move |row: &Compared| row.sides[at].map(change).unwrap_or_default();
        columns.push(Column::new(vec![foreign(&side.name, 40)], Align::Right, shown));
    }
    Table { wide: true, ..Table::of(columns, rows) }
}

/// `−9.0% ±0.3`, under it the side's own value: the base has a column.
fn change(row: &Row) -> Cell {
    let of_pair = case_table::change(row);
    let own = row.sides.head.map(|head| Line::from(value(head.center())));
    let change = of_pair.lines.into_iter().take(usize::from(row.change().is_some()));
    Cell { mark: of_pair.mark, lines: change.chain(own).collect() }
}

/// What has no numbers, what differs, and what weakens the verdict.
fn rest(side: &Against) -> Vec<Block> {
    let comparison = &side.comparison;
    let blocking: Vec<&Difference> = comparison.differences.iter().filter(|it| it.blocks).collect();
    let mut blocks = details::notes(comparison);
    if !blocking.is_empty() {
        blocks.push(Block::Table(details::differences(&blocking, super::Sides::FILES)));
    }
    blocks.extend(details::reasons(comparison));
    let warnings: Vec<Line> = comparison.warnings.iter().map(|warning| foreign(warning, SENTENCE)).collect();
    if !warnings.is_empty() {
        blocks.push(Block::Warnings(warnings));
    }
    if blocks.is_empty() {
        return blocks;
    }
    [Block::Paragraph(strong(foreign(&side.name, NAME)))].into_iter().chain(blocks).collect()
}

fn false_alarms(sides: &[Against]) -> Line {
    let tests = sides.iter().map(|side| side.comparison.family).sum();
    line![counted(tests, "test"), " of ", count(sides.len()), " sides, which share the chance of a false alarm"]
}

/// Does a row of it look changed on any side? The others of that case and metric stay with it.
pub fn keep_changed(sides: &mut [Against]) {
    let changed = |row: &Row| Rank::of(row) <= Rank::Improved;
    let keys: Vec<_> = sides
        .iter()
        .flat_map(|side| &side.comparison.rows)
        .filter(|row| changed(row))
        .map(|row| (row.cell.case.clone(), row.cell.metric.clone()))
        .collect();
    let keys: std::collections::HashSet<_> = keys.into_iter().collect();
    for side in sides {
        side.comparison.rows.retain(|row| keys.contains(&(row.cell.case.clone(), row.cell.metric.clone())));
    }
}
