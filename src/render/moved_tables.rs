//! Folds beside "What got slower": causes with their evidence, and all that traces show of a case that changed.

use std::collections::{BTreeSet, HashMap};

use super::microseconds::signed_us;
use super::moved_words::{both, names, times, words};
use super::trace_diff_page::PARTS;
use super::trace_page::{launched_otherwise, shape};
use super::{NAME, SENTENCE, inside_step, metric};
use crate::compare::{Cause, Comparison, LeftOut, MovedParts};
use crate::metric::MetricName;
use crate::number::{count, counted, value};
use crate::page::{Block, Column, Icon, Line, Table, code, foreign, line, unbroken};
use crate::trace::attribution::{Attribution, Calls, ChangeParts, MovedCount, MovedKernel, Spread};
use crate::trace::trace_diff::What;

/// Kinds of evidence that are listed, and metrics of one of them.
const MOST_CAUSES: usize = 50;
const METRICS: usize = 16;

/// The causes first.
pub fn folds(comparison: &Comparison) -> Vec<Block> {
    let mut blocks: Vec<Block> = causes(comparison).into_iter().collect();
    if let Some(attributed) = &comparison.attributed {
        blocks.extend(attributed.sections.iter().map(|found| whole_section(found, attributed.inside(found))));
        blocks.extend(left_out(&attributed.left_out));
    }
    blocks
}

/// Cases of which the same metrics changed for the same reason.
struct Caused<'a> {
    cause: &'a Cause,
    metrics: BTreeSet<&'a MetricName>,
    cases: BTreeSet<&'a str>,
}

/// By case first, so that no line names a pair that isn't.
fn caused(comparison: &Comparison) -> Vec<Caused<'_>> {
    let mut of_case: Vec<(&Cause, &str, BTreeSet<&MetricName>)> = Vec::new();
    let mut places = HashMap::new();
    for (row, cause) in comparison.rows.iter().filter_map(|row| Some((row, row.cause.as_ref()?))) {
        let place = *places.entry((cause.word.word(), &cause.evidence, &row.cell.case)).or_insert(of_case.len());
        if place == of_case.len() {
            of_case.push((cause, &row.cell.case, BTreeSet::new()));
        }
        of_case[place].2.insert(&row.cell.metric);
    }
    let mut found: Vec<Caused> = Vec::new();
    for (cause, case, metrics) in of_case {
        let alike = found.iter_mut().find(|caused| caused.cause == cause && caused.metrics == metrics);
        if let Some(caused) = alike {
            caused.cases.insert(case);
        } else if found.len() < MOST_CAUSES {
            // A hostile report may have any number.
            found.push(Caused { cause, metrics, cases: BTreeSet::from([case]) });
        }
    }
    found
}

/// `Causes (code, unexplained)`, and under it the evidence.
fn causes(comparison: &Comparison) -> Option<Block> {
    let mut causes = comparison.rows.iter().filter_map(|row| row.cause.as_ref());
    if causes.all(Cause::is_silent) {
        return None;
    }
    let found = caused(comparison);
    let columns = vec![
        Column::left("Cause", |caused: &Caused| caused.cause.word.word()),
        Column::left("Evidence", |caused: &Caused| foreign(&caused.cause.evidence, SENTENCE)),
        Column::left("Metric", |caused: &Caused| {
            Line::joined(caused.metrics.iter().take(METRICS).map(|name| metric(name)), ", ")
        }),
        Column::left("Case", |caused: &Caused| cases(&caused.cases)),
    ];
    let words: BTreeSet<&'static str> = found.iter().map(|caused| caused.cause.word.word()).collect();
    let title = if words.len() == 1 { "Cause (" } else { "Causes (" };
    let title = line![Icon::Samples, title, Line::joined(words.into_iter().map(Line::from), ", "), ")"];
    Block::fold(title, Table::of(columns, &found))
}

fn cases(cases: &BTreeSet<&str>) -> Line {
    let first = cases.first().map(|case| code(case, NAME)).unwrap_or_default();
    match cases.len() {
        0 | 1 => first,
        several => line![first, " and ", count(several - 1), " more"],
    }
}

