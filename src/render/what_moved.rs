//! "What got slower": what traces say of the cases that changed, in a few lines. All of it is in [`moved_tables`](super::moved_tables).

use super::microseconds::signed_us;
use super::moved_words::{both, names, times, words};
use super::shared_moves::{self, Shared};
use super::trace_page::launched_otherwise;
use super::{NAME, inside_step};
use crate::compare::{Attributed, CauseWord, Comparison, MovedParts, Row, Verdict, section};
use crate::metric::Metric;
use crate::number::{count, counted, signed_percent, value};
use crate::page::{Block, Line, code, foreign, line, strong, unbroken};
use crate::stats::Share;
use crate::trace::attribution::{Attribution, Calls, Code, MovedCount, MovedKernel, Section};
use crate::trace::worth_a_line::{Named, Reading};

/// Of a kernel whose engine stamps nothing, or in which no part differs by more than chance explains.
const NOT_DIVIDED: &str = ", and what is inside it isn't divided: ";
/// Lines in all.
const LINES: usize = 5;

/// The short section. Nothing where no case was traced.
pub fn section_of(comparison: &Comparison) -> Vec<Block> {
    let Some(attributed) = &comparison.attributed else { return Vec::new() };
    let is_slower = comparison.rows.iter().any(|row| row.verdict() == Verdict::Regressed && is_traced(attributed, row));
    let title = strong(if is_slower { "What got slower" } else { "What changed" });
    let mut blocks = Vec::new();
    for Told { found, lines } in told(comparison, attributed) {
        let heading = if is_settled(comparison, found) { heading(comparison, found) } else { open_heading(found) };
        let start = if blocks.is_empty() { line![title.clone(), ": "] } else { "And ".into() };
        blocks.extend([Block::Paragraph(start.and(heading)), Block::List(lines)]);
    }
    blocks
}

/// What is said of a part of a case.
struct Told<'a> {
    found: &'a Attribution,
    lines: Vec<Line>,
}

/// Each with as many lines as it has room for. Of what is asked for otherwise, traces may show less than counters: nothing is
/// said of it.
fn told<'a>(comparison: &Comparison, attributed: &'a Attributed) -> Vec<Told<'a>> {
    let mut all: Vec<Told> = Vec::new();
    for found in &attributed.sections {
        let before = all.iter().map(|told| told.found).find(|before| before.case == found.case);
        let before = before.filter(|before| is_settled(comparison, before));
        let lines = match is_settled(comparison, found) {
            true => lines(found, attributed.inside(found), before),
            false => exact_lines(found),
        };
        if !lines.is_empty() && all.len() < LINES {
            all.push(Told { found, lines });
        }
    }
    for (most, told) in shares(&all).into_iter().zip(&mut all) {
        told.lines.truncate(most);
    }
    all
}

/// Its time changed for certain. Else only what is exact is told: its traces' times vary like all others.
fn is_settled(comparison: &Comparison, found: &Attribution) -> bool {
    let is_changed = |row: &&Row| matches!(row.verdict(), Verdict::Regressed | Verdict::Improved);
    let mut changed = comparison.rows.iter().filter(is_changed);
    changed.any(|row| row.cell.case == found.case && section(&row.cell.metric) == found.section)
}

/// Has a line of the section this count of the case, with its numbers?
pub fn tells(comparison: &Comparison, case: &str, section: Section, is_it: impl Fn(&MovedCount) -> bool) -> bool {
    let Some(attributed) = &comparison.attributed else { return false };
    let all = told(comparison, attributed);
    let of_case = all.iter().find(|told| told.found.case == case && told.found.section == section);
    of_case.is_some_and(|Told { found, lines }| {
        let mut said = found.counts.iter().filter(|count| is_it(count));
        said.any(|count| {
            let [alone, first] = [Line::default(), of_all(found)].map(|of| amount(found, count, of));
            lines.contains(&alone) || lines.first() == Some(&first)
        })
    })
}

fn is_traced(attributed: &Attributed, row: &Row) -> bool {
    attributed.of(&row.cell.case, &row.cell.metric).is_some()
}

/// What to do first about what got slower: the first line of the section says more.
pub fn look_at(attributed: &Attributed) -> Line {
    let Some(found) = attributed.sections.first() else { return "look at what got slower".into() };
    let inside = attributed.inside(found).and_then(|parts| parts.changed().into_iter().next());
    match (found.named().into_iter().next(), inside) {
        (Some(Named::Kernel(kernel)), Some(part)) if found.is_whole(kernel) => {
            line!["look at ", inside_step::where_of(part), " in ", names(kernel), " first"]
        }
        (Some(Named::Kernel(kernel)), _) => line!["look at ", names(kernel), " first"],
        (Some(Named::Count(count)), _) => line!["look at the ", foreign(&count.in_words(), NAME), " first"],
        (Some(Named::Pauses) | None, _) => "look at what got slower".into(),
    }
}

