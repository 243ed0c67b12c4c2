//! What `examples/write_checkpoint.rs` writes: files as the tools write them, which load.

use super::quantized::{plain, quantized};
use super::*;

#[allow(dead_code, reason = "its `main`")]
#[path = "../../examples/write_checkpoint.rs"]
mod write_checkpoint;

/// A directory that isn't there yet, with the shape of a fixture.
fn written(name: &str, most: usize) -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("written");
    write_checkpoint::write(quantized(name).to_str().unwrap(), &directory, most).unwrap();
    (parent, directory)
}

/// Names, types and shapes. What isn't quantized has other types in the fixtures than in what Qwen publishes.
fn tensors(directory: &Path, is_packed: bool) -> Vec<(String, String, Vec<u64>)> {
    let bytes = std::fs::read(directory.join("model.safetensors")).unwrap();
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let header: HashMap<String, serde_json::Value> = serde_json::from_slice(&bytes[8..][..length]).unwrap();
    let mut tensors: Vec<_> = header
        .into_iter()
        .filter(|(name, _)| name != "__metadata__")
        .map(|(name, entry)| {
            let is_part = ["qweight", "qzeros", "scales", "g_idx"].iter().any(|part| name.ends_with(part));
            let dtype = if is_part && is_packed { entry["dtype"].to_string() } else { String::new() };
            (name, dtype, serde_json::from_value(entry["shape"].clone()).unwrap())
        })
        .collect();
    tensors.sort();
    tensors
}

#[test]
fn they_have_the_tensors_that_the_tools_write() {
    for name in ["gptq-int4", "gptq-int8", "awq"] {
        let (_parent, directory) = written(name, usize::MAX);
        assert_eq!(tensors(&directory, true), tensors(&quantized(name), true), "{name}");
    }
}

#[test]
fn files_of_any_size_are_one_model() {
    for name in ["gptq-int4", "gptq-int8", "awq"] {
        let ((_one, whole), (_many, parts)) = (written(name, usize::MAX), written(name, 100_000));
        assert!(parts.join("model.safetensors.index.json").is_file() && !parts.join("model.safetensors").exists());
        let logits = |directory: &Path| {
            let spec = plain(directory, DeviceKind::Cpu, Dtype::F32, 8);
            prefill(&mut load(&spec), &[5, 17, 42])
        };
        let found = logits(&whole);
        assert_eq!(found, logits(&parts), "{name}");
        assert!(found.iter().all(|logit| logit.is_finite()) && found[0] != found[1], "{name}: {found:?}");
    }
}

/// Numbers are about as large as generated ones, and so is what integers and scales stand for.
#[test]
fn their_numbers_are_about_as_large_as_generated_ones() {
    let (_parent, directory) = written("gptq-int4", usize::MAX);
    let tensors = candle_core::safetensors::load(directory.join("model.safetensors"), &Device::Cpu).unwrap();
    let deviation = |name: &str| {
        let numbers = tensors[name].to_dtype(candle_core::DType::F32).unwrap().flatten_all().unwrap();
        let numbers: Vec<f32> = numbers.to_vec1().unwrap();
        (numbers.iter().map(|number| number * number).sum::<f32>() / numbers.len() as f32).sqrt()
    };
    let embedding = deviation("model.embed_tokens.weight");
    assert!((0.015..0.03).contains(&embedding), "{embedding}");
    // Integers of 0 to 15 around 8 deviate by 4.6.
    let scale = 4.6 * deviation("model.layers.0.mlp.down_proj.scales");
    assert!((0.015..0.03).contains(&scale), "{scale}");
    assert_eq!(deviation("model.norm.weight"), 1.0);
}

#[test]
fn what_cannot_be_written_is_said() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("written");
    let error = |model: &str| write_checkpoint::write(model, &directory, 1).unwrap_err().to_string();
    assert_eq!(error("Qwen2.5-9B"), "Qwen2.5-9B is no model of the collection");
    assert!(error("Qwen2.5-0.5B-Instruct-GGUF").ends_with("only bf16 and f16 are written"));
    assert!(!directory.exists());
}
