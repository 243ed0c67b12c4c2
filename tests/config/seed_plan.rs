//! What a plan says of suites that are measured as Qwen's programs do: each case is a process of its own.

use crate::run;

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
