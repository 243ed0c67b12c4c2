//! Models of one name: measured, and compared by what they are.

use std::fs;
use std::process::Command;

use super::*;

/// Runs the program in `directory`: exit code, and all that it says.
fn bench_diff(directory: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    let output = command.args(args).current_dir(directory).env("TMPDIR", directory).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code().unwrap(), said)
}

/// Measures `model` twice a few tokens long, into a results file of that name.
fn measure(directory: &Path, model: &str, results: &str) -> serde_json::Value {
    let lengths = ["--context-lengths", "4", "--generated-length", "3", "--warmup-length", "2"];
    let how = ["--device", "cpu", "--runs", "2", "--prompt-ids", "ids.json", "--output", results];
    let (exit, said) = bench_diff(directory, &[&["run", "--model", model], &lengths[..], &how].concat());
    assert_eq!(exit, 0, "{said}");
    serde_json::from_str(&fs::read_to_string(directory.join(results)).unwrap()).unwrap()
}

/// A directory with a fixture in each of the folders, and the ids of a prompt.
fn models(of: &[(&str, PathBuf)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("ids.json"), "[7, 8]").unwrap();
    for (folder, from) in of {
        let folder = directory.path().join(folder);
        fs::create_dir_all(&folder).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(from.join(file), folder.join(file)).unwrap();
        }
    }
    directory
}

#[test]
fn folders_of_one_name_are_one_model_only_if_their_shapes_are() {
    let directory = models(&["a/tiny", "b/tiny", "c/tiny"].map(|folder| (folder, fixture("untied"))));
    let place = directory.path();
    // Another number in the same shape, and another shape without any files.
    let file = place.join("b/tiny/model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let config = fs::read_to_string(place.join("c/tiny/config.json")).unwrap();
    let config = config.replace("\"intermediate_size\": 160", "\"intermediate_size\": 96");
    fs::write(place.join("c/tiny/config.json"), config).unwrap();
    fs::write(place.join("bench-diff.toml"), "weights = \"generated\"\nsuites.cpu.models = [\"./c/tiny\"]\n").unwrap();

    let a = measure(place, "./a/tiny", "a.json");
    let identity = &a["cases"][0]["identity"];
    assert_eq!(
        (&identity["shape"]["num_hidden_layers"], &identity["shape"]["packed_matrices"]),
        (&"2".into(), &"none".into())
    );
    assert!(identity["weights_sha256"].is_null(), "generated: {identity}");
    let c = measure(place, "./c/tiny", "c.json");
    assert_eq!(a["cases"][0]["id"], c["cases"][0]["id"]);
    let (exit, said) = bench_diff(place, &["compare", "a.json", "c.json"]);
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("intermediate_size of the model 160 → 96"), "{said}");

    fs::remove_file(place.join("bench-diff.toml")).unwrap();
    let [a, b] = ["a", "b"].map(|side| measure(place, &format!("./{side}/tiny"), &format!("{side}-local.json")));
    let weights = |results: &serde_json::Value| results["cases"][0]["identity"]["weights_sha256"].clone();
    assert!(weights(&a).is_string() && weights(&a) != weights(&b), "{a}");
    let (_, said) = bench_diff(place, &["compare", "a-local.json", "b-local.json", "--format", "json"]);
    assert!(said.contains("\"weights of the model\"") && !said.contains("not_comparable\": 1"), "{said}");
}

/// A file that is replaced between two rounds, or before a session is resumed.
#[test]
fn a_session_measures_one_model_of_a_name() {
    let directory = models(&[("tiny", fixture("untied"))]);
    let place = directory.path();
    let mut results = measure(place, "./tiny", "r.json");
    let runs = results["sessions"][0]["runs"].as_array_mut().unwrap();
    runs.truncate(1);
    fs::write(place.join("r.json"), results.to_string()).unwrap();
    let file = place.join("tiny/model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let flags = ["--model", "./tiny", "--context-lengths", "4", "--generated-length", "3", "--device", "cpu"];
    let (exit, said) =
        bench_diff(place, &[&["run", "--resume", "r.json", "--prompt-ids", "ids.json"], &flags[..]].concat());
    assert_eq!(exit, 3, "{said}");
    assert!(said.contains("tiny changed in the middle of the session: its weights are others"), "{said}");
}
