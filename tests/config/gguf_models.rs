//! GGUF models in the configuration.

use super::*;

/// A quantization is part of the name of a GGUF model's cases, whatever names it: the id, the file, or what is in the file.
#[test]
fn a_gguf_model_is_named_with_its_quantization() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantized/gguf");
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("tiny")).unwrap();
    for (from, to) in
        [("small-q8_0.gguf", "small-Q8_0.gguf"), ("small-q4_1.gguf", "other.gguf"), ("wide-q4_k_m.gguf", "tiny/a.gguf")]
    {
        std::fs::copy(fixtures.join(from), directory.path().join(to)).unwrap();
    }
    let models = r#"["./small-Q8_0.gguf", "other.gguf", "tiny", "Qwen2.5-7B-Instruct-GGUF:Q4_K_M"]"#;
    let config = format!(
        "device = \"cpu\"\ncontext-lengths = [4]\ngenerated-length = 4\nweights = \"generated\"\nsuites.a.models = {models}\n"
    );
    std::fs::write(directory.path().join("bench-diff.toml"), config).unwrap();
    let (exit, out, err) = run(directory.path(), &["plan", "--format", "json"]);
    assert_eq!(exit, 0, "{err}");
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    let cases = plan["cases"].as_array().unwrap();
    let ids: Vec<_> = cases.iter().map(|case| case["case"]["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "small-Q8_0.gguf/gguf/4",
            "other.gguf:q4_1/gguf/4",
            "tiny:q4_k_m/gguf/4",
            "Qwen2.5-7B-Instruct-GGUF:q4_k_m/gguf/4"
        ]
    );
    // 152064 rows of the embedding in f32, and 7.07e9 weights in Q4_K, Q5_K and Q6_K.
    let bytes = cases[3]["memory"]["weights"].as_u64().unwrap();
    assert!((6.3e9..6.6e9).contains(&(bytes as f64)), "{bytes}");
}

#[test]
fn what_no_gguf_file_is_is_said() {
    let one =
        |model: &str| error_of(&format!("device = \"cpu\"\nweights = \"generated\"\nsuites.a.models = [\"{model}\"]"));
    let said = [
        one("Qwen/Qwen2.5-7B-Instruct-GGUF"),
        one("Qwen/Qwen2.5-7B-Instruct-GGUF:iq4_xs"),
        one("Qwen/Qwen2.5-7B-Instruct:q4_k_m"),
        one("./absent-q4_k_m.gguf"),
    ];
    insta::assert_snapshot!(said.concat());
}
