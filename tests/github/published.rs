//! What Qwen published, beside the numbers of a pull request.

use bench_diff::render::pull_request::{Surroundings, comment};
use bench_diff::report::Report;
use serde_json::{Value, json};

use crate::reports::{forged, unchanged};

/// As if each run of the head had measured these, too.
fn with(speed: f64, metrics: &Value) -> Report {
    forged(&unchanged(), |file| {
        for run in file["head"]["sessions"][0]["runs"].as_array_mut().unwrap() {
            let measured = run["metrics"].as_object_mut().unwrap();
            measured.insert("speed".into(), json!(speed));
            measured.extend(metrics.as_object().unwrap().clone());
        }
    })
}

fn fold(report: &Report) -> Option<String> {
    let text = comment(report, &Surroundings::default());
    let start = text.find("<details><summary>📖")?;
    Some(text[start..].split_inclusive("</details>").next().unwrap().to_owned())
}

/// A ratio between machines: nothing in it is called slower or faster, and the headline doesn't know of it.
#[test]
fn a_fold_puts_measured_numbers_beside_published_ones() {
    let report = with(100.0, &json!({ "allocated_memory": 1024.0 * 1.94 }));
    insta::assert_snapshot!(fold(&report).unwrap());
    let text = comment(&report, &Surroundings::default());
    assert_eq!(text.lines().next(), comment(&unchanged(), &Surroundings::default()).lines().next());
}

#[test]
fn it_is_there_only_for_what_was_published() {
    assert_eq!(fold(&unchanged()), None, "no run gave a speed");
    let other = |field: &str, value: Value| {
        forged(&with(100.0, &json!({})), |file| {
            for case in file["head"]["cases"].as_array_mut().unwrap() {
                case[field] = value.clone();
            }
        })
    };
    for (field, value) in [
        ("model", json!("acme/llama-7B")),
        ("context_length", json!(7)),
        ("generated_length", json!(64)),
        ("dtype", json!("f32")),
        ("batch_size", json!(4)),
    ] {
        assert_eq!(fold(&other(field, value)), None, "{field}");
    }
    let one = forged(&with(100.0, &json!({})), |file| {
        for case in file["head"]["cases"].as_array_mut().unwrap().iter_mut().skip(1) {
            case["context_length"] = json!(7);
        }
    });
    let text = fold(&one).unwrap();
    assert!(text.contains("(1 case)") && !text.contains("context of 7"), "the others aren't mentioned: {text}");
}
