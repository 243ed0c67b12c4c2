//! The files of a model: broken, foreign, or with weights that are no numbers.

use bench_diff::error::sentence;

use super::*;

#[test]
fn broken_directories_say_what_is_broken() {
    let complain = |change: &dyn Fn(&Path)| {
        let directory = tempfile::tempdir().unwrap();
        for file in ["config.json", "model.safetensors"] {
            std::fs::copy(fixture("untied").join(file), directory.path().join(file)).unwrap();
        }
        change(directory.path());
        error(&spec(directory.path(), Dtype::F32, 8), None).replace(&directory.path().display().to_string(), "DIR")
    };
    let edit = |directory: &Path, from: &str, to: &str| {
        let path = directory.join("config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(path, text.replace(from, to)).unwrap();
    };
    let index = |directory: &Path, text: &str| {
        std::fs::write(directory.join("model.safetensors.index.json"), text).unwrap();
    };
    let said = [
        complain(&|directory| std::fs::remove_file(directory.join("config.json")).unwrap()),
        complain(&|directory| std::fs::remove_file(directory.join("model.safetensors")).unwrap()),
        complain(&|directory| std::fs::write(directory.join("model.safetensors"), "no").unwrap()),
        complain(&|directory| edit(directory, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3")),
        complain(&|directory| edit(directory, "\"intermediate_size\": 160", "\"intermediate_size\": 161")),
        complain(&|directory| edit(directory, "\"hidden_size\": 64", "\"hidden_size\": -64")),
        complain(&|directory| edit(directory, "\"num_attention_heads\": 4", "\"num_attention_heads\": 0")),
        complain(&|directory| edit(directory, "\"vocab_size\": 251", "\"vocab_size\": 9999999999999999999")),
        complain(&|directory| edit(directory, "\"full_attention\"", "\"sliding_attention\"")),
        complain(&|directory| index(directory, r#"{"weight_map": {"lm_head.weight": "../model.safetensors"}}"#)),
        complain(&|directory| index(directory, r#"{"weight_map": {"lm_head.weight": "absent.safetensors"}}"#)),
        complain(&|directory| index(directory, "[]")),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// What people have in place of safetensors says what it is and what to do.
#[test]
fn weights_that_everybody_recognises() {
    let whole = std::fs::read(fixture("untied").join("model.safetensors")).unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 988097824\n";
    let complain = |name: &str, content: &[u8]| {
        let directory = tempfile::tempdir().unwrap();
        std::fs::copy(fixture("untied").join("config.json"), directory.path().join("config.json")).unwrap();
        std::fs::write(directory.path().join(name), content).unwrap();
        error(&spec(directory.path(), Dtype::F32, 8), None).replace(&directory.path().display().to_string(), "DIR")
    };
    let said = [
        complain("model.safetensors", pointer.as_bytes()),
        complain("model.safetensors", b"<!DOCTYPE html><p>Sign in"),
        complain("model.safetensors", &whole[..whole.len() - 1]),
        complain("model.safetensors", &whole[..20]),
        complain("model.safetensors", &[0xff; 64]),
        complain("model.safetensors", b""),
        complain("pytorch_model.bin", b"PK"),
        complain("qwen2.5-0.5b-q4_0.gguf", b"GGUF"),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// As transformers saves it: a field under its name and under its older one.
#[test]
fn a_field_under_two_names_may_stand_twice_if_it_says_the_same() {
    let written = |field: &str, from: &str, to: &str| {
        let directory = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(fixture("yarn").join("config.json")).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(directory.path().join("config.json"), text.replacen(from, to, 1)).unwrap();
        let spec = ModelSpec { weights: WeightsSource::Generated, ..spec(directory.path(), Dtype::F32, 8) };
        Candle::load(&spec, &mut |_, _| {}).map(drop).map_err(|error| {
            let error = sentence(&error);
            assert!(error.contains(field));
            error.replace(&directory.path().display().to_string(), "DIR")
        })
    };
    let rope = "\"type\": \"yarn\"";
    assert_eq!(written("", rope, "\"rope_type\": \"yarn\", \"type\": \"yarn\""), Ok(()));
    assert_eq!(written("", rope, "\"rope_type\": \"yarn\""), Ok(()));
    let said = "DIR/config.json: rope_type is `yarn` and type `linear`; they must say the same";
    assert_eq!(written("rope_type", rope, "\"rope_type\": \"yarn\", \"type\": \"linear\""), Err(said.to_owned()));
    let dtype = "\"torch_dtype\": \"bfloat16\"";
    assert!(written("torch_dtype", dtype, "\"dtype\": \"float32\", \"torch_dtype\": \"bfloat16\"").is_err());
}

/// A fixture with a NaN among its weights.
pub fn not_a_number(name: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(fixture(name).join("config.json"), directory.path().join("config.json")).unwrap();
    let mut bytes = std::fs::read(fixture(name).join("model.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let tensors: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let tensor = &tensors["model.layers.0.mlp.up_proj.weight"];
    let start = 8 + header + tensor["data_offsets"][0].as_u64().unwrap() as usize;
    // All bits set are a NaN of every float type.
    bytes[start..start + 4].fill(0xff);
    std::fs::write(directory.path().join("model.safetensors"), bytes).unwrap();
    directory
}

/// The files of some tied models have the head beside the embedding. What config.json says decides, and a difference is told.
#[test]
fn a_tied_head_that_is_another_matrix_is_told() {
    let with_head = |change: u8| {
        let directory = tempfile::tempdir().unwrap();
        std::fs::copy(fixture("tied").join("config.json"), directory.path().join("config.json")).unwrap();
        let bytes = std::fs::read(fixture("tied").join("model.safetensors")).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut tensors: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
        let embedding = tensors["model.embed_tokens.weight"].clone();
        let [begin, end] = [0, 1].map(|at| embedding["data_offsets"][at].as_u64().unwrap() as usize);
        let data = &bytes[8 + header..];
        let mut head = data[begin..end].to_vec();
        head[0] ^= change;
        tensors["lm_head.weight"] = embedding;
        tensors["lm_head.weight"]["data_offsets"] = serde_json::json!([data.len(), data.len() + head.len()]);
        let text = tensors.to_string();
        let whole = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), data, &head].concat();
        std::fs::write(directory.path().join("model.safetensors"), whole).unwrap();
        directory
    };
    let warnings = |directory: &Path| load(&spec(directory, Dtype::F32, 8)).loaded().warnings.join(", ");
    assert_eq!(warnings(with_head(0).path()), "");
    let said =
        "lm_head.weight isn't the embedding and wasn't used, as config.json says that it is (tie_word_embeddings)";
    assert_eq!(warnings(with_head(1).path()), said);
}

/// What a hub has says nothing of a model that is here.
#[test]
fn a_model_that_is_here_comes_from_no_hub() {
    let directory = fixture("untied").display().to_string();
    let refused = |more: &[&str]| {
        let one_token = [directory.as_str(), "--prompt-ids", "1", "--tokens", "1", "--device", "cpu"];
        let (code, out, err) = generate(&[&one_token, more].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{more:?}: {err}");
        err.replace(&directory, "DIR")
    };
    let said = "error: DIR: the hub has no weights for it: it is here\n  hint: --weights local or generated\n";
    assert_eq!(refused(&["--weights", "hub"]), said);
    for [flag, value] in [["--revision", "main"], ["--hub", "modelscope"]] {
        let said = format!("error: {flag}: the weights of DIR don't come from a hub\n  hint: leave it out\n");
        assert_eq!(refused(&[flag, value]), said);
    }
}

#[test]
fn a_generation_of_no_numbers_is_no_measurement() {
    let directory = not_a_number("untied");
    for implementation in ["plain", "stock"] {
        let spec = ModelSpec { implementation: implementation.into(), ..spec(directory.path(), Dtype::F32, 8) };
        let error = load(&spec).generate(&[1, 2], 3).unwrap_err().to_string();
        assert!(error.contains("the logits of step 3 are not numbers"), "{error}");
    }
}
