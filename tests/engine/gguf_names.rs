//! What a GGUF model is called, and which files are taken to be it.

use bench_diff::engine::ENGINES;

use super::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantized/gguf")
}

/// The model's name in cases, if its file is called `tiny.gguf`.
fn named(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tiny.gguf");
    std::fs::write(&path, bytes).unwrap();
    ENGINES[0].shape("tiny", Some(&path)).unwrap().unwrap().id
}

/// The file with another number at `general.file_type`, which stands behind the key and its type.
fn of_type(file: &str, number: u32) -> Vec<u8> {
    const KEY: &[u8] = b"general.file_type";
    let mut bytes = std::fs::read(fixtures().join(file)).unwrap();
    let at = bytes.windows(KEY.len()).position(|window| window == KEY).unwrap() + KEY.len() + 4;
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    bytes
}

#[test]
fn llama_cpps_word_is_taken_where_the_tensors_are_in_its_types() {
    for file in ["narrow-q4_k_m", "narrow-q6_k", "small-q4_1", "small-q5_0", "small-q8_0", "wide-q2_k", "wide-q3_k_m"]
        .into_iter()
        .chain(["wide-q4_k_m", "wide-q5_k_s", "small-bf16", "small-f16", "yarn-f32"])
    {
        let bytes = std::fs::read(fixtures().join(format!("{file}.gguf"))).unwrap();
        let quantization = file.split_once('-').unwrap().1;
        assert_eq!(named(&bytes), format!("tiny:{quantization}"));
    }
}

/// A case that says q4_0 and measures Q8_0 would be compared with what is no such thing.
#[test]
fn a_file_type_that_its_tensors_arent_in_is_not_believed() {
    assert_eq!(named(&of_type("small-q8_0.gguf", 2)), "tiny:q8_0");
    assert_eq!(named(&of_type("wide-q4_k_m.gguf", 18)), "tiny:q4_k");
    assert_eq!(named(&of_type("small-q4_0.gguf", 1)), "tiny:q4_0");
    assert_eq!(named(&of_type("small-q4_0.gguf", 4_000_000_000)), "tiny:q4_0");
}

/// Naming the only file of a directory is naming the directory.
#[test]
fn a_config_beside_a_named_file_must_agree() {
    let directory = tempfile::tempdir().unwrap();
    let copy = |from: &str, to: &str| {
        std::fs::copy(fixtures().join(from), directory.path().join(to)).unwrap();
    };
    copy("small-q4_0.gguf", "a-q4_0.gguf");
    copy("../../qwen2/untied/config.json", "config.json");
    let said = |path: PathBuf| {
        error(&spec(&path, Dtype::F32, 8), None).replace(&directory.path().display().to_string(), "DIR")
    };
    let of_file = said(directory.path().join("a-q4_0.gguf"));
    assert!(of_file.contains("intermediate_size = 96, and config.json says 160"), "{of_file}");
    assert_eq!(of_file, said(directory.path().to_owned()));
    // As some hubs have it.
    let whole = std::fs::read(directory.path().join("config.json")).unwrap();
    std::fs::write(directory.path().join("config.json"), "{\"model_type\": \"qwen2\"}").unwrap();
    let named = spec(&directory.path().join("a-q4_0.gguf"), Dtype::F32, 8);
    assert!(Candle::load(&named, &mut |_, _| {}).is_ok());
    std::fs::write(directory.path().join("config.json"), whole).unwrap();
    // Of several models in one directory, it may be anybody's.
    copy("small-q8_0.gguf", "b-q8_0.gguf");
    assert!(Candle::load(&spec(&directory.path().join("a-q4_0.gguf"), Dtype::F32, 8), &mut |_, _| {}).is_ok());
}

#[test]
fn of_two_kinds_of_weights_it_is_said_which_were_loaded() {
    let directory = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture("untied").join(file), directory.path().join(file)).unwrap();
    }
    std::fs::copy(fixtures().join("small-q4_0.gguf"), directory.path().join("a.gguf")).unwrap();
    let model = load(&spec(directory.path(), Dtype::F32, 8));
    let warnings = model.loaded().warnings.join("\n").replace(&directory.path().display().to_string(), "DIR");
    let said = "DIR has GGUF files as well: its safetensors were loaded; name one of the files to load that";
    assert_eq!(warnings, said);
}

/// As in other commands: the id is the collection's, also without its owner.
#[test]
fn an_id_may_leave_out_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    command.args([
        "generate",
        "Qwen2.5-0.5B-Instruct-GGUF:Q4_0",
        "--prompt-ids",
        "1",
        "--tokens",
        "1",
        "--device",
        "cpu",
    ]);
    let home = [("HF_HUB_OFFLINE", "1".into()), ("HF_HOME", directory.path().as_os_str().to_owned())];
    let home = home.into_iter().chain([("MODELSCOPE_CACHE", directory.path().as_os_str().to_owned())]);
    let output = command.envs(home).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_0 is not in the cache of any hub, and HF_HUB_OFFLINE is set";
    assert!(output.status.code() == Some(2) && said.contains(expected), "{said}");
}
