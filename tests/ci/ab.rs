//! `bench-diff ab OLD NEW`: programs, checkouts and revisions, measured in turn until it is clear whether they differ.

use serde_json::{Value, json};

use crate::{BUILD, Place, Said, read, repository, repository_of};

impl Place {
    /// Quietly.
    fn ab(&self, args: &[&str]) -> Said {
        self.run(&[&["ab", "--quiet"], args].concat())
    }

    /// The comparison, after an `ab` that must end so.
    fn compared(&self, exit: i32, args: &[&str]) -> Value {
        let (ended, out, err) = self.ab(&[args, &["--format", "json"]].concat());
        assert_eq!(ended, exit, "{out}{err}");
        serde_json::from_str(&out).unwrap()
    }

    /// What was measured as `old` or `new`.
    fn measured_as(&self, side: &str) -> Value {
        read(&self.path(&format!(".bench-diff/ab/{side}.json")))["sessions"][0].clone()
    }
}

/// Runs of base and head behind each row.
fn runs(comparison: &Value) -> Vec<[u64; 2]> {
    let rows = comparison["rows"].as_array().unwrap().iter();
    rows.map(|row| ["base", "head"].map(|side| row[side]["n"].as_u64().unwrap())).collect()
}

#[test]
fn two_programs_are_measured_until_it_is_clear() {
    let place = Place::new();
    let (old, new) = (place.program("old", "100", "aaaaaaa"), place.program("new", "90", "bbbbbbb"));
    let (exit, out, err) = place.ab(&[&old, &new]);
    assert_eq!((exit, err.as_str()), (1, ""), "{out}");
    let out = out.replace(&old, "OLD").replace(&new, "NEW");
    insta::assert_snapshot!("ab_slower", out);
    let comparison = place.compared(1, &[&old, &new]);
    assert_eq!((&comparison["schema"], &comparison["tier"]), (&json!(2), &json!("same-session")));
    assert!(runs(&comparison).iter().all(|runs| *runs == [4, 4]), "clear at the first look: {comparison}");
    assert_eq!(place.measured_as("old")["id"], place.measured_as("new")["id"], "one session");
    let (exit, ..) = place.ab(&[&old, &new, "--fail-on", "never"]);
    assert_eq!(exit, 0);
    let comparison = place.compared(0, &[&new, &old]);
    assert_eq!(comparison["verdict"], "improved");
    let comparison = place.compared(0, &[&old, &old]);
    assert_eq!(comparison["verdict"], "unchanged", "the same program, twice");
}

/// Scales what a kept file says of decode, as a machine does that treats equal programs unlike.
fn bias(file: &std::path::Path, times: f64) {
    let mut results = read(file);
    for run in results["sessions"][0]["runs"].as_array_mut().unwrap() {
        let decode = &mut run["metrics"]["decode_throughput"];
        *decode = json!(decode.as_f64().unwrap() * times);
    }
    std::fs::write(file, results.to_string()).unwrap();
}

/// OLD differs from itself by 9%, and NEW by 10%: whatever it is, it isn't the change.
#[test]
fn a_change_that_the_old_one_shows_against_itself_is_none() {
    let place = Place::new();
    let (old, new) = (place.program("old", "100", "aaaaaaa"), place.program("new", "90", "bbbbbbb"));
    let args = [&*old, &new, "--runs", "4", "--metric", "decode_throughput"];
    let comparison = place.compared(1, &args);
    let decode = &comparison["rows"][0];
    assert_eq!((&decode["verdict"], &decode["base_again"]["n"]), (&json!("regressed"), &json!(4)));
    assert_eq!(place.measured_as("old-again")["id"], place.measured_as("old")["id"], "one session");
    assert_eq!(place.measured_as("old-again")["runs"].as_array().unwrap().len(), 8, "two cases");
    bias(&place.path(".bench-diff/ab/old-again.json"), 0.91);
    let comparison = place.compared(0, &[&args[..], &["--resume"]].concat());
    let decode = &comparison["rows"][0];
    assert_eq!((&decode["verdict"], &decode["reason_code"]), (&json!("inconclusive"), &json!("like-itself")));
    let (exit, out, err) = place.ab(&[&args[..], &["--resume"]].concat());
    assert_eq!((exit, err.as_str()), (0, ""));
    assert!(!out.contains("Slower") && out.contains("the base as two contenders"), "{out}");
    let reason = decode["reason"].as_str().unwrap();
    assert!(reason.contains("but the base differs from itself by 9"), "in the words of ci: {reason}");
}

/// What a look of few runs took back may be settled by a later one.
#[test]
fn what_is_taken_back_is_measured_on() {
    let place = Place::new();
    let (old, new) = (place.program("old", "100", "aaaaaaa"), place.program("new", "90", "bbbbbbb"));
    let one_case = [&*old, &new, "--context-lengths", "1", "--metric", "decode_throughput"];
    place.compared(1, &one_case);
    bias(&place.path(".bench-diff/ab/old-again.json"), 0.96);
    let comparison = place.compared(1, &[&one_case[..], &["--resume"]].concat());
    assert!(runs(&comparison)[0][0] > 4, "{comparison}");
}

