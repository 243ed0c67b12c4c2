//! `graph` on the files of real tools: a prompt's logits and those of each token after it, whose reference is `plain` in F32,
//! which the other modules hold to the tools' own numbers.

use super::quantized::Reference;
use super::*;

/// Does `graph` in bf16 stay with the tool's tokens and with `plain`? False where another implementation runs in its place.
fn follows(spec: &ModelSpec, expected: &Reference) -> bool {
    let place = format!("{}, {} tokens", spec.directory.as_ref().unwrap().display(), expected.ids().len());
    let graph = ModelSpec { dtype: Dtype::Bf16, implementation: Implementation::Graph.into(), ..spec.clone() };
    let mut graph = load(&graph);
    if graph.loaded().implementation != Some(Implementation::Graph.into()) {
        return false;
    }
    let mut plain = load(&ModelSpec { dtype: Dtype::F32, ..spec.clone() });
    let (mut ours, mut reference) = (prefill(&mut graph, &expected.ids()), prefill(&mut plain, &expected.ids()));
    assert!(distance(&reference, &expected.f32) < F32_TOLERANCE, "{place}");
    for (step, token) in expected.greedy.iter().copied().enumerate() {
        let away = distance(&ours, &reference);
        assert!(away < BF16_TOLERANCE, "{place}, step {step}: {away}");
        let (best, chosen) = (reference[token as usize], reference[gpu::top(&ours)]);
        assert!(best - chosen < 2.0 * BF16_TOLERANCE * best.abs(), "{place}, step {step}: {chosen} instead of {best}");
        ours = graph.forward.step(token).unwrap().to_vec1().unwrap();
        reference = plain.forward.step(token).unwrap().to_vec1().unwrap();
    }
    true
}

fn room(expected: &Reference) -> usize {
    expected.ids().len() + expected.greedy.len() + 1
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn graph_reads_what_autoround_and_gptqmodel_wrote() {
    let ran = quantized::FIXTURES.into_iter().filter(|name| {
        let each = |expected: &Reference| {
            let spec = quantized::plain(&quantized::quantized(name), DeviceKind::Cuda, Dtype::F32, room(expected));
            follows(&spec, expected)
        };
        Reference::all(name).iter().all(each)
    });
    assert_eq!(ran.collect::<Vec<_>>(), ["awq", "awq-gptqmodel", "gptq-int4", "gptq-int4-rows", "gptq-int8"]);
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn graph_reads_what_llama_cpp_wrote() {
    let ran = gguf::references().into_iter().filter(|(file, cases)| {
        let each = |expected: &Reference| {
            let local = spec(&gguf::fixtures().join(file), Dtype::F32, room(expected));
            follows(&ModelSpec { device: DeviceKind::Cuda, implementation: "plain".into(), ..local }, expected)
        };
        cases.iter().all(each)
    });
    let files: Vec<String> = ran.map(|(file, _)| file).collect();
    assert_eq!(files, ["large-q4_k_m.gguf", "wide-q4_0.gguf", "wide-q4_k_m.gguf", "wide-q6_k.gguf", "wide-q8_0.gguf"]);
}
