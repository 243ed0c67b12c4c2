//! Models in folders of one's own, as `plan` sees them before anything is loaded.

use super::*;

/// A folder with a fixture's config.json and this in place of its weights.
fn model(weights: &[u8]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen2/untied");
    std::fs::create_dir(directory.path().join("tiny")).unwrap();
    std::fs::copy(fixture.join("config.json"), directory.path().join("tiny/config.json")).unwrap();
    if !weights.is_empty() {
        std::fs::write(directory.path().join("tiny/model.safetensors"), weights).unwrap();
    }
    directory
}

fn whole() -> Vec<u8> {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen2/untied");
    std::fs::read(fixture.join("model.safetensors")).unwrap()
}

fn plan(directory: &Path, args: &[&str]) -> (i32, String, String) {
    let lengths =
        ["--context-lengths", "1,4", "--generated-length", "4", "--device", "cpu", "--prompt-ids", "ids.json"];
    std::fs::write(directory.join("ids.json"), "[7]").unwrap();
    run(directory, &[&["plan", "--model", "./tiny"][..], &lengths, args].concat())
}

/// What a run would find out after minutes of queueing.
#[test]
fn broken_weights_are_seen_by_the_plan() {
    let broken = &whole()[..5000];
    let (exit, out, err) = plan(model(broken).path(), &[]);
    assert_eq!((exit, err.as_str()), (1, ""), "{out}");
    assert!(
        out.contains("won't run") && out.contains("model.safetensors is cut off: it has 5000 of 231880 bytes"),
        "{out}"
    );
    assert!(out.contains("0 of 2 cases will run"), "{out}");
    let (exit, out, _) = plan(model(&whole()).path(), &[]);
    assert_eq!(exit, 0, "{out}");
}

/// Nor what loading would refuse: layers that are quantized in different ways can't be made.
#[test]
fn weights_that_cannot_be_generated_are_seen_by_the_plan() {
    let directory = model(b"");
    let path = directory.path().join("tiny/config.json");
    let mut config: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config["quantization_config"] = serde_json::json!({
        "quant_method": "awq", "bits": 4, "group_size": 8, "zero_point": true, "version": "gemm",
        "modules_to_not_convert": ["model.layers.0"],
    });
    std::fs::write(&path, config.to_string()).unwrap();
    let (exit, out, _) = plan(directory.path(), &["--weights", "generated"]);
    let why = "won't run: tiny/awq/1 and 1 more: weights can't be generated for a model whose layers are quantized in different ways; \
               use its files: `weights = \"local\"`";
    assert!(exit == 1 && out.contains(why), "{exit}: {out}");
}

/// Whoever names files of their own means them; without files, weights are generated.
#[test]
fn without_a_configuration_the_files_of_a_directory_are_measured() {
    let weights = |directory: &Path, args: &[&str]| {
        let (exit, out, err) = plan(directory, &[&["--format", "json"], args].concat());
        assert_eq!(exit, 0, "{out}{err}");
        let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
        plan["cases"][0]["case"]["weights"].as_str().unwrap().to_owned()
    };
    let (local, bare) = (model(&whole()), model(b""));
    assert_eq!(weights(local.path(), &[]), "local");
    assert_eq!(weights(local.path(), &["--weights", "generated"]), "generated");
    assert_eq!(weights(bare.path(), &[]), "generated");
    // A configuration is somebody's word for it.
    std::fs::write(local.path().join("bench-diff.toml"), "weights = \"generated\"\nsuites.a.models = [\"./tiny\"]\n")
        .unwrap();
    assert_eq!(weights(local.path(), &[]), "generated");
    let run_args = ["run", "--model", "./tiny", "--device", "cpu", "--context-lengths", "1", "--generated-length", "2"];
    let measured = ["--runs", "1", "--prompt-ids", "ids.json", "--warmup-length", "2"];
    let (exit, _, err) = run(local.path(), &[&run_args[..], &measured].concat());
    assert_eq!(exit, 0, "{err}");
    let note = "note: the weights of ./tiny are generated, as the configuration says; --weights local takes its files";
    assert!(err.contains(note), "{err}");
}

#[test]
fn a_plan_of_which_nothing_can_run_says_so_with_its_exit_code() {
    let huge = ["plan", "--model", "Qwen/Qwen2.5-72B-Instruct", "--device", "cuda", "--device-memory", "80"];
    let directory = tempfile::tempdir().unwrap();
    let (exit, out, _) = run(directory.path(), &huge);
    assert!(exit == 1 && out.contains("0 of 2 cases will run"), "{exit}: {out}");
    let (exit, ..) = run(directory.path(), &[&huge[..5], &["--device-memory", "800"]].concat());
    assert_eq!(exit, 0);
}

/// A case that `stock` can't hold takes nothing from one that it can.
#[test]
fn what_stock_cannot_hold_is_seen_by_the_plan() {
    let directory = model(b"");
    let path = directory.path().join("tiny/config.json");
    let mut config: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config["max_position_embeddings"] = 7.into();
    std::fs::write(&path, config.to_string()).unwrap();
    let stock = ["--weights", "generated", "--implementation", "stock"];
    let (exit, out, _) = plan(directory.path(), &stock);
    let why =
        "won't run: tiny/f32/4: `stock` can't hold 8 tokens: its position encoding ends at max_position_embeddings (7)";
    assert!(exit == 0 && out.contains(why) && out.contains("1 of 2 cases will run"), "{exit}: {out}");
    let lengths =
        ["--model", "./tiny", "--context-lengths", "1,4", "--generated-length", "4", "--prompt-ids", "ids.json"];
    let few = ["--device", "cpu", "--runs", "1", "--warmup-length", "2"];
    let (exit, out, err) = run(directory.path(), &[&["run"][..], &lengths, &few, &stock].concat());
    assert!(exit == 0 && err.contains("tiny/f32/1  decode"), "{exit}: {out}{err}");
}
