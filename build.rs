//! Tells the crate what it is built from, and compiles the GPU's kernels for the `cuda` feature.
//!
//! This script runs whenever a source file changes, so everything here must be quick or cache its own work.

#[allow(dead_code, reason = "the engine uses the rest")]
#[path = "src/engine/candle/qwen2/graph/decode_plan.rs"]
mod decode_plan;
#[path = "build/fingerprint.rs"]
mod fingerprint;
#[path = "build/header.rs"]
mod header;
#[path = "build/kernels.rs"]
mod kernels;
#[allow(dead_code, reason = "the engine uses the rest")]
#[path = "src/engine/candle/qwen2/graph/layout.rs"]
mod layout;
#[allow(dead_code, reason = "the engine uses the rest")]
#[path = "src/engine/candle/qwen2/graph/sizes.rs"]
mod sizes;
#[path = "build/tracer.rs"]
mod tracer;
#[allow(dead_code, reason = "the engine uses the rest")]
#[path = "src/engine/candle/qwen2/graph/unfit.rs"]
mod unfit;
#[path = "build/version.rs"]
mod version;

fn main() {
    version::emit();
    kernels::emit();
    tracer::emit();
}
