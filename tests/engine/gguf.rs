//! GGUF files: those of llama.cpp's quantizer against transformers with gguf-py's numbers, and broken ones.
//!
//! tests/fixtures/make_gguf_fixture.py made the files and the numbers.

use std::collections::BTreeMap;

use super::*;

/// A prompt and what transformers made of it, in f32 with the numbers of the file.
#[derive(Deserialize)]
struct Reference {
    prompt: Prompt,
    f32: Vec<f32>,
    greedy: Vec<u32>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantized/gguf")
}

fn references() -> BTreeMap<String, Vec<Reference>> {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join("expected.json")).unwrap()).unwrap()
}

pub fn assert_agrees_with_transformers(device: DeviceKind) {
    let references = references();
    assert!(references.len() > 15, "{:?}", references.keys());
    for (file, cases) in references {
        for Reference { prompt, f32, greedy } in cases {
            let ids: Vec<u32> =
                (0..prompt.length).map(|index| (prompt.start + prompt.step * index) % f32.len() as u32).collect();
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

/// A header that a test can break: its values are written as GGUF has them.
struct Header {
    version: u32,
    metadata: Vec<(String, u32, Vec<u8>)>,
    tensors: Vec<(String, Vec<u64>, u32, u64)>,
    data: usize,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn list(kind: u32, length: u64, items: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), items].concat()
}

impl Header {
    /// Of a model with one layer of four values, in F32.
    fn whole() -> Self {
        let mut header = Self { version: 3, metadata: Vec::new(), tensors: Vec::new(), data: 0 };
        header.set("general.architecture", 8, text("qwen2"));
        for (key, value) in [
            ("context_length", 16_u32),
            ("embedding_length", 4),
            ("block_count", 1),
            ("feed_forward_length", 4),
            ("attention.head_count", 1),
        ] {
            header.set(&format!("qwen2.{key}"), 4, value.to_le_bytes().to_vec());
        }
        header.set("qwen2.attention.layer_norm_rms_epsilon", 6, 1e-6_f32.to_le_bytes().to_vec());
        for name in
            ["token_embd", "blk.0.attn_q", "blk.0.attn_k", "blk.0.attn_v", "blk.0.attn_output", "blk.0.ffn_gate"]
                .into_iter()
                .chain(["blk.0.ffn_up", "blk.0.ffn_down"])
        {
            header.add(&format!("{name}.weight"), &[4, 4]);
        }
        for name in ["output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"] {
            header.add(name, &[4]);
        }
        for name in ["q", "k", "v"] {
            header.add(&format!("blk.0.attn_{name}.bias"), &[4]);
        }
        header
    }

    fn set(&mut self, key: &str, kind: u32, value: Vec<u8>) {
        self.metadata.retain(|(known, ..)| known != key);
        self.metadata.push((key.to_owned(), kind, value));
    }

    fn add(&mut self, name: &str, dimensions: &[u64]) {
        self.tensors.push((name.to_owned(), dimensions.to_vec(), 0, self.data as u64));
        self.data += (dimensions.iter().product::<u64>() as usize * 4).next_multiple_of(32);
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [b"GGUF", &self.version.to_le_bytes()[..]].concat();
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.metadata {
            bytes.extend([&text(key)[..], &kind.to_le_bytes(), value].concat());
        }
        for (name, dimensions, kind, offset) in &self.tensors {
            bytes.extend(text(name));
            bytes.extend((dimensions.len() as u32).to_le_bytes());
            bytes.extend(dimensions.iter().flat_map(|dimension| dimension.to_le_bytes()));
            bytes.extend(kind.to_le_bytes());
            bytes.extend(offset.to_le_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(32) + self.data, 0);
        bytes
    }
}

/// What is said of a file with these bytes.
fn said_of(bytes: &[u8]) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    let loaded = Candle::load(&spec(&path, Dtype::F32, 4), &mut |_, _| {});
    let place = directory.path().display().to_string();
    loaded.map(drop).map_err(|error| error.in_one_line().replace(&place, "DIR"))
}

fn broken(change: impl Fn(&mut Header)) -> String {
    let mut header = Header::whole();
    change(&mut header);
    said_of(&header.bytes()).unwrap_err()
}

#[test]
fn a_whole_header_is_read() {
    assert_eq!(said_of(&Header::whole().bytes()), Ok(()));
    let older = Header { version: 2, ..Header::whole() };
    assert_eq!(said_of(&older.bytes()), Ok(()));
}

#[test]
fn hostile_headers_say_what_is_wrong() {
    let metadata = |key: &'static str, kind: u32, value: Vec<u8>| broken(|header| header.set(key, kind, value.clone()));
    let number = |key: &'static str, value: u32| metadata(key, 4, value.to_le_bytes().to_vec());
    let tensor = |change: &dyn Fn(&mut (String, Vec<u64>, u32, u64))| broken(|header| change(&mut header.tensors[1]));
    let counts = |tensors: u64, entries: u64| {
        let mut bytes = Header::whole().bytes();
        bytes[8..16].copy_from_slice(&tensors.to_le_bytes());
        bytes[16..24].copy_from_slice(&entries.to_le_bytes());
        said_of(&bytes).unwrap_err()
    };
    let said = [
        said_of(b"").unwrap_err(),
        said_of(b"GGU").unwrap_err(),
        said_of(b"<!DOCTYPE html>").unwrap_err(),
        said_of(b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 988097824\n").unwrap_err(),
        broken(|header| header.version = 1),
        broken(|header| header.version = 3_u32.swap_bytes()),
        broken(|header| header.version = 77),
        counts(u64::MAX, 8),
        counts(14, u64::MAX),
        counts(14, 0),
        counts(0, 8),
        counts(13, 8),
        broken(|header| header.metadata.push(header.metadata[1].clone())),
        metadata("a", 99, vec![]),
        metadata("a", 8, u64::MAX.to_le_bytes().to_vec()),
        metadata("a", 9, list(9, 1, &list(4, 0, &[]))),
        metadata("a", 9, list(10, u64::MAX, &[])),
        metadata("a", 9, list(8, u64::MAX, &[0; 64])),
        metadata("a", 9, list(13, 1, &[0; 8])),
        broken(|header| header.set(&"k".repeat(70_000), 7, vec![1])),
        number("general.alignment", 0),
        number("general.alignment", 4),
        number("general.alignment", 48),
        number("general.alignment", u32::MAX),
        metadata("general.architecture", 8, text("llama")),
        broken(|header| header.metadata.retain(|(key, ..)| key != "general.architecture")),
        metadata("general.architecture", 4, vec![1; 4]),
        number("qwen2.block_count", 2),
        number("qwen2.block_count", 0),
        number("qwen2.block_count", u32::MAX),
        metadata("qwen2.block_count", 5, (-1_i32).to_le_bytes().to_vec()),
        metadata("qwen2.block_count", 9, list(4, 1, &[0; 4])),
        metadata("qwen2.embedding_length", 10, u64::MAX.to_le_bytes().to_vec()),
        number("qwen2.attention.head_count", 0),
        number("qwen2.attention.head_count_kv", 3),
        number("qwen2.feed_forward_length", 5),
        number("qwen2.rope.dimension_count", 2),
        metadata("qwen2.rope.freq_base", 6, f32::NAN.to_le_bytes().to_vec()),
        metadata("qwen2.rope.scaling.type", 8, text("linear")),
        metadata("qwen2.rope.scaling.type", 8, text("yarn")),
        number("split.count", 3),
        number("split.tensors.count", 15),
        tensor(&|tensor| tensor.0 = "x".repeat(64)),
        tensor(&|tensor| "token_embd.weight".clone_into(&mut tensor.0)),
        tensor(&|tensor| "blk.0.attn_q.scale".clone_into(&mut tensor.0)),
        tensor(&|tensor| tensor.1 = vec![]),
        tensor(&|tensor| tensor.1 = vec![4, 4, 1, 1, 1]),
        tensor(&|tensor| tensor.1 = vec![4, 0]),
        tensor(&|tensor| tensor.1 = vec![1 << 40, 1 << 40]),
        tensor(&|tensor| tensor.1 = vec![4, 2]),
        tensor(&|tensor| tensor.2 = 2),
        tensor(&|tensor| tensor.2 = 20),
        tensor(&|tensor| tensor.2 = 15),
        tensor(&|tensor| tensor.2 = 4_000_000_000),
        tensor(&|tensor| tensor.3 += 4),
        tensor(&|tensor| tensor.3 = u64::MAX & !31),
        tensor(&|tensor| tensor.3 = 1 << 20),
        tensor(&|tensor| tensor.3 = 0),
        broken(|header| header.add("rope_freqs.weight", &[4])),
        broken(|header| drop(header.tensors.pop())),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// Wherever it ends, and whatever byte is another: never a panic, and every error is one sentence.
#[test]
fn no_change_of_a_byte_is_a_panic() {
    let whole = Header::whole().bytes();
    // The last tensor's padding is nobody's.
    for end in 0..whole.len() - 16 {
        let said = said_of(&whole[..end]).unwrap_err();
        assert!(said.starts_with("weights: DIR/model.gguf ") && !said.contains('\n'), "{end}: {said}");
    }
    for place in 0..whole.len() - 512 {
        for bit in [0, 5, 7] {
            let mut changed = whole.clone();
            changed[place] ^= 1 << bit;
            if let Err(said) = said_of(&changed) {
                assert!(!said.contains('\n'), "{place}: {said}");
            }
        }
    }
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
