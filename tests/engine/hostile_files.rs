//! Folders of models that somebody made to do harm, or by accident: every one ends soon, in one sentence of plain words.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::quantized::quantized;
use super::*;

/// A copy of a fixture, which a test can break.
fn copy(of: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(of.join(file), directory.path().join(file)).unwrap();
    }
    directory
}

/// What loading says of the directory, in words of the field.
fn said_of(directory: &Path, weights: WeightsSource) -> String {
    let said = error(&ModelSpec { weights, ..spec(directory, Dtype::F32, 8) }, None);
    let words = ["invalid type", "invalid value", "usize", "os error", "panicked", "\n", "Serde", "serde"];
    assert!(words.iter().all(|word| !said.contains(word)) && said.len() < 1000, "{said}");
    said.replace(&directory.display().to_string(), "DIR")
}

/// What is said of a fixture after a change.
fn broken(of: &Path, change: impl Fn(&Path)) -> String {
    let directory = copy(of);
    change(directory.path());
    said_of(directory.path(), WeightsSource::Local)
}

fn replaced(directory: &Path, file: &str) -> PathBuf {
    let path = directory.join(file);
    fs::remove_file(&path).unwrap();
    path
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Pipes and devices would be read for ever, and a file of gigabytes for long.
#[test]
fn only_regular_files_of_sensible_sizes_are_read() {
    let untied = fixture("untied");
    let index = "model.safetensors.index.json";
    let named = r#"{"weight_map": {"lm_head.weight": "part.safetensors"}}"#;
    let said = [
        broken(&untied, |directory| pipe(&replaced(directory, "config.json"))),
        broken(&untied, |directory| symlink("/dev/zero", replaced(directory, "config.json")).unwrap()),
        broken(&untied, |directory| symlink("nowhere", replaced(directory, "config.json")).unwrap()),
        broken(&untied, |directory| fs::create_dir(replaced(directory, "config.json")).unwrap()),
        broken(&untied, |directory| {
            let file = fs::File::create(directory.join("config.json")).unwrap();
            file.set_len(5 << 30).unwrap();
        }),
        broken(&untied, |directory| pipe(&replaced(directory, "model.safetensors"))),
        broken(&untied, |directory| symlink("/dev/zero", replaced(directory, "model.safetensors")).unwrap()),
        broken(&untied, |directory| fs::create_dir(replaced(directory, "model.safetensors")).unwrap()),
        broken(&untied, |directory| pipe(&directory.join(index))),
        broken(&untied, |directory| symlink("/dev/zero", directory.join(index)).unwrap()),
        broken(&untied, |directory| {
            fs::write(directory.join(index), named).unwrap();
            pipe(&directory.join("part.safetensors"));
        }),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn pipes_in_place_of_gguf_files_are_no_files() {
    let directory = tempfile::tempdir().unwrap();
    pipe(&directory.path().join("tiny-q8_0.gguf"));
    let said = said_of(&directory.path().join("tiny-q8_0.gguf"), WeightsSource::Local);
    assert_eq!(said, "DIR: there is no such file");
    pipe(&directory.path().join("config.json"));
    let said = said_of(directory.path(), WeightsSource::Local);
    assert_eq!(said, "DIR/tiny-q8_0.gguf: there is no such file");
}

#[test]
fn a_field_of_another_type_is_said_by_its_key() {
    let written = |from: &str, to: &str| {
        broken(&quantized("gptq-int4"), |directory| {
            let path = directory.join("config.json");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        })
    };
    let hidden = |value: &str| written("\"hidden_size\": 256", &format!("\"hidden_size\": {value}"));
    let bits = |value: &str| written("\"bits\": 4", &format!("\"bits\": {value}"));
    let group = |value: &str| written("\"group_size\": 128", &format!("\"group_size\": {value}"));
    let said = [
        hidden("{}"),
        hidden("\"896\""),
        hidden("256.5"),
        hidden("-256"),
        hidden("1e400"),
        hidden("256, \"hidden_size\": 256"),
        written("\"hidden_act\": \"silu\"", "\"hidden_act\": [\"silu\"]"),
        written("\"tie_word_embeddings\": ", "\"tie_word_embeddings\": 0, \"was\": "),
        written("\"quantization_config\": {", "\"quantization_config\": 4, \"was\": {"),
        bits("\"4\""),
        bits("[4]"),
        bits("-4"),
        group("\"all\""),
        group("0"),
        group("-2"),
        group("12"),
        group("4611686018427387904"),
        group("4611686018427387896"),
        written("{", "[{"),
        written("{", ""),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// A file of this header, with its length or another one before it, and as many bytes of data.
fn safetensors(length: Option<u64>, header: &str, data: usize) -> Vec<u8> {
    let length = length.unwrap_or(header.len() as u64);
    [&length.to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

#[test]
fn a_header_that_lies_is_said_in_words() {
    let file = |bytes: Vec<u8>| {
        broken(&fixture("untied"), |directory| fs::write(directory.join("model.safetensors"), &bytes).unwrap())
    };
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        format!("\"a\": {{\"dtype\": {dtype}, \"shape\": {shape}, \"data_offsets\": {offsets}}}")
    };
    let of = |tensors: &[String], data: usize| file(safetensors(None, &format!("{{{}}}", tensors.join(", ")), data));
    let one = |dtype: &str, shape: &str, offsets: &str| of(&[tensor(dtype, shape, offsets)], 16);
    let b = |offsets: &str| tensor("\"F32\"", "[2]", offsets).replace("\"a\"", "\"b\"");
    let a = || tensor("\"F32\"", "[2]", "[0, 8]");
    let said = [
        file(safetensors(Some(1 << 63), "{}", 0)),
        file(safetensors(Some(u64::MAX), "{}", 0)),
        file(safetensors(Some(3), "{}", 0)),
        file(safetensors(Some(0), "", 0)),
        file(safetensors(None, "{]", 0)),
        file(safetensors(None, "[]", 0)),
        file(safetensors(None, "{\"a\": 5}", 0)),
        file(safetensors(None, "{\"a\": {}}", 0)),
        file(safetensors(None, &"{\"a\": ".repeat(200), 0)),
        file(safetensors(None, "{}", 0)),
        one("\"F32\"", "[4]", "[0, 12]"),
        one("\"F31\"", "[4]", "[0, 16]"),
        one("7", "[4]", "[0, 16]"),
        one("\"F32\"", "[-4]", "[0, 16]"),
        one("\"F32\"", "4", "[0, 16]"),
        one("\"F32\"", "[4]", "[16, 0]"),
        one("\"F32\"", "[4]", "[0]"),
        one("\"F32\"", "[4]", "[0, 1e3]"),
        one("\"F32\"", "[4294967296, 4294967296, 4]", "[0, 16]"),
        one("\"F32\"", "[4611686018427387908]", "[0, 16]"),
        one("\"F32\"", "[4]", "[18446744073709551600, 18446744073709551616]"),
        one("\"F4\"", "[3]", "[0, 1]"),
        of(&[tensor("\"F32\"", "[8]", "[0, 32]")], 16),
        of(&[a(), b("[4, 12]")], 16),
        of(&[a(), b("[0, 8]")], 16),
        of(&[a(), b("[12, 20]")], 20),
        of(&[a()], 16),
        of(&[a(), a()], 8),
        of(&[a(), "\"__metadata__\": 3".to_owned()], 8),
        one(&format!("\"{}\"", "F".repeat(9000)), "[4]", "[0, 16]"),
        one("\"F32\"", &format!("[{}1]", "1, ".repeat(9000)), "[0, 4]"),
        of(&[tensor("\"F32\"", "[4]", "[0, 16]").replace("\"a\"", &format!("\"{}\"", "a".repeat(9000)))], 16),
        of(&[tensor("5", "[4]", "[0, 16]").replace("\"a\"", "\"a\\n::error::\"")], 16),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// Parts of one model have each tensor once.
#[test]
fn a_tensor_in_two_parts_is_said() {
    let said = broken(&fixture("untied"), |directory| {
        let whole = directory.join("model.safetensors");
        for part in ["one.safetensors", "two.safetensors"] {
            fs::copy(&whole, directory.join(part)).unwrap();
        }
        let map = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#;
        fs::write(directory.join("model.safetensors.index.json"), map).unwrap();
    });
    assert!(
        said.ends_with("is in DIR/one.safetensors and in DIR/two.safetensors; keep the files of one model"),
        "{said}"
    );
}

/// Whatever a byte of a header becomes, and wherever the file ends: one sentence, or a model.
#[test]
fn no_change_of_a_safetensors_header_is_a_panic() {
    let directory = copy(&quantized("awq"));
    let path = directory.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let look = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        if let Err(error) = Candle::load(&spec(directory.path(), Dtype::F32, 4), &mut |_, _| {}) {
            let said = error.in_one_line();
            assert!(!said.contains('\n') && !said.contains("panicked"), "{said}");
        }
    };
    for place in (0..header.min(1500)).step_by(3) {
        let mut changed = whole.clone();
        changed[place] ^= 1 << (place % 7);
        look(&changed);
    }
    for end in (0..header).step_by(97) {
        look(&whole[..end]);
    }
}

/// Integers can't be wrong, but what they stand for can be no number.
#[test]
fn zero_points_of_all_bits_load_and_scales_that_are_no_numbers_are_said() {
    let with = |part: &str, fill: u8| {
        let directory = copy(&quantized("gptq-int4-asymmetric"));
        let path = directory.path().join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..start]).unwrap();
        let offsets = &header[format!("model.layers.0.mlp.up_proj.{part}")]["data_offsets"];
        let [begin, end] = [0, 1].map(|at| start + offsets[at].as_u64().unwrap() as usize);
        bytes[begin..end].fill(fill);
        fs::write(path, bytes).unwrap();
        directory
    };
    let zeros = with("qzeros", 0xff);
    assert!(load(&spec(zeros.path(), Dtype::F32, 8)).generate(&[1, 2], 2).is_ok());
    let scales = with("scales", 0xff);
    let said = load(&spec(scales.path(), Dtype::F32, 8)).generate(&[1, 2], 2).unwrap_err().in_one_line();
    assert!(said.contains("are not numbers"), "{said}");
}

/// A shape that no machine holds is refused before anything is made for it.
#[test]
fn a_model_that_no_memory_holds_is_refused_before_it_is_made() {
    let directory = copy(&fixture("untied"));
    let path = directory.path().join("config.json");
    let config = fs::read_to_string(&path).unwrap();
    let huge = config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 4096");
    let huge = huge.replace("\"intermediate_size\": 160", "\"intermediate_size\": 16777216");
    fs::write(&path, huge).unwrap();
    let model = directory.path().display().to_string();
    let args = ["--prompt-ids", "1", "--tokens", "1", "--device", "cpu", "--weights", "generated"];
    let (exit, out, err) = generate(&[&[model.as_str()][..], &args].concat());
    assert_eq!((exit, out.as_str()), (2, ""), "{err}");
    assert!(err.contains(" with 2 tokens needs about ") && err.contains("but the device has"), "{err}");
    assert!(err.trim_end().ends_with("hint: use a shorter context or a smaller model"), "{err}");
}
