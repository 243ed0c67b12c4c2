//! A report whose traces, or parts of a step, can't be as it says: nothing is said of them, and all else stays.

use serde_json::{Value, json};

use crate::comment::traced_decode;
use crate::fake::GitHub;
use crate::reports::{LONG, regressed};
use crate::step::{Step, stderr};

/// Attention took 24 microseconds longer in a step.
fn parts() -> Value {
    let part = |product: &str, us: [f64; 2], p: f64, changed: Value| {
        json!({
            "product": product, "is": "work", "layers": 24, "base_us": us[0], "head_us": us[1], "p": p, "changed": changed
        })
    };
    let attention = part("attention", [144.0, 168.0], 0.0001, json!([{ "first": 0, "last": 23 }]));
    let parts = [attention, part("gate and up", [540.0, 540.0], 1.0, json!([]))];
    json!({ "case": LONG, "runs": 3, "base_us": 690.0, "head_us": 714.5, "parts": parts, "unexplained_us": 0.5 })
}

fn traced() -> Value {
    json!({ "sections": [traced_decode()], "parts": [parts()] })
}

/// The comment on a file that says this of the traces.
fn comment(file: &Value, attributed: Value) -> String {
    let mut file = file.clone();
    file["comparison"]["attributed"] = attributed;
    let github = GitHub::start();
    let step = Step::pull_request(&github);
    std::fs::create_dir_all(step.path("results/smoke")).unwrap();
    std::fs::write(step.path("results/smoke/report.json"), file.to_string()).unwrap();
    let output = step.run(&["publish", "--results", step.path("results").to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let state = github.state();
    state.marked()[0].replace('\u{a0}', " ")
}

/// With something else in one place of it.
fn edited(place: &str, value: &Value) -> Value {
    let mut attributed = traced();
    let (parent, name) = place.rsplit_once('/').unwrap();
    let parent = attributed.pointer_mut(parent).unwrap_or_else(|| panic!("{place}"));
    match parent {
        Value::Array(all) => all[name.parse::<usize>().unwrap()] = value.clone(),
        parent => parent[name] = value.clone(),
    }
    attributed
}

/// What is said of an edited report is what is said without what was edited.
fn all_say(edits: &[(&str, Value)], instead: Value) {
    let file = serde_json::to_value(regressed()).unwrap();
    let expected = comment(&file, instead);
    assert_ne!(expected, comment(&file, traced()));
    for (place, value) in edits {
        let shown = value.to_string().chars().take(100).collect::<String>();
        assert_eq!(comment(&file, edited(place, value)), expected, "{place}: {shown}");
    }
}

#[test]
fn a_report_that_can_be_true_shows_its_parts_and_kernels() {
    let comment = comment(&serde_json::to_value(regressed()).unwrap(), traced());
    for said in ["- attention of layers 0-23: **+24.0 µs** a token (p < 0.001), the rest unchanged", "rmsnorm_bf16"] {
        assert!(comment.contains(said), "{said}: {comment}");
    }
}

#[test]
fn parts_that_contradict_themselves_are_left_out() {
    let range = |first: u64, last: u64| json!({ "first": first, "last": last });
    let ranges = "/parts/0/parts/0/changed";
    let edits = [
        ("/parts/0/parts/0/head_us", json!(1e308)),
        ("/parts/0/parts/0/base_us", json!(-1.0)),
        ("/parts/0/unexplained_us", json!(-1e308)),
        ("/parts/0/base_us", json!(0.0)),
        ("/parts/0/head_us", json!(5.0)),
        ("/parts/0/runs", json!(0)),
        ("/parts/0/runs", json!(u64::MAX)),
        ("/parts/0/parts/0/layers", json!(0)),
        ("/parts/0/parts/0/layers", json!(12)),
        (ranges, json!([range(0, 1 << 63)])),
        (ranges, json!([range(20, 3)])),
        (ranges, json!([range(0, 3), range(2, 9)])),
        (ranges, json!([range(0, 3), range(4, 9)])),
        (ranges, json!([range(8, 9), range(0, 3)])),
        (ranges, json!([])),
        ("/parts/0/parts/1/changed", json!([range(0, 23)])),
        ("/parts/0/parts/0/p", json!(0.9)),
        ("/parts/0/parts/0/p", json!(-5.0)),
        ("/parts/0/parts/0/p", json!(1.5)),
        ("/parts/0/parts/1/product", json!("attention")),
        ("/parts/0/parts", json!(vec![parts()["parts"][0].clone(); 20_000])),
    ];
    all_say(&edits, json!({ "sections": [traced_decode()] }));
}

#[test]
fn traces_that_contradict_themselves_are_left_out() {
    let spread = |mean: f64, min: f64, max: f64| json!({ "mean": mean, "min": min, "max": max });
    let kernel = "/sections/0/kernels/0";
    let of_kernel = [
        ("/base/us_a_call", spread(1e-320, 1e-320, 1e-320)),
        ("/base/us_a_call", spread(5.0, 1.0, 2.0)),
        ("/head/us", spread(1e308, 1e308, 1e308)),
        ("/head/calls", spread(-49.0, -49.0, -49.0)),
        ("/base", Value::Null),
        ("/head", Value::Null),
        ("/what", json!("gone")),
        ("/what", json!("new")),
        ("/change_us", json!(1e308)),
    ];
    let of_kernel = of_kernel.map(|(place, value)| (format!("{kernel}{place}"), value));
    let others = [
        ("/sections/0/traces", json!(0)),
        ("/sections/0/base_us", spread(700.0, 800.0, 600.0)),
        ("/sections/0/head_pauses_us/max", json!(1e308)),
        ("/sections/0/change/speed", json!(-1e308)),
        ("/sections/0/kernels_us", json!(-1.0)),
        ("/sections/0/moved_share", json!(2.0)),
        ("/sections/0/counts/0/head/calls", spread(1e308, 1e308, 1e308)),
    ];
    let of_kernel = of_kernel.iter().map(|(place, value)| (place.as_str(), value.clone()));
    all_say(&of_kernel.chain(others).collect::<Vec<_>>(), json!({}));
}
