//! "What got slower": what traces say of the cases that changed, in a few lines; and all of it in folds.

use super::trace_page::{KERNEL, shape};
use super::{NAME, SENTENCE, metric};
use crate::compare::{Attributed, CauseWord, Comparison, LeftOut, Row, Verdict};
use crate::number::{count, counted, decimal, signed_percent, value};
use crate::page::{Block, Column, Icon, Line, Table, code, foreign, line, strong, unbroken};
use crate::stats::Share;
use crate::trace::attribution::{Attribution, Calls, MovedCount, MovedKernel, Section, Spread};
use crate::trace::named::{Named, Reading};
use crate::trace::trace_diff::What;

/// Lines in all.
const LINES: usize = 5;

/// The short section. Nothing where no case was traced.
pub fn section_of(comparison: &Comparison) -> Vec<Block> {
    let Some(attributed) = &comparison.attributed else { return Vec::new() };
    let shown: Vec<&Attribution> = attributed.sections.iter().take(LINES).collect();
    let said: Vec<Vec<Line>> = shown.iter().map(|found| lines(found)).collect();
    let is_slower = comparison.rows.iter().any(|row| row.verdict() == Verdict::Regressed && is_traced(attributed, row));
    let title = strong(if is_slower { "What got slower" } else { "What changed" });
    let mut blocks = Vec::new();
    for ((found, said), most) in shown.iter().zip(&said).zip(shares(&said)) {
        let heading = heading(found);
        let heading = if blocks.is_empty() { line![title.clone(), ": ", heading] } else { heading };
        blocks.extend([Block::Paragraph(heading), Block::List(said[..most].to_vec())]);
    }
    blocks
}

fn is_traced(attributed: &Attributed, row: &Row) -> bool {
    attributed.of(&row.cell.case, &row.cell.metric).is_some()
}

/// How many lines each may have, so that all have one before one has two.
fn shares(said: &[Vec<Line>]) -> Vec<usize> {
    let mut shares = vec![0; said.len()];
    for _ in 0..LINES {
        let least = (0..said.len()).filter(|at| shares[*at] < said[*at].len()).min_by_key(|at| shares[*at]);
        least.into_iter().for_each(|at| shares[at] += 1);
    }
    shares
}

/// `decode of CASE, traced 3 times a side: 1.102 → 1.118 ms a token (+16 µs)`
fn heading(found: &Attribution) -> Line {
    let (name, _) = words(found);
    let times = line![", ", counted(found.traces, "trace"), " a side: ", from_to(found.base_us, found.head_us)];
    line![name, " of ", code(&found.case, NAME), times, a(found), " (", signed_us(found.change_us()), ")"]
}

fn words(found: &Attribution) -> (&'static str, &'static str) {
    match found.section {
        Section::Decode => ("decode", " a token"),
        Section::Prefill => ("prefill", " a prefill"),
    }
}

fn a(found: &Attribution) -> &'static str {
    words(found).1
}

/// The most telling first, which says of how much it is a part.
fn lines(found: &Attribution) -> Vec<Line> {
    let named = found.named();
    if found.reading() == Reading::Neither {
        return vec![
            "the same kernels, called as often and as fast as far as these traces tell: clocks, memory, or what no trace shows"
                .into(),
        ];
    }
    let mut lines: Vec<Line> = named.iter().take(LINES).map(|named| said(found, named)).collect();
    if let Some(first) = lines.first_mut() {
        *first = std::mem::take(first).and(line![" of the ", signed_us(found.change_us()), a(found)]);
    }
    lines
}

fn said(found: &Attribution, named: &Named) -> Line {
    match named {
        Named::Kernel(kernel) if found.is_whole(kernel) => whole(found, kernel),
        Named::Kernel(kernel) => {
            line![names(kernel), became(found, kernel), ": ", strong(signed_us(kernel.change_us))]
        }
        Named::Count(count) => amount(found, count),
        Named::Pauses => pauses(found),
    }
}

fn whole(found: &Attribution, kernel: &MovedKernel) -> Line {
    let (name, a) = words(found);
    let name = line![name, " is one kernel, ", names(kernel), ", and what is inside it isn't divided: "];
    let us = |calls: Option<Calls>| calls.map_or(0.0, |calls| calls.us.mean);
    let times = line![us_from_to(us(kernel.base), us(kernel.head)), a];
    line![name, times, ", ", strong(signed_us(kernel.change_us))]
}

/// `: 1.2 → 1.5 µs a call (+24%), 49 calls a token`
fn became(found: &Attribution, kernel: &MovedKernel) -> Line {
    let calls = |calls: Calls| calls.calls.mean;
    match (kernel.base, kernel.head) {
        (Some(base), Some(head)) if base.calls.is_apart(&head.calls) => {
            let each = line![", ", us(head.us_a_call.mean), " each"];
            line![": ", both(value(calls(base)), value(calls(head))), " calls", a(found), each]
        }
        (Some(base), Some(head)) => {
            let change = Share::new(head.us_a_call.mean / base.us_a_call.mean - 1.0);
            let speed = line![us_from_to(base.us_a_call.mean, head.us_a_call.mean), " a call"];
            line![": ", speed, " (", signed_percent(change), "), ", value(calls(head)), " calls", a(found)]
        }
        (Some(only), None) => {
            line![" is gone: ", value(calls(only)), " calls", a(found), ", ", us(only.us_a_call.mean), " each"]
        }
        (None, Some(only)) => {
            line![" is new: ", value(calls(only)), " calls", a(found), ", ", us(only.us_a_call.mean), " each"]
        }
        (None, None) => Line::default(),
    }
}

