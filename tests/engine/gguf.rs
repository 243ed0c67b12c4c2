//! GGUF files: those of llama.cpp's quantizer against transformers with gguf-py's numbers, and broken ones.
//!
//! tests/fixtures/make_gguf_fixture.py made the files and the numbers.

use std::collections::BTreeMap;

use super::quantized::Reference;
use super::*;

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantized/gguf")
}

/// By file: what transformers made of prompts, in f32 with the numbers of the file.
pub fn references() -> BTreeMap<String, Vec<Reference>> {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join("expected.json")).unwrap()).unwrap()
}

pub fn assert_agrees_with_transformers(device: DeviceKind) {
    let references = references();
    assert!(references.len() > 19, "{:?}", references.keys());
    for (file, cases) in references {
        for expected in cases {
            let ids = expected.ids();
            let Reference { f32, greedy, .. } = expected;
            let length = ids.len() + greedy.len();
            for (dtype, tolerance) in [(Dtype::F32, F32_TOLERANCE), (Dtype::Bf16, BF16_TOLERANCE)] {
                let place = format!("{file}, {} tokens, {dtype}", ids.len());
                let spec = spec(&fixtures().join(&file), dtype, length);
                let mut model = load(&ModelSpec { device, implementation: "plain".into(), ..spec });
                let distance = distance(&prefill(&mut model, &ids), &f32);
                assert!(distance < tolerance, "{place}: {distance}");
                if dtype == Dtype::F32 {
                    assert_eq!(model.generate(&ids, greedy.len()).unwrap().tokens.unwrap(), greedy, "{place}");
                }
            }
        }
    }
}

#[test]
fn quantized_by_llama_cpp_agrees_with_transformers() {
    assert_agrees_with_transformers(DeviceKind::Cpu);
}

#[test]
fn types_that_no_kernel_reads_are_refused_by_name() {
    let said = error(&spec(&fixtures().join("small-iq4_nl.gguf"), Dtype::F32, 8), None);
    assert!(said.contains("IQ4_NL") && said.contains("token_embd.weight"), "{said}");
}

/// `bench-diff generate` with a file: exit code, output, errors with the fixtures' folder as DIR.
fn generate_from(model: &Path, args: &[&str]) -> (i32, String, String) {
    let common = ["--prompt-ids", "7", "--generated-length", "4", "--dtype", "f32", "--device", "cpu"];
    generate(&[&[model.to_str().unwrap()][..], &common, args].concat())
}

#[test]
fn generate_takes_a_file_and_a_directory_with_one_model() {
    let greedy = |file: &str| references().remove(file).unwrap().remove(0).greedy;
    let tokens = |model: &Path| {
        let (exit, out, err) = generate_from(model, &["--format", "json"]);
        assert_eq!(exit, 0, "{err}");
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        serde_json::from_value::<Vec<u32>>(json["tokens"].clone()).unwrap()
    };
    assert_eq!(tokens(&fixtures().join("small-q5_1.gguf")), greedy("small-q5_1.gguf"));
    // Any part stands for all of them, and so does a directory that has nothing else.
    let split = "parts-q8_0-00001-of-00003.gguf";
    assert_eq!(tokens(&fixtures().join("parts-q8_0-00002-of-00003.gguf")), greedy(split));
    let directory = tempfile::tempdir().unwrap();
    for part in 1..=3 {
        let name = format!("parts-q8_0-0000{part}-of-00003.gguf");
        std::fs::copy(fixtures().join(&name), directory.path().join(name)).unwrap();
    }
    assert_eq!(tokens(directory.path()), greedy(split));
}

