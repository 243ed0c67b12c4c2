//! What this process does now, for the tracer in it.

use super::tracers::Tracers;

/// What the GPU begins from now on belongs to `phase`. Nothing where nobody traces this process: that is, almost always.
pub fn begin(phase: &str) {
    if let Some(Err(error)) = Tracers::here().map(|tracers| tracers.begin_here(phase)) {
        tracing::debug!("the tracer doesn't know of the phase {phase}: {error}");
    }
}