/// `synchronisations of a device: 0 → 1 a token`
fn amount(found: &Attribution, moved: &MovedCount) -> Line {
    let calls = both(value(moved.base.calls.mean), value(moved.head.calls.mean));
    let (base, head) = (moved.base.bytes.mean, moved.head.bytes.mean);
    let bytes = moved.base.bytes.is_apart(&moved.head.bytes);
    let bytes = bytes.then(|| line![", ", both(value(base), value(head)), " bytes"]).unwrap_or_default();
    let own = strong(signed_us(moved.change_us()));
    let own = if moved.change_us() == 0.0 { Line::default() } else { line![": ", own] };
    line![foreign(&moved.in_words(), NAME), ": ", calls, a(found), bytes, own]
}

fn pauses(found: &Attribution) -> Line {
    let (base, head) = (found.base_pauses_us.mean, found.head_pauses_us.mean);
    let time = line!["no kernel ran for ", us_from_to(base, head), a(found), ": ", strong(signed_us(head - base))];
    let why = match found.reading() {
        Reading::Host => ", with the same kernels: the host is slower in launching or waiting",
        Reading::Work | Reading::Neither => "",
    };
    line![time, why]
}

fn names(kernel: &MovedKernel) -> Line {
    match &kernel.renamed {
        Some(renamed) => line![code(&kernel.name, KERNEL), " → ", code(renamed, KERNEL), " (perhaps renamed)"],
        None => code(&kernel.name, KERNEL),
    }
}

fn both(base: impl Into<Line>, head: impl Into<Line>) -> Line {
    let (base, head) = (base.into(), head.into());
    if base == head { base } else { unbroken(line![base, " → ", head]) }
}

/// With the traces' ranges where there is room for them, in folds.
fn from_to(base: Spread, head: Spread) -> Line {
    us_from_to(base.mean, head.mean)
}

/// In milliseconds where that is shorter.
fn us_from_to(base: f64, head: f64) -> Line {
    if base.abs().max(head.abs()) >= 1000.0 {
        return line![both(value(base / 1e3), value(head / 1e3)), " ms"];
    }
    line![both(value(base), value(head)), " µs"]
}

fn us(us: f64) -> Line {
    us_from_to(us, us)
}

/// `+15 µs`: three digits are enough of a change.
fn signed_us(us: f64) -> Line {
    let decimals = match us.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let sign = if us > 0.0 { "+" } else { "" };
    if us.abs() >= 9999.5 {
        return unbroken(line![sign, decimal(us / 1e3, 1), " ms"]);
    }
    unbroken(line![sign, decimal(us, decimals), " µs"])
}

/// What there is beside the short section: causes with their evidence, and the whole of each section.
pub fn folds(comparison: &Comparison) -> Vec<Block> {
    let mut blocks: Vec<Block> = causes(comparison).into_iter().collect();
    let attributed = comparison.attributed.iter();
    blocks.extend(attributed.clone().flat_map(|attributed| &attributed.sections).filter_map(whole_section));
    blocks.extend(attributed.filter_map(|attributed| left_out(&attributed.left_out)));
    blocks
}

fn causes(comparison: &Comparison) -> Option<Block> {
    let caused: Vec<_> = comparison.rows.iter().filter_map(|row| Some((row, row.cause.as_ref()?))).collect();
    type Caused<'a> = (&'a Row, &'a crate::compare::Cause);
    let columns = vec![
        Column::left("Case", |(row, _): &Caused| code(&row.cell.case, NAME)),
        Column::left("Metric", |(row, _): &Caused| metric(&row.cell.metric)),
        Column::left("Cause", |(_, cause): &Caused| cause.word.word()),
        Column::left("Evidence", |(_, cause): &Caused| foreign(&cause.evidence, SENTENCE)),
    ];
    Block::fold(line![Icon::Samples, "Causes (", count(caused.len()), ")"], Table::of(columns, &caused))
}

/// For a cell of the table: the cause in a word, where there is one.
pub fn cause(row: &Row) -> Option<Line> {
    let cause = row.cause.as_ref().filter(|cause| cause.word != CauseWord::Unexplained)?;
    Some(unbroken(line!["cause: ", cause.word.word()]))
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
        " in the head. ",
        count(found.kernels_as_before),
        " shapes of kernels are as before."
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
    Table::of(columns, &parts)
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
        Column::right("calls", move |kernel: &MovedKernel| each(kernel, |calls| value(calls.calls.mean).into())),
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
        Column::right("calls", |moved: &MovedCount| both(value(moved.base.calls.mean), value(moved.head.calls.mean))),
        Column::right("bytes", |moved: &MovedCount| both(value(moved.base.bytes.mean), value(moved.head.bytes.mean))),
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