/// How many lines each may have, so that all have one before one has two.
fn shares(told: &[Told]) -> Vec<usize> {
    let mut shares = vec![0; told.len()];
    for _ in 0..LINES {
        let least = (0..told.len()).filter(|at| shares[*at] < told[*at].lines.len()).min_by_key(|at| shares[*at]);
        least.into_iter().for_each(|at| shares[at] += 1);
    }
    shares
}

/// `decode of CASE: 1.102 → 1.118 ms a token (+16 µs, +1.5%) in 3 traces of each side; measured +1.6%`
fn heading(comparison: &Comparison, found: &Attribution) -> Line {
    let times = line![us_from_to(found.base_us.mean, found.head_us.mean), a(found)];
    let share = Share::new(found.change_us() / found.base_us.mean).finite();
    let share = share.map(|share| line![", ", signed_percent(share)]).unwrap_or_default();
    let change = line![" (", signed_us(found.change_us()), share, ")"];
    let measured = measured(comparison, found).map(|share| line!["; measured ", signed_percent(share)]);
    let traces = line![" in ", counted(found.traces, "trace"), " of each side", measured.unwrap_or_default()];
    line![words(found).0, " of ", code(&found.case, NAME), ": ", times, change, traces]
}

/// `decode of CASE asks for something else, in 3 traces of each side; what that costs isn't settled`
fn open_heading(found: &Attribution) -> Line {
    let what = line![words(found).0, " of ", code(&found.case, NAME), " asks for something else, in "];
    line![what, counted(found.traces, "trace"), " of each side; what that costs isn't settled"]
}

/// How much longer it took where it was timed.
fn measured(comparison: &Comparison, found: &Attribution) -> Option<Share> {
    let of = match found.section {
        Section::Decode => Metric::DecodeThroughput,
        Section::Prefill => Metric::Ttft,
    };
    let is_it = |row: &&Row| row.cell.case == found.case && row.cell.metric.known() == Some(of);
    let change = comparison.rows.iter().find(is_it)?.change()?.get();
    let longer = if found.section == Section::Decode { 1.0 / (1.0 + change) - 1.0 } else { change };
    Share::new(longer).finite()
}

fn a(found: &Attribution) -> &'static str {
    words(found).1
}

/// The most telling first, which says of how much it is a part: what is inside one kernel before all. What the part of the
/// case `before` it has said is one line.
fn lines(found: &Attribution, inside: Option<&MovedParts>, before: Option<&Attribution>) -> Vec<Line> {
    let named = found.named();
    let inside = inside.map(inside_step::lines).unwrap_or_default();
    if found.reading() == Reading::Neither && inside.is_empty() {
        return vec![
            "the same kernels, called as often and as fast as far as these traces tell: clocks, memory, or what no trace shows"
                .into(),
        ];
    }
    let is_divided = !inside.is_empty();
    let in_words = |one: &Named| {
        let is_first = named.first() == Some(one) && !is_divided;
        said(found, one, if is_first { of_all(found) } else { Line::default() }, is_divided)
    };
    let shared = before.map(|before| Shared { before, found });
    inside.into_iter().chain(shared_moves::lines(&named, shared, in_words)).take(LINES).collect()
}

/// What is exact, whatever the times are.
fn exact_lines(found: &Attribution) -> Vec<Line> {
    found.asked_otherwise().iter().take(LINES).map(|named| said(found, named, Line::default(), false)).collect()
}

/// ` of the +104 µs a token`
fn of_all(found: &Attribution) -> Line {
    line![" of the ", signed_us(found.change_us()), a(found)]
}

/// `of` stands behind its time. `is_divided`: lines before it say what is inside the kernel that is the whole.
fn said(found: &Attribution, named: &Named, of: Line, is_divided: bool) -> Line {
    match named {
        Named::Kernel(kernel) if found.is_whole(kernel) => whole(found, kernel, is_divided).and(of),
        Named::Kernel(kernel) => {
            line![with_code(kernel), became(found, kernel), ": ", strong(signed_us(kernel.change_us)), of]
        }
        Named::Count(count) => amount(found, count, of),
        Named::Pauses => pauses(found, of),
    }
}

