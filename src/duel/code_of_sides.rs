//! Beside the time that a kernel moved: is its code the same in both programs? Their files say that, and nothing is run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::case::Case;
use crate::engine::{self, ModelSpec};
use crate::kernel_code::code_diff::{CodeDiff, Evidence, Row};
use crate::kernel_code::code_files::Kernels;
use crate::measure::Worker;
use crate::trace::attribution::{Attribution, Code, MovedKernel};

/// The code of both programs: their files are read once for all cases of an engine.
#[derive(Default)]
pub struct CodeOfSides(BTreeMap<[PathBuf; 2], Option<CodeDiff>>);

impl CodeOfSides {
    /// Says so of each kernel that both sides have, as far as the files of base and head have kernels: of what they make while
    /// they run, and of libraries beside them, nothing is known.
    pub fn add_to(&mut self, found: &mut [Attribution], sides: [&Worker; 2], spec: &ModelSpec, case: &Case) {
        let [Some(base), Some(head)] = sides.map(|worker| file(worker, spec, case)) else { return };
        for kernel in found.iter_mut().flat_map(|found| &mut found.kernels) {
            let diff = self.0.entry([base.clone(), head.clone()]).or_insert_with_key(diff);
            kernel.code = diff.as_ref().and_then(|diff| code(diff, kernel));
        }
    }
}

/// Of files that can't be read there is none: a verdict doesn't depend on it.
fn diff(files: &[PathBuf; 2]) -> Option<CodeDiff> {
    let [base, head] = files.each_ref().map(|file| {
        let found = Kernels::read(std::slice::from_ref(file));
        found.inspect_err(|error| tracing::debug!("{error:?}")).ok()
    });
    Some(CodeDiff::of(&base?.all, &head?.all))
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
