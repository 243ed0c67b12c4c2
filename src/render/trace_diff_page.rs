//! The page of `bench-diff trace --diff`: how much longer it took, what explains that, and which kernels.

use super::code_diff_page::said;
use super::trace_page::{KERNEL, MOST_WARNINGS, launched_otherwise, ms, shape, warnings_of, whole};
use crate::kernel_code::code_diff::CodeDiff;
use crate::number::{Figure, bytes, counted as number_of, decimal};
use crate::page::{Block, Column, Line, Page, Table, code, line, unbroken};
use crate::trace::Trace;
use crate::trace::trace_diff::{Change, Count, Counted, Diff, Row, Times, What};

/// Of the traces of base and head. The table shows so many kernels, and what is known of their code in both programs.
pub fn page(diff: &Diff, traces: [&Trace; 2], code: Option<&CodeDiff>, most: usize) -> Page {
    let changed: Vec<&Row> = diff.kernels.iter().filter(|row| row.is_changed()).collect();
    let mut body: Vec<Block> = parts(&diff.change).map(Block::Table).into_iter().collect();
    if !diff.counts.is_empty() {
        body.push(Block::Table(counts(&diff.counts)));
    }
    if !changed.is_empty() {
        body.push(Block::Table(kernels(&changed[..most.min(changed.len())], code)));
    }
    let left = changed.len().saturating_sub(most);
    let as_before = diff.kernels.len() - changed.len();
    let others = match (left, as_before) {
        (0, 0) => None,
        (0, _) => Some(line![number_of(as_before, "shape"), " of kernels", are(as_before), "as before."]),
        _ => Some(line![
            whole(left as u64),
            " more changed less; ",
            whole(as_before as u64),
            are(as_before),
            "as before."
        ]),
    };
    body.extend(others.map(Block::Paragraph));
    let top = warnings(traces).into_iter().collect();
    Page { headline: headline(&diff.change), top, body, end: vec![Block::Paragraph(note(traces))] }
}

fn are(number: usize) -> &'static str {
    if number == 1 { " is " } else { " are " }
}

/// Less is shown as 0.
const SHOWN_MS: f64 = 0.0005;

const SIDES: [&str; 2] = ["base", "head"];

/// Those of each side, as the page of one trace has them.
fn warnings(traces: [&Trace; 2]) -> Option<Block> {
    let of_side = |(side, trace): (&'static str, &Trace)| -> Vec<Line> {
        let lines = trace.processes.iter().flat_map(warnings_of).take(MOST_WARNINGS);
        lines.map(|warning| line![side, ": ", warning]).collect()
    };
    let lines: Vec<Line> = SIDES.into_iter().zip(traces).flat_map(of_side).collect();
    (!lines.is_empty()).then_some(Block::Warnings(lines))
}

/// How much the numbers say.
fn note(traces: [&Trace; 2]) -> Line {
    let lacking: Vec<Line> =
        SIDES.into_iter().zip(traces).filter(|(_, trace)| !trace.is_whole()).map(|(side, _)| side.into()).collect();
    let counts = match lacking.as_slice() {
        [] => "Counts are exact.".into(),
        _ => line![
            "Counts aren't exact: the trace of the ",
            Line::joined(lacking, " and that of the "),
            " lacks something."
        ],
    };
    line![counts, " Times are of one run each, so a call that takes up to 2% more or less counts as before."]
}

fn headline(change: &Change) -> Line {
    let from_to = line!["From the first kernel to the last ", ms(change.base_ms), " → ", ms(change.head_ms), " ms"];
    if change.total().abs() < SHOWN_MS {
        return line![from_to, ", as before"];
    }
    line![from_to, " (", signed(change.total()), "), of which ", signed(change.explained()), " is explained"]
}

/// What the parts of a change are called, in this order: new, gone, calls, speed, no kernel, unexplained.
pub(super) const PARTS: [&str; 6] = [
    "kernels that are new",
    "kernels that are gone",
    "other numbers of calls",
    "other times of a call",
    "no kernel running",
    "unexplained: kernels at the same time",
];

