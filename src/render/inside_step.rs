//! What moved inside a decode step, where the engine stamps it: lines of "What got slower", and the table of all parts.

use super::NAME;
use super::microseconds::signed_us;
use crate::compare::{MovedPart, MovedParts, PartKind};
use crate::number::{count, counted, decimal, value};
use crate::page::{Block, Column, Line, Table, line, name, strong, unbroken};

/// A part that moved less of the whole change has no line.
const LEAST_SHARE: f64 = 0.05;
/// Ranges of layers that are listed.
const RANGES: usize = 4;

/// `attention of layers 0-23: +11.3 µs (p < 0.001), the rest unchanged`: the largest change first. Nothing where no part changed.
pub fn lines(parts: &MovedParts) -> Vec<Line> {
    let changed = parts.changed();
    let least = LEAST_SHARE * parts.change_us().abs();
    let shown: Vec<&MovedPart> = changed.iter().copied().filter(|part| part.change_us().abs() >= least).collect();
    let mut lines: Vec<Line> = shown.iter().map(|part| said(part)).collect();
    if let Some(last) = lines.last_mut().filter(|_| shown.len() == changed.len()) {
        *last = std::mem::take(last).and(", the rest unchanged");
    }
    lines
}

fn said(part: &MovedPart) -> Line {
    line![where_of(part), ": ", strong(signed_us(part.change_us())), " a token (", p(part.p), ")"]
}

/// `attention of layers 0-23`, or `waiting for the input of gate and up in layers 3 and 7-9`.
pub fn where_of(part: &MovedPart) -> Line {
    let (product, layers) = (name(&part.product, NAME), layers(part));
    match (part.is, layers) {
        (PartKind::Work, None) => product,
        (PartKind::Work, Some(layers)) => line![product, " of ", layers],
        (PartKind::Waiting, None) => line!["waiting for the input of ", product],
        (PartKind::Waiting, Some(layers)) => line!["waiting for the input of ", product, " in ", layers],
    }
}

/// Of what comes once a step there are none.
fn layers(part: &MovedPart) -> Option<Line> {
    let ranges = part.changed.iter().take(RANGES);
    let ranges: Vec<Line> = ranges
        .map(|range| match range.last.saturating_sub(range.first) {
            0 => count(range.first).into(),
            _ => unbroken(line![count(range.first), "-", count(range.last)]),
        })
        .collect();
    let left = part.changed.len().saturating_sub(RANGES);
    let others = if left == 0 { Line::default() } else { line![" and ", count(left), " more"] };
    let one = matches!(part.changed[..], [only] if only.first == only.last);
    let word = if one { "layer " } else { "layers " };
    (part.layers > 1 && !ranges.is_empty()).then(|| line![word, Line::joined(ranges, ", "), others])
}

/// Without a sign where there are no digits for it.
fn change(us: f64) -> Line {
    if us.abs() < 0.005 { "0 µs".into() } else { signed_us(us) }
}

fn p(p: f64) -> Line {
    unbroken(if p < 0.001 { "p < 0.001".into() } else { line!["p = ", decimal(p, 3)] })
}

/// A row of the table.
enum Row<'a> {
    Part(&'a MovedPart),
    Unexplained(f64),
    All(&'a MovedParts),
}

impl Row<'_> {
    fn times(&self) -> Option<[f64; 2]> {
        match self {
            Self::Part(part) => Some([part.base_us, part.head_us]),
            Self::Unexplained(_) => None,
            Self::All(parts) => Some([parts.base_us, parts.head_us]),
        }
    }

    fn change_us(&self) -> f64 {
        match self {
            Self::Part(part) => part.change_us(),
            Self::Unexplained(us) => *us,
            Self::All(parts) => parts.change_us(),
        }
    }

    fn name(&self) -> Line {
        match self {
            Self::Part(part) => name(&part.product, NAME),
            Self::Unexplained(_) => "unexplained".into(),
            Self::All(_) => "all".into(),
        }
    }

    fn part<T: Into<Line>>(&self, of: impl Fn(&MovedPart) -> T) -> Line {
        match self {
            Self::Part(part) => of(part).into(),
            Self::Unexplained(_) | Self::All(_) => Line::default(),
        }
    }
}

/// All of it, with what it is.
pub fn blocks(parts: &MovedParts) -> Vec<Block> {
    let about = line![
        "Inside a step, microseconds of ",
        counted(parts.runs, "stamped run"),
        " of each side: from the last block of the kernel that is done with one thing to the last that has its next input \
         (waiting), and from there to the last that is done (work)."
    ];
    let time = |row: &Row, side: usize| row.times().map(|times| Line::from(value(times[side]))).unwrap_or_default();
    let columns = vec![
        Column::left("Part", Row::name),
        Column::left("", |row: &Row| {
            row.part(|part| match part.is {
                PartKind::Waiting => "waiting",
                PartKind::Work => "work",
            })
        }),
        Column::right("layers", |row: &Row| row.part(|part| count(part.layers))),
        Column::right("base", move |row: &Row| time(row, 0)),
        Column::right("head", move |row: &Row| time(row, 1)),
        Column::right("change", |row: &Row| change(row.change_us())),
        Column::left("chance", |row: &Row| row.part(|part| p(part.p))),
    ];
    let rows = parts.parts.iter().map(Row::Part);
    let rows: Vec<Row> = rows.chain([Row::Unexplained(parts.unexplained_us), Row::All(parts)]).collect();
    vec![Block::Paragraph(about), Block::Table(Table::of(columns, &rows))]
}
