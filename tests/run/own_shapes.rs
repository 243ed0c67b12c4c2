//! A model of which there is nothing but a shape: docs/models.md shows how that is measured.

use serde_json::{Value, json};

use super::{Bench, Finished};

/// The documentation's config.json.
fn shown() -> Value {
    let page = include_str!("../../docs/models.md");
    let block = page.split("```json\n").find(|block| block.contains("\"architectures\"")).expect("the page shows one");
    serde_json::from_str(block.split("```").next().unwrap()).unwrap()
}

fn bench(shape: &Value) -> Bench {
    let bench = Bench::new();
    bench.write("one/config.json", &shape.to_string());
    let config = bench.read("bench-diff.toml").replace("\"./one\", \"./two\"", "\"./one\"");
    bench.write("bench-diff.toml", &config);
    bench
}

#[test]
fn the_shape_that_the_documentation_shows_has_its_size() {
    let planned = bench(&shown()).bench_diff(&["plan", "--dtype", "bf16", "--format", "json"]);
    assert_eq!(planned.code, Some(0), "{}{}", planned.out, planned.err);
    let plan: Value = serde_json::from_str(&planned.out).unwrap();
    let case = &plan["cases"][0];
    assert_eq!((&case["case"]["id"], &case["case"]["weights"]), (&json!("one/bf16/1"), &json!("generated")));
}

/// The same with fewer and smaller layers.
#[test]
fn a_shape_is_measured_with_generated_weights() {
    let mut shape = shown();
    for (name, value) in [("hidden_size", 64), ("head_dim", 16), ("num_attention_heads", 4), ("num_key_value_heads", 1)]
    {
        shape[name] = value.into();
    }
    (shape["num_hidden_layers"], shape["intermediate_size"]) = (2.into(), 128.into());
    let bench = bench(&shape);
    let measured = Finished::of(bench.plain(&["--runs", "1"]).output().unwrap());
    assert_eq!(measured.code, Some(0), "{}{}", measured.out, measured.err);
    let results: Value = serde_json::from_str(&bench.read("results.json")).unwrap();
    let shape = &results["cases"][0]["identity"]["shape"];
    assert_eq!((&shape["vocab_size"], &shape["head_dim"]), (&json!("128256"), &json!("16")), "{shape}");
}
