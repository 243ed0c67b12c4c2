//! Beside the time that a kernel moved: is its code the same in both programs? Their files say that, and nothing is run.

use std::path::PathBuf;

use crate::case::Case;
use crate::engine::{self, ModelSpec};
use crate::kernel_code::code_diff::{CodeDiff, Evidence, Row};
use crate::kernel_code::code_files::Kernels;
use crate::measure::Worker;
use crate::trace::attribution::{Attribution, Code, MovedKernel};

/// Says so of each kernel that both sides have, as far as the files of base and head have kernels: of what they make while they
/// run, and of libraries beside them, nothing is known.
pub fn add(found: &mut [Attribution], sides: [&Worker; 2], spec: &ModelSpec, case: &Case) {
    if found.iter().all(|found| found.kernels.is_empty()) {
        return;
    }
    let [base, head] = sides.map(|worker| kernels(worker, spec, case));
    let Some((base, head)) = base.zip(head) else { return };
    let diff = CodeDiff::of(&base.all, &head.all);
    for kernel in found.iter_mut().flat_map(|found| &mut found.kernels) {
        kernel.code = code(&diff, kernel);
    }
}

/// A file that can't be read has none: a verdict doesn't depend on it.
fn kernels(worker: &Worker, spec: &ModelSpec, case: &Case) -> Option<Kernels> {
    let found = Kernels::read(&[file(worker, spec, case)?]);
    found.inspect_err(|error| tracing::debug!("{error:?}")).ok()
}

/// The program whose kernels were traced.
fn file(worker: &Worker, spec: &ModelSpec, case: &Case) -> Option<PathBuf> {
    if !engine::find(&spec.engine).ok()?.is_of_others() {
        return Some(worker.path.clone());
    }
    let program = worker.engines.commands.get(&case.id)?.first()?;
    Some(worker.engines.directory.join(program)).filter(|path| path.is_file())
}

fn code(diff: &CodeDiff, kernel: &MovedKernel) -> Option<Code> {
    // Of one that goes by another name, the old name says nothing of the new code.
    kernel.base.zip(kernel.head).filter(|_| kernel.renamed.is_none())?;
    match diff.evidence(&kernel.name)? {
        Evidence::Same => Some(Code::Same),
        Evidence::Changed(row) => changed(row),
    }
}

fn changed(row: &Row) -> Option<Code> {
    let (old, new) = row.old.as_ref().zip(row.new.as_ref())?;
    let resources = old.resources.zip(new.resources);
    Some(Code::Other {
        registers: resources.map(|(old, new)| [old.registers, new.registers]),
        local_bytes: resources.map(|(old, new)| [old.local_bytes, new.local_bytes]),
    })
}
