//! What makes `compare` fail, word by word.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::compare_support::{Files, cell, run};
use crate::{SUCCESS, regression, usage_error};

/// The exit code for samples of a case on both sides.
fn gate(base: &Value, head: &Value, fail_on: Option<&str>) -> ExitCode {
    let flag = fail_on.map(|words| vec!["--fail-on", words]).unwrap_or_default();
    let (exit, _, err) = run(&Files::new(base, head), &[&["--same-session"], &flag[..]].concat());
    assert!(err.is_empty() || exit == usage_error(), "{err}");
    exit
}

#[test]
fn every_word_fails_on_what_it_names() {
    let of = |case: &str, samples: [f64; 4]| json!([cell(case, "ttft", samples.to_vec())]);
    let base = of("a", [10.0, 10.01, 10.02, 10.03]);
    let slower = of("a", [12.0, 12.01, 12.02, 12.03]);
    let noisy = of("a", [8.0, 10.0, 12.0, 11.0]);
    let lost = json!([cell("a", "ttft", vec![0.0])]);
    let other = json!([{"case": "a", "metric": "ttft", "unit": "ms", "better": "lower", "samples": [1.0]}, cell("b", "ttft", vec![1.0])]);
    let regressed = (&base, &slower);
    for ((base, head), failing) in [
        (regressed, &["regression"][..]),
        ((&base, &base), &[]),
        ((&base, &noisy), &["inconclusive"]),
        // Nothing of it can be judged, either.
        ((&base, &lost), &["missing", "regression", "not-comparable"]),
        ((&other, &other), &["inconclusive"]),
    ] {
        for word in ["regression", "missing", "not-comparable", "inconclusive"] {
            let wanted = if failing.contains(&word) { regression() } else { SUCCESS };
            assert_eq!(gate(base, head, Some(word)), wanted, "{word}: {head}");
        }
        for word in ["never", "none"] {
            assert_eq!(gate(base, head, Some(word)), SUCCESS, "{word}: {head}");
        }
        let some = format!("inconclusive, {}", failing.first().unwrap_or(&"missing"));
        assert_eq!(gate(base, head, Some(&some)) == SUCCESS, failing.is_empty(), "{some}: {head}");
        let wanted = if failing.contains(&"not-comparable") { regression() } else { SUCCESS };
        assert_eq!(gate(base, head, None), wanted, "by default: {head}");
    }
}

#[test]
fn words_that_are_none_are_refused_with_those_that_are() {
    let samples = json!([cell("a", "ttft", vec![1.0, 1.01])]);
    let mut said = String::new();
    for words in ["regresion", "never,regression", "", ",", "all"] {
        let (exit, _, err) = run(&Files::new(&samples, &samples), &["--fail-on", words]);
        assert_eq!(exit, usage_error(), "{err}");
        said += &err;
    }
    insta::assert_snapshot!("fail_on_words", said);
}

/// A known metric that nobody measured is no typo, and compares nothing all the same.
#[test]
fn a_metric_that_neither_side_has_is_an_error() {
    let samples = json!([cell("a", "ttft", vec![1.0, 1.01]), cell("a", "tpot", vec![1.0, 1.01])]);
    for flags in [&["--metric", "energy_per_token"][..], &["--metric", "ttft", "--metric", "energy_per_token"]] {
        let (exit, out, err) = run(&Files::new(&samples, &samples), flags);
        assert_eq!((exit, out.as_str()), (usage_error(), ""));
        let said = "error: neither base.json nor head.json has numbers of the metric `energy_per_token`\n  \
                    hint: they have `tpot` and `ttft`\n";
        assert_eq!(err, said);
    }
    // One side's alone is lost, or new.
    let more = json!([cell("a", "ttft", vec![1.0, 1.01])]);
    let (exit, _, err) = run(&Files::new(&samples, &more), &["--metric", "tpot", "--fail-on", "missing"]);
    assert_eq!(exit, regression(), "{err}");
}
