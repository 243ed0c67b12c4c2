//! `--allow-mismatch`: what differs is compared on purpose, listed, and blamed on nothing else.

use bench_diff::compare::Verdict;
use bench_diff::results::{Outcome, Results};
use serde_json::{Value, json};

use crate::compare_support::{Files, Printed, case, compare_json, run, session};
use crate::{other_session, results_files};

const ALLOWED: &[&str] = &["--allow-mismatch"];

/// What is compared although it differs: the field, both values, and in how many cases.
fn allowed(comparison: &Printed) -> Vec<(&str, &str, &str, usize)> {
    let blocking = comparison.differences.iter().filter(|it| it.blocks);
    blocking.map(|it| (it.field.as_str(), it.base.as_str(), it.head.as_str(), it.cases.len())).collect()
}

fn other_tokens(results: &mut Results) {
    for run in &mut results.sessions[0].runs {
        if let Outcome::Ok(measured) = &mut run.outcome {
            measured.token_hash = measured.token_hash.as_ref().map(|hash| format!("other {hash}"));
        }
    }
}

/// Another engine in two cases, and another warm-up in all.
fn differing() -> Files {
    let (base, mut head) = (session(|_, _| 1.0), other_session(|_, _| 1.0));
    head.cases[..2].iter_mut().for_each(|case| case.engine = "server".into());
    head.settings.warmup = 2;
    other_tokens(&mut head);
    results_files(&base, &head)
}

#[test]
fn what_was_allowed_is_listed_everywhere() {
    let files = differing();
    let comparison = compare_json(&files, ALLOWED);
    assert_eq!(allowed(&comparison), [("warmup", "1", "2", 0), ("engine", "candle", "server", 2)]);
    let cases = &comparison.differences[1].cases;
    assert_eq!(cases, &[case(0).id, case(1).id]);
    assert_ne!(comparison.verdict, Verdict::NotComparable);
    assert_eq!(comparison.notes, [], "other tokens are no wonder with other settings");
    let warned = "compared with --allow-mismatch, although these differ: engine, warmup";
    assert!(comparison.warnings.iter().any(|warning| warning == warned), "{:?}", comparison.warnings);
    let (_, table, _) = run(&files, ALLOWED);
    assert!(table.contains("\n warmup              1       2"), "{table}");
    assert!(table.contains("\n engine, in 2 cases  candle  server\n"), "{table}");
    let (_, markdown, _) = run(&files, &["--allow-mismatch", "--format", "markdown"]);
    assert!(markdown.contains("| engine, in 2 cases | `candle` | `server` |"), "{markdown}");
}

/// Nor are settings equal where nothing could be compared.
#[test]
fn other_tokens_count_only_with_equal_settings() {
    for (settings, notes) in [("repeat", 6), ("seed", 0)] {
        let (base, mut head) = (session(|_, _| 1.0), other_session(|_, _| 1.0));
        head.settings.prompt = settings.into();
        other_tokens(&mut head);
        assert_eq!(compare_json(&results_files(&base, &head), &[]).notes.len(), notes, "{settings}");
    }
}

#[test]
fn what_is_in_the_way_names_the_flag_that_allows_it() {
    let (_, out, _) = run(&differing(), &[]);
    let next = "or, if they differ on purpose, compare them with `--allow-mismatch`.";
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&out).contains(next), "{out}");
    assert!(!words(&run(&differing(), ALLOWED).1).contains(next), "it is allowed already");
}

/// One program with two settings: what differs is theirs, and not the machine's.
#[test]
fn a_program_with_other_settings_is_compared() {
    let of = |cost: f64, warmup: u32| {
        let mut results = session(|_, _| cost);
        results.sessions[0].program_sha256 = Some("aa".into());
        results.settings.warmup = warmup;
        json!(results)
    };
    let printed = |head: Value| -> Value {
        let (_, out, _) = run(&Files::new(&of(1.0, 1), &head), &["--allow-mismatch", "--format", "json"]);
        serde_json::from_str(&out).unwrap()
    };
    let same = printed(of(1.2, 1));
    assert!(same["same_program"].is_object() && same["verdict"] == "unchanged", "{same}");
    let other = printed(of(1.2, 2));
    assert!(other.get("same_program").is_none() && other["verdict"] == "regressed", "{other}");
}
