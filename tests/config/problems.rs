//! What is wrong is said at one look, and blamed on where it comes from.

use crate::{error_of, run};

/// A file without what every file needs is looked at all the same.
#[test]
fn what_is_missing_hides_nothing_else() {
    let without_models = "[suites.a]\ncontext-lengths = [100_000, 131_000]\nmetrics = [\"tftt\"]\n\n[suites.b]\nalpha = 3\nmodels = [\"Qwen/none\", { dtype = \"f33\" }]\n";
    insta::assert_snapshot!(error_of(without_models));
    insta::assert_snapshot!(error_of(
        "runz = 1\nalpha = 0.7\n[suites]\n[suites.a]\nmodels = 5\nmetrics = [\"tftt\"]\n"
    ));
    let without_suites = error_of("runz = 1\nalpha = 0.7\n");
    assert!(without_suites.starts_with("error: 3 problems in the configuration:\n"), "{without_suites}");
}

/// What is wrong with an item of a list says nothing of the others.
#[test]
fn an_item_of_the_wrong_type_hides_nothing_else() {
    let err = error_of(
        "candle = { rev = \"main\" }\n[suites.a]\nmodels = [5, \"Qwen/none\", { model = \"Qwen/nor-this\", dtype = 1 }]\n\
         metrics = [1, \"tftt\", 2]\ncontext-lengths = [\"x\", 7, 7]\ngpus = [true]\n",
    );
    for said in [
        "1: `rev` needs `git`",
        "3: `models` must be a string, not a whole number",
        "3: unknown model `Qwen/none`",
        "3: unknown model `Qwen/nor-this`",
        "4: `metrics` must be a string, not a whole number",
        "4: unknown metric `tftt`",
        "5: `context-lengths` must be a whole number, not a string",
    ] {
        assert!(err.contains(&format!("bench-diff.toml:{said}")), "{said}: {err}");
    }
}

fn refused(flags: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("tests/tiny")).unwrap();
    std::fs::write(directory.path().join("bench-diff.toml"), crate::suite("")).unwrap();
    let (exit, out, err) = run(directory.path(), &[&["plan", "--device-memory", "80"], flags].concat());
    assert_eq!((exit, out.as_str()), (2, ""), "{err}");
    err
}

#[test]
fn what_flags_get_wrong_is_not_blamed_on_the_file() {
    assert_eq!(refused(&["--context-lengths", "1,1"]), "error: --context-lengths: `1` is there twice\n");
    let twice = ["--model", "Qwen/Qwen2.5-7B", "--model", "Qwen/Qwen2.5-7B", "--context-lengths", "1"];
    assert_eq!(refused(&twice), "error: --model: the case Qwen2.5-7B/bf16/1 is there twice\n");
    let err = error_of(&crate::suite("context-lengths = [1, 1]"));
    assert_eq!(err, "error: bench-diff.toml:4: `1` is there twice\n");
}

/// Nobody has to write `./` before what is there.
#[test]
fn a_directory_needs_no_dot() {
    let err = refused(&["--model", "tests/tiny"]);
    assert!(err.starts_with("error: --model: no model in `tests/tiny`: "), "{err}");
    assert!(refused(&["--model", "tests/none"]).starts_with("error: --model: unknown model `tests/none`"));
}

/// One name for one thing, whatever the command; what it was called works as well.
#[test]
fn flags_have_their_earlier_names() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("bench-diff.toml"), crate::suite("")).unwrap();
    let plan = |flags: &[&str]| {
        let (exit, out, err) = run(directory.path(), &[&["plan", "--device-memory", "80"], flags].concat());
        assert_eq!((exit, err.as_str()), (0, ""));
        out
    };
    let now = plan(&["--context-lengths", "7", "--generated-length", "9", "--runs", "4", "--gpus", "0"]);
    assert_eq!(now, plan(&["--context", "7", "--tokens", "9", "--rounds", "4", "--gpu", "0"]));
    assert_eq!(now, plan(&["--context-length", "7", "--generated-length", "9", "--runs", "4"]));
}

/// As a file that is something else has them in every line.
#[test]
fn of_very_many_problems_the_first_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..200).map(|line| format!("key-{line} = 1")).collect();
    std::fs::write(directory.path().join("bench-diff.toml"), lines.join("\n")).unwrap();
    let (exit, _, err) = run(directory.path(), &["plan"]);
    assert_eq!(exit, 2);
    assert!(err.starts_with("error: 201 problems in the configuration:\n"), "{err}");
    assert!(err.trim_end().ends_with("\n  and 171 more") && err.lines().count() == 32, "{err}");
}
