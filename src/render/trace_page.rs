//! The page of `bench-diff trace`: kernels by their total time, then what there was beside them.

use super::kernel_place::{PlaceOf, source};
use super::{NAME, SENTENCE};
use crate::number::{Figure, bytes, count, counted, decimal};
use crate::page::{Block, Column, Line, Page, Table, code, foreign, line, name, unbroken};
use crate::trace::trace_diff::Reshaped;
use crate::trace::trace_table::{Beside, BesideRow, KernelRow, Numbers};
use crate::trace::{Part, Process, Trace};

/// Characters of a kernel's name in a table: templates write very long ones.
pub(super) const KERNEL: usize = 46;

/// What the numbers of the tables are of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// All that was traced.
    All,
    /// One token, or one prefill, of so many.
    One(&'static str, f64),
}

impl Amount {
    fn number(self) -> f64 {
        match self {
            Self::All => 1.0,
            Self::One(_, number) => number,
        }
    }

    /// How often, of one of them.
    fn calls(self, calls: u64) -> Figure {
        let each = calls as f64 / self.number();
        if each.fract() == 0.0 { decimal(each, 0) } else { decimal(each, 2) }
    }

    fn ms(self, total_ms: f64) -> Figure {
        match self {
            Self::All => ms(total_ms),
            Self::One(_, number) => decimal(total_ms / number, 4),
        }
    }
}

/// How the tables show a part.
#[derive(Clone, Copy)]
pub struct View<'a, 'f> {
    /// What their numbers are of.
    pub amount: Amount,
    /// So many kernels.
    pub most: usize,
    /// Where one is written.
    pub place: PlaceOf<'a, 'f>,
}

/// Of `part`, which is `phase` of `trace`, or all of it.
pub fn page(trace: &Trace, phase: Option<&str>, part: &Part, view: View) -> Page {
    let amount = view.amount;
    let numbers = Numbers::of(part);
    let (mut top, mut body) = (Vec::new(), Vec::new());
    if !numbers.kernels.is_empty() {
        top.push(Block::Paragraph(time(&numbers)));
        body.push(Block::Table(kernels(&numbers, view)));
    }
    if let Amount::One(what, number) = amount {
        let traced = line!["The tables are of one ", what, "; ", count(number as usize), " were traced."];
        top.push(Block::Paragraph(traced));
    }
    top.extend(warnings(&trace.processes));
    if !numbers.beside.is_empty() {
        body.push(Block::Table(beside(&numbers.beside, amount)));
    }
    Page { headline: headline(trace, phase, &numbers), top, body, end: phases(trace, phase).into_iter().collect() }
}

fn headline(trace: &Trace, phase: Option<&str>, numbers: &Numbers) -> Line {
    let programs = match trace.processes.as_slice() {
        [process] => name(&process.program, NAME),
        processes => line![count(processes.len()), " processes"],
    };
    let phase = phase.map(|phase| line![", in the phase ", code(phase, NAME)]).unwrap_or_default();
    if numbers.kernels.is_empty() {
        return line![programs, phase, ": no kernel ran"];
    }
    let launches = line![whole(numbers.launches), " kernel launches in ", counted(numbers.kernels.len(), "shape")];
    line![programs, phase, ": ", launches, ", ", ms(numbers.kernel_ms), " ms of kernels"]
}

fn time(numbers: &Numbers) -> Line {
    let share = percent(numbers.no_kernel_ms / numbers.span_ms.max(f64::MIN_POSITIVE));
    let gaps = counted(usize::try_from(numbers.gaps).unwrap_or(usize::MAX), "gap");
    let gaps = line!["in ", gaps, ", the longest ", ms(numbers.longest_gap_ms), " ms"];
    let begin = match numbers.devices {
        0 | 1 => Line::from("From the first kernel to the last "),
        several => line!["Summed over ", count(several), " GPUs or processes, from the first kernel to the last "],
    };
    line![
        begin,
        ms(numbers.span_ms),
        " ms; in ",
        ms(numbers.no_kernel_ms),
        " ms of them (",
        share,
        ") no kernel ran, ",
        gaps,
        "."
    ]
}

fn kernels(numbers: &Numbers, View { amount, most, place }: View) -> Table {
    let mut columns = vec![
        Column::left("Kernel", |row: &Shown| row.name()),
        Column::left("grid × block", |row: &Shown| row.shape()),
        Column::right("calls", move |row: &Shown| amount.calls(row.calls())),
        Column::right("total ms", move |row: &Shown| amount.ms(row.total_ms())),
        Column::right("share", |row: &Shown| percent(row.total_ms() / numbers.kernel_ms.max(f64::MIN_POSITIVE))),
        Column::right("mean µs", |row: &Shown| decimal(row.total_ms() * 1e3 / row.calls().max(1) as f64, 2)),
    ];
    let (shown, left) = numbers.kernels.split_at(most.min(numbers.kernels.len()));
    let left = (!left.is_empty()).then_some(Shown::Others(left));
    let rows: Vec<Shown> = shown.iter().map(Shown::Kernel).chain(left).collect();
    if numbers.kernels.iter().any(|row| place(&row.name).is_some()) {
        columns.push(Column::left("source", |row: &Shown| match row {
            Shown::Kernel(row) => source(place(&row.name)),
            Shown::Others(_) => Line::default(),
        }));
    }
    Table::of(columns, &rows)
}