/// Those that are more than nothing.
fn parts(change: &Change) -> Option<Table> {
    let Change { new, gone, calls, speed, no_kernel, unexplained, .. } = *change;
    let all = PARTS.into_iter().zip([new, gone, calls, speed, no_kernel, unexplained]);
    let parts: Vec<_> = all.filter(|(_, ms)| ms.abs() >= SHOWN_MS).collect();
    let columns = vec![
        Column::left("Where the change is", |part: &(&'static str, f64)| part.0),
        Column::right("ms", |part: &(&'static str, f64)| signed(part.1)),
    ];
    (!parts.is_empty()).then(|| Table::of(columns, &parts))
}

fn counts(counts: &[Count]) -> Table {
    let number = |count: &Count, number: u64| match count.of {
        Counted::CopiedBytes | Counted::AllocatedBytes => bytes(number),
        _ => whole(number),
    };
    let columns = vec![
        Column::left("Counts", |count: &Count| words(count.of)),
        Column::right("base", move |count: &Count| number(count, count.base)),
        Column::right("head", move |count: &Count| number(count, count.head)),
    ];
    Table::of(columns, counts)
}

fn words(counted: Counted) -> &'static str {
    match counted {
        Counted::KernelLaunches => "kernel launches",
        Counted::GraphLaunches => "launches of graphs",
        Counted::Copies => "copies",
        Counted::CopiedBytes => "bytes copied",
        Counted::Sets => "memory sets",
        Counted::Synchronizations => "synchronisations",
        Counted::Allocations => "allocations",
        Counted::AllocatedBytes => "bytes allocated",
    }
}

fn kernels(rows: &[&Row], code: Option<&CodeDiff>) -> Table {
    let mut columns = vec![
        Column::left("Kernel", |row: &&Row| names(row)),
        Column::left("grid × block", |row: &&Row| match row.reshaped {
            Some(head) => launched_otherwise(row.grid, row.block, head).1,
            None => shape(row.grid, row.block),
        }),
        Column::left("", |row: &&Row| what(row)),
        Column::right("calls", |row: &&Row| both(row, |times| whole(times.calls))),
        Column::right("mean µs", |row: &&Row| both(row, |times| decimal(times.mean_us, 2))),
        Column::right("change ms", |row: &&Row| signed(row.change_ms)),
    ];
    if let Some(code) = code {
        columns.push(Column::left("code", |row: &&Row| said(code.evidence(&row.name))));
    }
    Table::of(columns, rows)
}

fn names(row: &Row) -> Line {
    match &row.renamed {
        Some(renamed) => line![code(&row.name, KERNEL), " → ", code(renamed, KERNEL)],
        None => code(&row.name, KERNEL),
    }
}

fn what(row: &Row) -> Line {
    let words = match row.what {
        What::Gone => "gone",
        What::New => "new",
        What::MoreCalls => "more calls",
        What::FewerCalls => "fewer calls",
        What::Slower => "slower",
        What::Faster => "faster",
        What::AsBefore => "as before",
    };
    let otherwise = row.reshaped.map(|head| line![launched_otherwise(row.grid, row.block, head).0, ", "]);
    let pair = if row.renamed.is_some() { "perhaps renamed, " } else { "" };
    line![otherwise.unwrap_or_default(), pair, unbroken(words)]
}

/// `12 → 14`, or one number where it is the same.
fn both(row: &Row, number: impl Fn(&Times) -> Figure) -> Line {
    let [base, head] = [&row.base, &row.head].map(|times| times.as_ref().map(&number));
    match (base, head) {
        (Some(base), Some(head)) if base == head => base.into(),
        (Some(base), Some(head)) => unbroken(line![base, " → ", head]),
        (Some(only), None) | (None, Some(only)) => only.into(),
        (None, None) => Line::default(),
    }
}

fn signed(change: f64) -> Line {
    line![if change > 0.0 { "+" } else { "" }, ms(change)]
}
