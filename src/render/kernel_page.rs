//! The page of `bench-diff kernels`: what each kernel takes, those with local memory first.

use super::kernel_place::{PlaceOf, source};
use super::trace_page::{KERNEL, whole};
use crate::kernel_code::{Form, KernelCode, Resources};
use crate::number::{bytes, count, counted};
use crate::page::{Block, Column, Line, Page, Table, code, line, name, unbroken};

/// Characters of a hash that tell codes apart.
const HASH: usize = 12;

/// The table shows so many; `place` says where a kernel is written.
pub fn page<'a>(kernels: &[&KernelCode], files: usize, most: usize, place: PlaceOf<'a, '_>) -> Page {
    let mut kernels = kernels.to_vec();
    let size = |kernel: &KernelCode| (kernel.resources.unwrap_or_default().local_bytes, kernel.code_bytes);
    kernels.sort_by_key(|kernel| (kernel.form, std::cmp::Reverse(size(kernel))));
    let shown = &kernels[..most.min(kernels.len())];
    let body = if shown.is_empty() { Vec::new() } else { vec![Block::Table(table(shown, place))] };
    let left = kernels.len() - shown.len();
    let left = (left > 0).then(|| Block::Paragraph(line![whole(left as u64), " more: `--top` shows more of them."]));
    let end = if shown.is_empty() { Block::Paragraph(NOTHING.into()) } else { Block::Paragraph(NOTE.into()) };
    Page {
        headline: headline(&kernels, files),
        body: body.into_iter().chain(left).collect(),
        end: vec![end],
        ..Page::default()
    }
}

const NOTE: &str = "Local memory is what a thread's registers don't hold (spills), and its arrays. A PTX kernel's machine code is \
                    made by the driver.";
const NOTHING: &str = "The kernels of a library lie in the library: name that, or the folder that it lies in.";

fn headline(kernels: &[&KernelCode], files: usize) -> Line {
    let ptx = kernels.iter().filter(|kernel| kernel.form == Form::Ptx).count();
    let machine_code = line![counted(kernels.len() - ptx, "kernel"), " of machine code and ", count(ptx), " of PTX"];
    line![machine_code, " in ", counted(files, "file")]
}

fn table<'a>(kernels: &[&KernelCode], place: PlaceOf<'a, '_>) -> Table {
    let mut columns = vec![
        Column::left("Kernel", |kernel: &&KernelCode| code(&kernel.name, KERNEL)),
        Column::left("for", |kernel: &&KernelCode| target(kernel)),
        Column::right("registers", |kernel: &&KernelCode| of(kernel, |of| count(of.registers as usize).into())),
        Column::right("local", |kernel: &&KernelCode| of(kernel, |of| bytes(of.local_bytes.into()).into())),
        Column::right("shared", |kernel: &&KernelCode| of(kernel, |of| bytes(of.shared_bytes).into())),
        Column::right("code", |kernel: &&KernelCode| bytes(kernel.code_bytes)),
        Column::left("hash", |kernel: &&KernelCode| code(kernel.hash.get(..HASH).unwrap_or_default(), HASH)),
    ];
    if kernels.iter().any(|kernel| place(&kernel.name).is_some()) {
        columns.push(Column::left("source", |kernel: &&KernelCode| source(place(&kernel.name))));
    }
    Table::of(columns, kernels)
}

pub(super) fn target(kernel: &KernelCode) -> Line {
    let ptx = if kernel.form == Form::Ptx { " PTX" } else { "" };
    unbroken(line![name(&kernel.target, 20), ptx])
}

fn of(kernel: &KernelCode, number: impl Fn(Resources) -> Line) -> Line {
    kernel.resources.map(number).unwrap_or_default()
}
