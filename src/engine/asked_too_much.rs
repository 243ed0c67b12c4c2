//! What an engine can't do that a case asks for.

use super::{EngineKind, ModelSpec, Refusal};
use crate::case::SeedProtocol;

/// The settings of `spec` that `engine` can't honour on any device.
pub fn refusals(engine: &dyn EngineKind, spec: &ModelSpec) -> Vec<Refusal> {
    let of_batch = (spec.batch_size > 1).then(|| engine.refuses_batch(spec)).flatten();
    let of_seed = spec.seed_protocol.and_then(|protocol| engine.refuses_seed_protocol(spec, protocol));
    let of_gpus = (spec.gpus.count() > 1).then(|| engine.refuses_gpus(spec)).flatten();
    let of_both = spec.seed_protocol.filter(|_| spec.batch_size > 1).map(one_sequence);
    let batch = of_batch.or(of_both).map(|reason| Refusal { setting: "batch-size", reason });
    let seed = of_seed.map(|reason| Refusal { setting: "seed-protocol", reason });
    let gpus = of_gpus.map(|reason| Refusal { setting: "gpus", reason });
    engine.refusals(spec).into_iter().chain(batch).chain(seed).chain(gpus).collect()
}

fn one_sequence(protocol: SeedProtocol) -> String {
    format!("Qwen's `{protocol}` protocol generates one sequence at a time: leave out the batch size")
}