#[test]
fn the_old_one_is_measured_once_where_that_is_asked_for() {
    let place = Place::new();
    let (old, new) = (place.program("old", "100", "aaaaaaa"), place.program("new", "90", "bbbbbbb"));
    let again = place.path(".bench-diff/ab/old-again.json");
    place.compared(1, &[&old, &new]);
    let refused = |args: &[&str]| {
        let (exit, _, err) = place.ab(&[&[&*old, &*new, "--resume"], args].concat());
        assert_eq!(exit, 2, "{err}");
        err
    };
    assert!(again.exists() && refused(&["--old-once"]).contains("OLD was measured twice"));
    let comparison = place.compared(1, &[&old, &new, "--old-once"]);
    assert_eq!(comparison["rows"][0]["base_again"], Value::Null);
    assert!(!again.exists(), "what an earlier one left isn't of this one");
    assert!(refused(&[]).contains("OLD was measured once"));
}

/// What isn't clear is looked at again and again; what says how to go on is the whole command.
#[test]
fn what_stays_open_says_how_to_go_on() {
    let place = Place::new();
    // Without the old one as a third contender: whose turn is first, and so each one's jitter, would be drawn.
    let (old, new) = (place.program("old", "100", "aaaaaaa"), place.program("new", "98.1", "bbbbbbb"));
    ["old", "new"].into_iter().for_each(|name| place.note(name, "noise", "8"));
    let flags =
        [&*old, &new, "--context-lengths", "1", "--metric", "ttft", "--noise-threshold", "ttft=2", "--old-once"];
    let comparison = place.compared(0, &flags);
    assert_eq!(runs(&comparison), [[16, 16]], "one case, one metric: {comparison}");
    // One look at few runs of a smaller change.
    ["old", "new"].into_iter().for_each(|name| place.note(name, "noise", "1"));
    let new = place.program("new", "98.5", "bbbbbbb");
    let flags =
        [&*old, &new, "--context-lengths", "1", "--metric", "ttft", "--noise-threshold", "ttft=2", "--old-once"];
    let few = [&flags[..], &["--runs", "2"]].concat();
    let comparison = place.compared(0, &few);
    assert_eq!(runs(&comparison), [[2, 2]]);
    let (_, out, _) = place.ab(&few);
    let needed = out.split("needs ").nth(1).unwrap().split(' ').next().unwrap();
    let next = format!(
        "bench-diff ab {old} {new} --old-once --suite small --context-lengths 1 --metric ttft --noise-threshold 'ttft=2%' --runs {needed}\n"
    );
    assert!(out.contains(&next), "{next}{out}");
}

#[test]
fn when_the_budget_is_spent_it_says_what_is_known() {
    let place = Place::new();
    let (old, new) = (place.program("old", "100", "aaaaaaa"), place.program("new", "97.95", "bbbbbbb"));
    ["old", "new"].into_iter().for_each(|name| place.note(name, "noise", "8"));
    place.note("old", "sleep", "0.3");
    let comparison = place.compared(0, &[&old, &new, "--budget", "1s"]);
    assert!(comparison["warnings"].to_string().contains("2 cases could not be settled: the budget of"), "{comparison}");
    for wrong in ["0s", "10", "1d", "-1m", "m"] {
        let (exit, _, err) = place.ab(&[&old, &new, &format!("--budget={wrong}")]);
        assert!(exit == 2 && err.contains("not a time such as 90s, 10m or 1h"), "{wrong}: {err}");
    }
}

/// Ctrl-C keeps what was measured and says what can be said; the same command goes on.
#[test]
fn what_is_stopped_is_carried_on() {
    let place = Place::new();
    let (old, new) = (place.program("old", "100", "aaaaaaa"), place.program("new", "90", "bbbbbbb"));
    place.note("new", "sleep", "0.4");
    let output = place.interrupted_in("ab", &[&old, &new, "--output", "kept"], "kept/new.json");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(out.contains("could not be settled: measuring was stopped"), "{out}");
    let told = "stopped; what was measured is in kept; continue with the same command and --resume\n";
    assert!(err.ends_with(told), "{err}");
    let first = read(&place.path("kept/new.json"))["sessions"][0].clone();
    let (exit, _, err) = place.ab(&[&old, &new, "--output", "kept", "--resume"]);
    assert_eq!(exit, 1, "{err}");
    let session = read(&place.path("kept/new.json"))["sessions"][0].clone();
    assert_eq!((&session["id"], &session["runs"][0]), (&first["id"], &first["runs"][0]));
    // Another build is not carried on with.
    let other = place.program("new", "80", "ccccccc");
    let (exit, _, err) = place.ab(&[&old, &other, "--output", "kept", "--resume", "--runs", "20"]);
    assert!(exit == 2 && err.contains("is another build than the one that the session measured"), "{err}");
}

