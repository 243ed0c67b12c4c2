//! Two models of one name: what a person reads of them.

use bench_diff::case::ModelIdentity;
use bench_diff::results::{Outcome, Results};
use serde_json::{Value, json};

use crate::compare_support::{Files, run, session};

/// A model whose settings all have this value.
fn identity(settings: usize, value: &str, weights: &str) -> Option<ModelIdentity> {
    let shape = (0..settings).map(|setting| (format!("setting_{setting}"), value.to_owned())).collect();
    Some(ModelIdentity { shape, weights_sha256: Some(weights.to_owned()) })
}

/// A session of one program, all of whose cases have this model.
fn results(id: &str, model: Option<&ModelIdentity>, tokens: &str) -> Results {
    let mut results = session(|_, _| 1.0);
    results.cases.iter_mut().for_each(|case| case.identity = model.cloned());
    let session = &mut results.sessions[0];
    (session.id, session.program_sha256) = (id.to_owned(), Some("aa".to_owned()));
    for run in &mut session.runs {
        let Outcome::Ok(measured) = &mut run.outcome else { continue };
        measured.token_hash = Some(tokens.to_owned());
    }
    results
}

/// The page, as if it were as wide as its second part is long, and the comparison as JSON; the head has other tokens.
fn compared(base: Option<ModelIdentity>, head: Option<ModelIdentity>) -> (String, Value) {
    let (base, head) = (results("monday", base.as_ref(), "old"), results("tuesday", head.as_ref(), "new"));
    let files = Files::new(&json!(base), &json!(head));
    let page = run(&files, &[]).1;
    let joined = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let (first, rest) = page.split_once('\n').unwrap();
    (format!("{first}\n{}", joined(rest)), serde_json::from_str(&run(&files, &["--format", "json"]).1).unwrap())
}

fn first_line(page: &str) -> &str {
    page.lines().next().unwrap()
}

#[test]
fn a_side_that_does_not_say_its_model_is_compared_with_a_warning() {
    let model = || identity(2, "1", "00");
    let empty = || Some(ModelIdentity::default());
    for (base, head, silent) in [
        (None, model(), Some("base")),
        (empty(), model(), Some("base")),
        (model(), None, Some("head")),
        (None, None, None),
        (empty(), None, None),
        (model(), model(), None),
    ] {
        let (page, comparison) = compared(base, head);
        let warning = silent.map(|side| {
            format!("the {side} doesn't say which model it loaded (older results?), so it may be another one")
        });
        let warnings = comparison["warnings"].as_array().unwrap().iter().filter_map(Value::as_str);
        let warnings: Vec<_> = warnings.filter(|said| said.contains("which model")).collect();
        assert_eq!(warnings, Vec::from_iter(warning.as_deref()), "{page}");
        assert_eq!(comparison["counts"]["not_comparable"], 0, "{page}");
        let note = comparison["notes"][0]["reason"].as_str().unwrap();
        let said = silent.is_some_and(|side| note.ends_with(&format!("as the {side} doesn't say which it loaded")));
        assert_eq!(said, silent.is_some(), "{note}");
        // What another model changes isn't the machine's.
        assert_eq!(comparison["same_program"].is_object(), silent.is_none(), "{page}");
    }
}

#[test]
fn with_other_weights_there_is_no_self_check() {
    let (page, comparison) = compared(identity(2, "1", "00"), identity(2, "1", "11"));
    assert!(comparison.get("same_program").is_none() && !page.contains("is the machine's"), "{page}");
    assert!(page.contains("base and head differ in weights of the model: a change may come from there"), "{page}");
}

/// The files of a model say its settings, whoever made them.
#[test]
fn the_first_line_counts_the_settings_of_another_model() {
    let of = |settings, long: &str| compared(identity(settings, "1", "00"), identity(settings, long, "11")).0;
    let line = "Nothing was compared: base and head did other work (another model: 8 settings differ)";
    let page = of(8, "2");
    assert_eq!(first_line(&page), line);
    assert!(page.contains("setting_0 1 → 2, "), "{page}");
    let (long, cut) = ("x".repeat(5000), format!("1 → {}…", "x".repeat(40)));
    let page = of(1, &long);
    let named = format!("Nothing was compared: base and head did other work (setting_0 of the model {cut})");
    assert_eq!(first_line(&page), named);
    assert!(of(1000, &long).len() < 10_000);
    assert!(!of(8, &long).contains(&"x".repeat(41)));
}
