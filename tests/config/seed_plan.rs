//! What a plan says of suites that are measured as Qwen's programs do: each case is a process of its own.

use crate::{run, suite};

fn seconds(contexts: &str, flags: &[&str]) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let plan = ["plan", "--model", "Qwen/Qwen2.5-7B-Instruct", "--weights", "generated", "--device", "cuda"];
    let plain = ["--implementation", "plain"];
    let rest = ["--device-memory", "80", "--format", "json", "--context-lengths", contexts];
    let (exit, out, err) = run(directory.path(), &[&plan[..], &plain, &rest, flags].concat());
    assert_eq!(exit, 0, "{err}");
    serde_json::from_str::<serde_json::Value>(&out).unwrap()["seconds"].as_f64().unwrap()
}

#[test]
fn each_case_of_a_seed_protocol_loads_the_model_anew() {
    let alone = |flags: &[&str]| seconds("1", flags) + seconds("6144", flags);
    let seed = ["--seed-protocol", "transformers"];
    assert!((seconds("1,6144", &seed) - alone(&seed)).abs() < 1e-6, "one process a case");
    assert!(seconds("1,6144", &[]) < alone(&[]) - 1.0, "else one process measures all");
}

/// What the protocol says itself isn't passed over where somebody asks for it; what holds for all suites may stay.
#[test]
fn a_seed_protocol_has_its_own_warm_up_and_prompt() {
    let said = |config: &str, flags: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("bench-diff.toml"), config).unwrap();
        let (exit, _, err) = run(directory.path(), &[&["plan", "--device-memory", "80"], flags].concat());
        (exit, err)
    };
    let seed = "implementation = \"plain\"\nseed-protocol = \"transformers\"";
    for (setting, flags) in [("warmup", "3"), ("warmup-length", "8"), ("iterations", "2"), ("prompt", "vllm")] {
        let value = if setting == "prompt" { "\"vllm\"" } else { flags };
        let why = format!("`seed-protocol` says that itself: leave `{setting}` out");
        let (exit, err) = said(&suite(&format!("{seed}\n{setting} = {value}")), &[]);
        assert!(exit == 2 && err.contains(&format!("bench-diff.toml:6: {why}")), "{err}");
        let (exit, err) = said(&suite(seed), &[&format!("--{setting}"), flags]);
        assert!(exit == 2 && err.contains(&format!("--{setting}: {why}")), "{err}");
        let (exit, err) = said(&format!("{setting} = {value}\n{}", suite(seed)), &[]);
        assert_eq!(exit, 0, "{err}");
    }
}