fn whole(found: &Attribution, kernel: &MovedKernel, is_divided: bool) -> Line {
    let (name, a) = words(found);
    let kernel_name = with_code(kernel);
    let name =
        line![name, " is one kernel, ", kernel_name, if is_divided { ": " } else { NOT_DIVIDED }, otherwise(kernel)];
    let us = |calls: Option<Calls>| calls.map_or(0.0, |calls| calls.us.mean);
    let times = line![us_from_to(us(kernel.base), us(kernel.head)), a];
    line![name, times, ", ", strong(signed_us(kernel.change_us))]
}

/// Its name, and whether its code is the same where that is known.
fn with_code(kernel: &MovedKernel) -> Line {
    let code = kernel.code.map(|code| line![" (", code_in_words(code), ")"]);
    names(kernel).and(code.unwrap_or_default())
}

/// `same code`, or `other code: 64 → 72 registers, 0 → 48 bytes of local memory`
fn code_in_words(code: Code) -> Line {
    let (registers, local_bytes) = match code {
        Code::Same => return "same code".into(),
        Code::Other { registers, local_bytes } => (registers, local_bytes),
    };
    let differing = |pair: Option<[u32; 2]>, of: &'static str| {
        let [old, new] = pair.filter(|[old, new]| old != new)?;
        Some(line![both(count(old as usize), count(new as usize)), of])
    };
    let parts = [differing(registers, " registers"), differing(local_bytes, " bytes of local memory")];
    let parts: Vec<Line> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "other code".into() } else { line!["other code: ", Line::joined(parts, ", ")] }
}

/// `other grid 4 × 32 → 8 × 32, `, where it is launched otherwise.
fn otherwise(kernel: &MovedKernel) -> Line {
    let said = kernel.reshaped.map(|head| launched_otherwise(kernel.grid, kernel.block, head));
    said.map(|(words, shapes)| line![words, " ", shapes, ", "]).unwrap_or_default()
}

/// `: 1.2 → 1.5 µs a call (+24%), 49 calls a token`
fn became(found: &Attribution, kernel: &MovedKernel) -> Line {
    let each = |of: Calls| line![us(of.us_a_call.mean), " each"];
    let often =
        |of: Calls| line![times(of.calls.mean), if of.calls.mean == 1.0 { " call" } else { " calls" }, a(found)];
    match (kernel.base, kernel.head) {
        (Some(base), Some(head)) if base.calls.is_apart(&head.calls) => {
            let number = both(times(base.calls.mean), times(head.calls.mean));
            line![": ", number, " calls", a(found), ", ", each(head)]
        }
        (Some(base), Some(head)) => {
            let change = Share::new(head.us_a_call.mean / base.us_a_call.mean - 1.0);
            let speed = line![us_from_to(base.us_a_call.mean, head.us_a_call.mean), " a call"];
            line![": ", otherwise(kernel), speed, " (", signed_percent(change), "), ", often(head)]
        }
        (Some(only), None) => line![" is gone: ", often(only), ", ", each(only)],
        (None, Some(only)) => line![" is new: ", often(only), ", ", each(only)],
        (None, None) => Line::default(),
    }
}

/// `synchronisations of a device: 0 → 1 a token`
fn amount(found: &Attribution, moved: &MovedCount, of: Line) -> Line {
    let number = both(times(moved.base.calls.mean), times(moved.head.calls.mean));
    let (base, head) = (moved.base.bytes.mean, moved.head.bytes.mean);
    let bytes = match moved.base.bytes.is_apart(&moved.head.bytes) {
        true => line![", ", both(times(base), times(head)), " bytes"],
        false => Line::default(),
    };
    // What takes no time of the device has no part in the whole.
    let own = match moved.change_us() {
        0.0 => Line::default(),
        change => line![": ", strong(signed_us(change)), of],
    };
    line![foreign(&moved.in_words(), NAME), ": ", number, a(found), bytes, own]
}

fn pauses(found: &Attribution, of: Line) -> Line {
    let (base, head) = (found.base_pauses_us.mean, found.head_pauses_us.mean);
    let time = line!["no kernel ran for ", us_from_to(base, head), a(found), ": ", strong(signed_us(head - base)), of];
    let why = match found.reading() {
        Reading::Host => ", with the same kernels: the host is slower in launching or waiting",
        Reading::Work | Reading::Neither => "",
    };
    line![time, why]
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

/// For a cell of the table: the cause in a word, where there is one.
pub fn cause(row: &Row) -> Option<Line> {
    let cause = row.cause.as_ref().filter(|cause| cause.word != CauseWord::Unexplained)?;
    Some(unbroken(line!["cause: ", cause.word.word()]))
}