/// Files that don't belong together, and models that aren't what is said of them.
#[test]
fn files_that_do_not_fit_together_are_refused() {
    let complain = |files: &[(&str, &str)], model: &str, args: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        for (from, to) in files {
            std::fs::copy(fixtures().join(from), directory.path().join(to)).unwrap();
        }
        let (exit, out, err) = generate_from(&directory.path().join(model), args);
        assert_eq!((exit, out.as_str()), (2, ""), "{err}");
        err.replace(&directory.path().display().to_string(), "DIR")
    };
    let part = |part: u32| format!("parts-q8_0-0000{part}-of-00003.gguf");
    let (first, second, third) = (part(1), part(2), part(3));
    let config = "../../qwen2/untied/config.json";
    let said = [
        complain(&[("small-q4_0.gguf", "a.gguf"), ("small-q5_0.gguf", "b.gguf")], "", &[]),
        complain(&[(&first, &first), (&third, &third)], "", &[]),
        complain(&[(&first, "whole.gguf")], "", &[]),
        complain(&[(&first, &first), (&third, &second), (&third, &third)], "", &[]),
        complain(&[("small-q8_0.gguf", "a-00001-of-00002.gguf"), (&second, "a-00002-of-00002.gguf")], "", &[]),
        complain(&[(config, "config.json"), ("small-q4_0.gguf", "a.gguf")], "", &[]),
        complain(&[(config, "model.gguf")], "model.gguf", &[]),
        complain(&[("small-q4_0.gguf", "a.gguf")], "b.gguf", &[]),
        complain(&[("small-q4_0.gguf", "a.gguf")], "a.gguf", &["--implementation", "stock"]),
        complain(&[("small-q4_0.gguf", "model.safetensors"), (config, "config.json")], "", &[]),
    ];
    insta::assert_snapshot!(said.concat());
}

/// Measured as any model is: the case has the quantization in its name, and the weights that its blocks take are its bytes.
#[test]
fn a_file_is_measured_under_the_name_of_its_quantization() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(fixtures().join("wide-q4_k_m.gguf"), directory.path().join("tiny.gguf")).unwrap();
    std::fs::write(directory.path().join("ids.json"), "[7, 8]").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    command.args([
        "run",
        "--model",
        "./tiny.gguf",
        "--weights",
        "local",
        "--device",
        "cpu",
        "--context-lengths",
        "4",
        "--generated-length",
        "3",
    ]);
    let output = command
        .args(["--runs", "1", "--output", "r.json", "--prompt-ids", "ids.json"])
        .current_dir(directory.path())
        .env("TMPDIR", directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results = std::fs::read_to_string(directory.path().join("r.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    let case = &results["cases"][0];
    assert_eq!((&case["id"], &case["quantization"]), (&"tiny.gguf:q4_k_m/gguf/4".into(), &"gguf".into()));
    assert!(results["sessions"][0]["runs"][0]["metrics"]["decode_throughput"].as_f64().unwrap() > 0.0, "{results}");
}

/// Of a step, `plain` reads the blocks of matrices and the embedding in its own type.
#[test]
fn loading_says_what_a_step_costs_in_blocks() {
    let costs =
        |name: &str| load(&spec(&fixtures().join(name), Dtype::F32, 4)).loaded().costs.unwrap().decode_weight_bytes;
    // One layer: q and o, k and v, the MLP, all in rows of 256; 64 rows of a tied embedding and 5 x 256 + 2 x 64 vectors in f32.
    let (attention, mlp, rest) = (2 * 256 * 256 + 2 * 64 * 256, 3 * 256 * 256, 64 * 256 + 3 * 256 + 256 + 2 * 64);
    let blocks = (attention + mlp) / 256 * 176;
    assert!(costs("wide-q5_k_s.gguf") == blocks + 4 * rest, "{} {blocks}", costs("wide-q5_k_s.gguf"));
}

/// The same blocks each time, whatever else is asked for; and a file's own types in its shape.
#[test]
fn generated_blocks_are_the_same_each_time_and_of_the_named_types() {
    let generated = |model: &Path, name: &str| {
        let spec = ModelSpec { weights: WeightsSource::Generated, ..spec(model, Dtype::F32, 8) };
        load(&ModelSpec { model: name.to_owned(), quantization: Quantization::Gguf, ..spec })
    };
    for name in ["wide-q2_k.gguf", "wide-q4_k_m.gguf", "small-q4_0.gguf", "small-bf16.gguf"] {
        let path = fixtures().join(name);
        let (mut one, mut other) = (generated(&path, name), generated(&path, name));
        let logits = prefill(&mut one, &[1, 2, 3]);
        assert!(
            logits.iter().all(|logit| logit.is_finite()) && logits.iter().any(|logit| logit.abs() > 1e-3),
            "{name}"
        );
        assert_eq!(logits, prefill(&mut other, &[1, 2, 3]), "{name}");
        let of_file = load(&spec(&path, Dtype::F32, 8)).loaded().costs;
        assert_eq!(one.loaded().costs, of_file, "{name}: the same bytes");
    }
}