#[test]
fn a_side_that_fails_ends_with_3() {
    let place = Place::new();
    let (old, new) = (place.program("old", "100", "aaaaaaa"), place.program("new", "0", "bbbbbbb"));
    let (exit, out, err) = place.ab(&[&old, &new]);
    assert_eq!(exit, 3, "{out}{err}");
    assert!(err.starts_with("error: every run of ") && err.ends_with("new failed: no luck today\n"), "{err}");
}

#[test]
fn revisions_and_the_working_tree_are_built_by_a_command() {
    let (place, base) = repository();
    let build = ["--build-command", BUILD, "--product", "program"];
    let comparison = place.compared(1, &[&["main", "slower"], &build[..]].concat());
    assert_eq!(comparison["verdict"], "regressed");
    assert_eq!(place.measured_as("old")["program"]["commit"], json!(base));
    assert_eq!(place.measured_as("new")["program"]["commit"], json!(place.git(&["rev-parse", "slower"])));
    // The working tree, with its changes, from anywhere within it.
    std::fs::write(place.path("speed"), "100").unwrap();
    for tree in [".", "WORKTREE"] {
        let comparison = place.compared(0, &[&["HEAD~1", tree], &build[..]].concat());
        assert_eq!(comparison["verdict"], "unchanged", "{tree}");
    }
    let (exit, _, err) = place.ab(&["main", "slower"]);
    assert_eq!(exit, 2);
    assert!(err.contains("nothing says how to build ") && err.contains("hint: give --build-command"), "{err}");
    let (exit, _, err) = place.ab(&["main", "slower", "--build-command", "false", "--product", "program"]);
    assert!(exit == 3 && err.contains(&format!("error: can't build {base}: ")), "{err}");
}

/// A name is what it is, or an error says how to be clear.
#[test]
fn names_are_told_apart() {
    let (place, base) = repository_of("sha256");
    let build = ["--build-command", BUILD, "--product", "program"];
    let program = place.program("main", "70", "ccccccc");
    let (exit, _, err) = place.ab(&[&["main", "slower"], &build[..]].concat());
    let told = format!(
        "error: `main` is both a path and a revision\n  hint: say ./main for the path, or {base} for the revision\n"
    );
    assert_eq!((exit, err), (2, told));
    for name in [&*program, "./main"] {
        assert_eq!(place.compared(0, &[&[name, "slower"], &build[..]].concat())["verdict"], "improved", "{name}");
    }
    for (name, why) in [
        ("nowhere", "`nowhere` is neither a file, a directory nor a revision of this repository"),
        ("./nowhere", "there is no ./nowhere"),
        ("--upload-pack=x", "unexpected argument"),
        ("speed", "speed is not a program: it can't be executed"),
    ] {
        let (exit, _, err) = place.ab(&[&[name, "slower"], &build[..]].concat());
        assert!(exit == 2 && err.contains(why), "{name}: {err}");
    }
}

#[test]
fn two_checkouts_of_candle_are_built_against() {
    let place = Place::candle("");
    for (name, speed) in [("theirs", "100"), ("mine", "80")] {
        place.commit_candle(name, speed);
    }
    let (exit, out, err) = place.with_cargo(&["ab", "--quiet"], &["theirs", "mine", "--format", "json"]);
    assert_eq!(exit, 1, "{out}{err}");
    let commit = |side: &str| place.measured_as(side)["program"]["components"]["candle"]["commit"].clone();
    assert_eq!(commit("old"), json!(place.git(&["-C", "theirs", "rev-parse", "HEAD"])));
    // Two work trees of one commit, each with changes of its own, are two builds.
    place.git(&["clone", "--quiet", "theirs", "copy"]);
    std::fs::write(place.path("theirs/candle-core/speed"), "90").unwrap();
    std::fs::write(place.path("copy/candle-core/speed"), "60").unwrap();
    let (exit, out, err) = place.with_cargo(&["ab", "--quiet"], &["theirs", "copy", "--format", "json"]);
    assert_eq!(exit, 1, "{out}{err}");
    assert_eq!(commit("old"), commit("new"));
    let change = serde_json::from_str::<Value>(&out).unwrap()["rows"][0]["change"].as_f64().unwrap();
    assert!((change + 1.0 / 3.0).abs() < 0.01, "from 90 to 60: {change}");
}

/// With `candle` in the configuration, or --candle, revisions are candle's.
#[test]
fn revisions_of_candle() {
    let place = Place::candle("candle = { path = \"candle\" }");
    let old = place.commit_candle("candle", "100");
    let new = place.commit_candle("candle", "80");
    let commits = |exit: i32, args: &[&str]| {
        let (ended, out, err) = place.with_cargo(&["ab", "--quiet"], args);
        assert_eq!(ended, exit, "{out}{err}");
        ["old", "new"].map(|side| place.measured_as(side)["program"]["components"]["candle"]["commit"].clone())
    };
    assert_eq!(commits(1, &["HEAD~1", "main"]), [json!(old), json!(new)]);
    assert_eq!(commits(0, &["main", "."]), [json!(new), json!(new)]);
    place.commit_candle("other", "70");
    assert_eq!(
        commits(0, &["main", "main", "--candle", "other"])[0],
        json!(place.git(&["-C", "other", "rev-parse", "HEAD"]))
    );
}
