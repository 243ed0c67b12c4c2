//! Folds beside "What got slower": causes with their evidence, and all that traces show of a case that changed.

use super::trace_page::shape;
use super::what_moved::{both, names, signed_us, times, words};
use super::{NAME, SENTENCE, metric};
use crate::compare::{Cause, Comparison, LeftOut, Row};
use crate::number::{count, counted, value};
use crate::page::{Block, Column, Icon, Line, Table, code, foreign, line, unbroken};
use crate::trace::attribution::{Attribution, Calls, MovedCount, MovedKernel, Spread};
use crate::trace::trace_diff::What;

/// The causes first.
pub fn folds(comparison: &Comparison) -> Vec<Block> {
    let mut blocks: Vec<Block> = causes(comparison).into_iter().collect();
    let attributed = comparison.attributed.iter();
    blocks.extend(attributed.clone().flat_map(|attributed| &attributed.sections).filter_map(whole_section));
    blocks.extend(attributed.filter_map(|attributed| left_out(&attributed.left_out)));
    blocks
}

fn causes(comparison: &Comparison) -> Option<Block> {
    let caused: Vec<_> = comparison.rows.iter().filter_map(|row| Some((row, row.cause.as_ref()?))).collect();
    type Caused<'a> = (&'a Row, &'a Cause);
    let columns = vec![
        Column::left("Case", |(row, _): &Caused| code(&row.cell.case, NAME)),
        Column::left("Metric", |(row, _): &Caused| metric(&row.cell.metric)),
        Column::left("Cause", |(_, cause): &Caused| cause.word.word()),
        Column::left("Evidence", |(_, cause): &Caused| foreign(&cause.evidence, SENTENCE)),
    ];
    Block::fold(line![Icon::Samples, "Causes (", count(caused.len()), ")"], Table::of(columns, &caused))
}

fn whole_section(found: &Attribution) -> Option<Block> {
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
    Some(Block::Fold { title, blocks })
}

fn range(spread: Spread) -> Line {
    unbroken(line![value(spread.min), " .. ", value(spread.max)])
}

fn parts(found: &Attribution) -> Table {
    let change = &found.change;
    let parts: [(&'static str, f64); 6] = [
        ("kernels that are new", change.new),
        ("kernels that are gone", change.gone),
        ("other numbers of calls", change.calls),
        ("other times of a call", change.speed),
        ("no kernel running", change.no_kernel),
        ("unexplained: kernels at the same time", change.unexplained),
    ];
    let columns = vec![
        Column::left("Where the change is", |part: &(&'static str, f64)| part.0),
        Column::right("change", |part: &(&'static str, f64)| signed_us(part.1)),
    ];
    // What reads as nothing isn't listed.
    let listed: Vec<(&'static str, f64)> = parts.into_iter().filter(|(_, us)| us.abs() >= 0.005).collect();
    Table::of(columns, &listed)
}

fn kernels(kernels: &[MovedKernel]) -> Table {
    let each = |kernel: &MovedKernel, of: fn(&Calls) -> Line| {
        let [base, head] = [&kernel.base, &kernel.head].map(|calls| calls.as_ref().map_or("–".into(), of));
        both(base, head)
    };
    let columns = vec![
        Column::left("Kernel", names),
        Column::left("grid × block", |kernel: &MovedKernel| shape(kernel.grid, kernel.block)),
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
