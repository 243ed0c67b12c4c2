//! The page of `bench-diff kernels --diff`: kernels whose code isn't the same, and what they take now.

use super::kernel_page::target;
use super::kernel_place::{PlaceOf, source};
use super::trace_page::{KERNEL, whole};
use crate::kernel_code::KernelCode;
use crate::kernel_code::code_diff::{CodeDiff, Evidence, Row, What};
use crate::number::{Figure, bytes, count, counted};
use crate::page::{Block, Column, Line, Page, Table, code, line, unbroken};

/// The table shows so many; `place` says where a kernel is written.
pub fn page<'a>(diff: &CodeDiff, most: usize, place: PlaceOf<'a, '_>) -> Page {
    // A change of a kernel that both have is what to look at first.
    let mut rows: Vec<&Row> = diff.changed.iter().collect();
    rows.sort_by_key(|row| row.what);
    let shown = &rows[..most.min(rows.len())];
    let body = if shown.is_empty() { Vec::new() } else { vec![Block::Table(table(shown, place))] };
    let left = rows.len() - shown.len();
    let left = (left > 0).then(|| Block::Paragraph(line![whole(left as u64), " more: `--top` shows more of them."]));
    Page { headline: headline(diff), body: body.into_iter().chain(left).collect(), ..Page::default() }
}

fn headline(diff: &CodeDiff) -> Line {
    let of = |what: What| diff.changed.iter().filter(|row| row.what == what).count();
    let same = line![counted(diff.same, "kernel"), if diff.same == 1 { " has" } else { " have" }, " the same code"];
    line![
        same,
        ", ",
        count(of(What::OtherCode)),
        " other code, ",
        count(of(What::Gone)),
        " gone, ",
        count(of(What::New)),
        " new"
    ]
}

fn table<'a>(rows: &[&Row], place: PlaceOf<'a, '_>) -> Table {
    let mut columns = vec![
        Column::left("Kernel", |row: &&Row| code(&row.name, KERNEL)),
        Column::left("for", |row: &&Row| either(row).map(target).unwrap_or_default()),
        Column::left("", |row: &&Row| unbroken(what(row.what))),
        Column::right("registers", |row: &&Row| of_both(row, |code| Some(count(code.resources?.registers as usize)))),
        Column::right("local", |row: &&Row| of_both(row, |code| Some(bytes(code.resources?.local_bytes.into())))),
        Column::right("shared", |row: &&Row| of_both(row, |code| Some(bytes(code.resources?.shared_bytes)))),
        Column::right("code", |row: &&Row| of_both(row, |code| Some(bytes(code.code_bytes)))),
    ];
    if rows.iter().any(|row| place(&row.name).is_some()) {
        columns.push(Column::left("source", |row: &&Row| source(place(&row.name))));
    }
    Table::of(columns, rows)
}

fn what(what: What) -> &'static str {
    match what {
        What::OtherCode => "other code",
        What::Gone => "gone",
        What::New => "new",
    }
}

fn either(row: &Row) -> Option<&KernelCode> {
    row.new.as_ref().or(row.old.as_ref())
}

/// `64 → 72`, or one number where it is the same.
fn of_both(row: &Row, number: impl Fn(&KernelCode) -> Option<Figure>) -> Line {
    let [old, new] = [&row.old, &row.new].map(|code| code.as_ref().and_then(&number));
    match (old, new) {
        (Some(old), Some(new)) if old != new => unbroken(line![old, " → ", new]),
        (Some(one), _) | (None, Some(one)) => one.into(),
        (None, None) => Line::default(),
    }
}

/// What to say of a kernel that both programs have run: `same code`, or `other code: registers 64 → 72`.
pub fn said(evidence: Option<Evidence>) -> Line {
    let row = match evidence {
        None => return Line::default(),
        Some(Evidence::Same) => return "same code".into(),
        Some(Evidence::Changed(row)) => row,
    };
    let parts = [
        ("registers ", of_both(row, |code| Some(count(code.resources?.registers as usize)))),
        ("local ", of_both(row, |code| Some(bytes(code.resources?.local_bytes.into())))),
        ("shared ", of_both(row, |code| Some(bytes(code.resources?.shared_bytes)))),
        ("size ", of_both(row, |code| Some(bytes(code.code_bytes)))),
    ];
    let changed = [
        differs(row, |code| code.resources.map(|of| u64::from(of.registers))),
        differs(row, |code| code.resources.map(|of| u64::from(of.local_bytes))),
        differs(row, |code| code.resources.map(|of| of.shared_bytes)),
        differs(row, |code| Some(code.code_bytes)),
    ];
    let parts =
        parts.into_iter().zip(changed).filter(|(_, changed)| *changed).map(|((word, numbers), _)| line![word, numbers]);
    let parts: Vec<Line> = parts.collect();
    match (row.what, parts.is_empty()) {
        (What::OtherCode, false) => line!["other code: ", Line::joined(parts, ", ")],
        (other, _) => what(other).into(),
    }
}

fn differs(row: &Row, number: impl Fn(&KernelCode) -> Option<u64>) -> bool {
    match (&row.old, &row.new) {
        (Some(old), Some(new)) => number(old) != number(new),
        _ => false,
    }
}