fn whole_section(found: &Attribution, inside: Option<&MovedParts>) -> Block {
    let (name, a) = words(found);
    let title = line![Icon::Samples, "All that moved in ", name, " of ", code(&found.case, NAME)];
    let ranges = line![
        "From the first kernel to the last, microseconds",
        a,
        ": ",
        range(found.base_us),
        " in the base, ",
        range(found.head_us),
        " in the head. As before: ",
        counted(found.kernels_as_before, "shape"),
        " of kernels."
    ];
    let mut blocks = vec![Block::Paragraph(ranges), Block::Table(parts(found))];
    if !found.kernels.is_empty() {
        blocks.push(Block::Table(kernels(&found.kernels)));
    }
    if !found.counts.is_empty() {
        blocks.push(Block::Table(counts(&found.counts)));
    }
    blocks.extend(inside.into_iter().flat_map(inside_step::blocks));
    Block::Fold { title, blocks }
}

fn range(spread: Spread) -> Line {
    unbroken(line![value(spread.min), " .. ", value(spread.max)])
}

fn parts(found: &Attribution) -> Table {
    let ChangeParts { new, gone, calls, speed, no_kernel, unexplained } = found.change;
    let parts = PARTS.into_iter().zip([new, gone, calls, speed, no_kernel, unexplained]);
    let columns = vec![
        Column::left("Where the change is", |part: &(&'static str, f64)| part.0),
        Column::right("change", |part: &(&'static str, f64)| signed_us(part.1)),
    ];
    // What reads as nothing isn't listed.
    let listed: Vec<(&'static str, f64)> = parts.filter(|(_, us)| us.abs() >= 0.005).collect();
    Table::of(columns, &listed)
}

fn kernels(kernels: &[MovedKernel]) -> Table {
    let each = |kernel: &MovedKernel, of: fn(&Calls) -> Line| {
        let [base, head] = [&kernel.base, &kernel.head].map(|calls| calls.as_ref().map_or("–".into(), of));
        both(base, head)
    };
    let columns = vec![
        Column::left("Kernel", names),
        Column::left("grid × block", |kernel: &MovedKernel| match kernel.reshaped {
            Some(head) => launched_otherwise(kernel.grid, kernel.block, head).1,
            None => shape(kernel.grid, kernel.block),
        }),
        Column::left("", |kernel: &MovedKernel| what(kernel.what)),
        Column::right("calls", move |kernel: &MovedKernel| each(kernel, |calls| times(calls.calls.mean).into())),
        Column::right("µs a call", move |kernel: &MovedKernel| each(kernel, |calls| range(calls.us_a_call))),
        Column::right("change", |kernel: &MovedKernel| signed_us(kernel.change_us)),
    ];
    Table { wide: true, ..Table::of(columns, kernels) }
}

fn what(what: What) -> Line {
    unbroken(match what {
        What::Gone => "gone",
        What::New => "new",
        What::MoreCalls => "more calls",
        What::FewerCalls => "fewer calls",
        What::Slower => "slower",
        What::Faster => "faster",
        What::AsBefore => "as before",
    })
}

fn counts(counts: &[MovedCount]) -> Table {
    let columns = vec![
        Column::left("Beside kernels", |moved: &MovedCount| foreign(&moved.in_words(), NAME)),
        Column::right("calls", |moved: &MovedCount| both(times(moved.base.calls.mean), times(moved.head.calls.mean))),
        Column::right("bytes", |moved: &MovedCount| both(times(moved.base.bytes.mean), times(moved.head.bytes.mean))),
        Column::right("change", |moved: &MovedCount| signed_us(moved.change_us())),
    ];
    Table::of(columns, counts)
}

fn left_out(cases: &[LeftOut]) -> Option<Block> {
    let columns = vec![
        Column::left("Case", |left_out: &LeftOut| code(&left_out.case, NAME)),
        Column::left("Why", |left_out: &LeftOut| foreign(&left_out.why, SENTENCE)),
    ];
    let title = line![Icon::Missing, counted(cases.len(), "case"), " that changed without traces"];
    Block::fold(title, Table::of(columns, cases))
}