/// A row of the table.
enum Shown<'a> {
    Kernel(&'a KernelRow),
    Others(&'a [KernelRow]),
}

impl Shown<'_> {
    fn name(&self) -> Line {
        match self {
            // What the tracer had no room for.
            Self::Kernel(row) if row.name.is_empty() => "(further kernels)".into(),
            Self::Kernel(row) => code(&row.name, KERNEL),
            Self::Others(rows) => line![count(rows.len()), " others"],
        }
    }

    fn shape(&self) -> Line {
        match self {
            Self::Kernel(row) => shape(row.grid, row.block),
            Self::Others(_) => Line::default(),
        }
    }

    fn calls(&self) -> u64 {
        match self {
            Self::Kernel(row) => row.calls,
            Self::Others(rows) => rows.iter().fold(0, |sum, row| sum.saturating_add(row.calls)),
        }
    }

    fn total_ms(&self) -> f64 {
        match self {
            Self::Kernel(row) => row.total_ms,
            Self::Others(rows) => rows.iter().map(|row| row.total_ms).sum(),
        }
    }
}

/// `132 × 256`, `8·16 × 32`: what is 1 at the end isn't said.
pub(super) fn shape(grid: [u32; 3], block: [u32; 3]) -> Line {
    unbroken(line![sides(grid), " × ", sides(block)])
}

/// Of a kernel that is launched otherwise: `other grid`, and from which shape to which.
pub(super) fn launched_otherwise(grid: [u32; 3], block: [u32; 3], head: Reshaped) -> (&'static str, Line) {
    let words = match (grid != head.grid, block != head.block) {
        (true, true) => "other grid and block",
        (false, true) => "other block",
        _ => "other grid",
    };
    (words, line![shape(grid, block), " → ", shape(head.grid, head.block)])
}

fn sides(sizes: [u32; 3]) -> Line {
    let last = sizes.iter().rposition(|size| *size != 1).unwrap_or(0);
    Line::joined(sizes[..=last].iter().map(|size| Line::from(count(*size as usize))), "·")
}

fn beside(rows: &[BesideRow], amount: Amount) -> Table {
    let columns = vec![
        Column::left("Beside kernels", |row: &BesideRow| what(row)),
        Column::right("calls", move |row: &BesideRow| amount.calls(row.calls)),
        Column::right("bytes", move |row: &BesideRow| match row.bytes {
            0 => Line::default(),
            all => bytes((all as f64 / amount.number()) as u64).into(),
        }),
        Column::right("total ms", move |row: &BesideRow| {
            row.total_ms.map(|total| Line::from(amount.ms(total))).unwrap_or_default()
        }),
        Column::right("GB/s", |row: &BesideRow| {
            row.bandwidth_gb_s
                .map(|rate| Line::from(decimal(rate, if rate < 10.0 { 2 } else { 0 })))
                .unwrap_or_default()
        }),
    ];
    Table::of(columns, rows)
}

fn what(row: &BesideRow) -> Line {
    let words = match row.what {
        Beside::Copy => "copies",
        Beside::Set => "memory sets",
        Beside::Synchronization => "synchronisations",
        Beside::Allocation => "allocations,",
        Beside::Release => "releases,",
        Beside::GraphLaunch => "launches of graphs",
    };
    match &row.kind {
        Some(kind) => line![words, " ", foreign(kind, NAME)],
        None => words.into(),
    }
}

fn warnings(processes: &[Process]) -> Option<Block> {
    let lines: Vec<Line> = processes.iter().flat_map(warnings_of).take(MOST_WARNINGS).collect();
    (!lines.is_empty()).then_some(Block::Warnings(lines))
}

pub(super) const MOST_WARNINGS: usize = 20;

pub(super) fn warnings_of(process: &Process) -> Vec<Line> {
    let who = || line!["process ", count(process.pid as usize), " (", name(&process.program, NAME), ")"];
    if let Some(problem) = &process.problem {
        return vec![line![who(), " wasn't traced: ", foreign(problem, SENTENCE)]];
    }
    let cut =
        (!process.ended).then(|| line![who(), " didn't end by itself: its last quarter of a second may be missing"]);
    let dropped = (process.dropped > 0).then(|| {
        line![who(), ": CUPTI dropped ", counted(usize::try_from(process.dropped).unwrap_or(usize::MAX), "record")]
    });
    cut.into_iter().chain(dropped).collect()
}

/// Which phases there are, where nobody asked for one.
fn phases(trace: &Trace, phase: Option<&str>) -> Option<Block> {
    let names: Vec<Line> =
        trace.phases.iter().filter(|(name, _)| !name.is_empty()).take(20).map(|(name, _)| code(name, NAME)).collect();
    (phase.is_none() && !names.is_empty())
        .then(|| Block::Paragraph(line!["Phases, for --phase: ", Line::listed(names)]))
}

/// Three digits of a small time, and no more of a long one than anybody reads.
pub(super) fn ms(ms: f64) -> Figure {
    decimal(ms, if ms.abs() < 10.0 { 3 } else { 1 })
}

pub(super) fn whole(number: u64) -> Figure {
    count(usize::try_from(number).unwrap_or(usize::MAX))
}

pub(super) fn percent(share: f64) -> Line {
    line![decimal(share * 100.0, 1), "%"]
}
