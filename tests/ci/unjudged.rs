//! Where a comparison was promised and none took place, nothing comes out green.

use serde_json::{Value, json};

use crate::{BUILD, Place, Said, read, repository};

/// What the report of a workflow's step holds.
fn report(place: &Place) -> Value {
    read(&place.path("out/report.json"))
}

impl Place {
    /// A command in a workflow of a pull request that goes into this commit.
    fn in_workflow(&self, base: &str, args: &[&str]) -> Said {
        let head = self.git(&["rev-parse", "HEAD"]);
        let sides = json!({ "head": { "sha": head }, "base": { "sha": base }, "number": 7 });
        std::fs::write(self.path("event.json"), json!({ "pull_request": sides }).to_string()).unwrap();
        let event = self.path("event.json").display().to_string();
        let variables = [
            ("GITHUB_REPOSITORY", "acme/candle"),
            ("GITHUB_EVENT_NAME", "pull_request"),
            ("GITHUB_EVENT_PATH", &event),
        ];
        self.run_with(args, &variables)
    }

    /// `ci` of such a pull request, and what publishing says of it.
    pub fn judged(&self, base: &str, flags: &[&str]) -> (Said, Said) {
        let ci = [&["ci", "--quiet", "--no-publish", "--output", "out"], flags].concat();
        (self.in_workflow(base, &ci), self.run(&["publish", "--results", "out"]))
    }

    /// Changes the configuration in a commit of its own.
    fn reconfigure(&self, change: impl Fn(String) -> String) {
        let file = self.path("bench-diff.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let changed = change(text.clone());
        assert_ne!(text, changed);
        std::fs::write(&file, changed).unwrap();
        self.commit("another suite");
    }
}

/// A baseline of main, and a branch with a program that is a third slower.
pub fn with_baseline() -> (Place, String, String) {
    let (place, _) = repository();
    place.git(&["switch", "--quiet", "main"]);
    let fast = place.program("program", "100", "aaaaaaa");
    assert_eq!(place.ci(&["--head-binary", &fast, "--output", "out"]).0, 0);
    assert_eq!(place.run(&["baseline", "update", "out/results.json"]).0, 0);
    std::fs::remove_dir_all(place.path("out")).unwrap();
    place.commit("a baseline");
    let base = place.git(&["rev-parse", "HEAD"]);
    place.git(&["switch", "--quiet", "--create", "sly"]);
    let slow = place.program("program", "66", "bbbbbbb");
    (place, base, slow)
}

pub fn setting(text: String, line: &str) -> String {
    text.replace("[suites.small]\n", &format!("[suites.small]\n{line}\n"))
}

#[test]
fn settings_that_make_the_baseline_incomparable_are_named_and_fail() {
    let (place, base, slow) = with_baseline();
    place.reconfigure(|text| setting(text, "warmup = 3"));
    let ((exit, _, err), published) = place.judged(&base, &["--head-binary", &slow]);
    assert_eq!(exit, 0, "{err}");
    let (exit, comment, err) = published;
    assert_eq!(exit, 1, "by default: {err}");
    insta::assert_snapshot!("suite_changed", place.shown(&comment));
    assert_eq!(report(&place)["caveats"]["suite_changes"][0]["setting"], "warmup");
    assert_eq!(place.run(&["publish", "--results", "out", "--fail-on", "regression"]).0, 0, "who asks for no more");
}

/// With a base program, both sides are measured with the pull request's suite: that can be judged.
#[test]
fn with_a_base_program_other_settings_are_no_way_out() {
    let (place, base, slow) = with_baseline();
    place.reconfigure(|text| setting(text, "warmup = 3"));
    for (speed, exit, verdict, tier) in [("100", 1, "regressed", "confirmed"), ("66", 0, "unchanged", "same-session")] {
        let old = place.program("old", speed, "aaaaaaa");
        let ((code, _, err), _) = place.judged(&base, &["--head-binary", &slow, "--base-binary", &old]);
        assert_eq!(code, 0, "{err}");
        let report = report(&place);
        let comparison = &report["comparison"];
        assert_eq!((&comparison["verdict"], &comparison["tier"]), (&json!(verdict), &json!(tier)), "{err}");
        assert!(comparison["warnings"].to_string().contains("can't be compared with (warmup 1 → 3)"), "{comparison}");
        assert_eq!(place.run(&["publish", "--results", "out", "--fail-on", "regression,not-comparable"]).0, exit);
    }
}

/// What counts as a change, the base says.
#[test]
fn thresholds_and_metrics_are_the_bases() {
    for line in [
        "noise-thresholds = { decode_throughput = \"90%\", ttft = \"90%\", itl_p99 = \"90%\" }",
        "metrics = [\"peak_memory\"]",
    ] {
        let (place, base, slow) = with_baseline();
        let old = place.program("old", "100", "aaaaaaa");
        place.reconfigure(|text| setting(text, line));
        let ((code, _, err), published) = place.judged(&base, &["--head-binary", &slow, "--base-binary", &old]);
        assert_eq!(code, 0, "{err}");
        let report = report(&place);
        assert_eq!(report["comparison"]["verdict"], "regressed", "{line}");
        assert_eq!(report["caveats"]["suite_changes"][0]["overruled"], true);
        assert!(published.1.contains("(here the base's counts)"), "{}", published.1);
    }
}

/// With few enough runs, nothing could be told: there are as many as the base has, and more where the pull request wants them.
#[test]
fn a_pull_request_cannot_blind_its_verdict_with_fewer_runs() {
    for (runs, measured, overruled) in [(1, 3, true), (4, 4, false)] {
        let (place, base, slow) = with_baseline();
        let old = place.program("old", "100", "aaaaaaa");
        place.reconfigure(|text| setting(text, &format!("runs = {runs}")));
        let ((code, _, err), published) = place.judged(&base, &["--head-binary", &slow, "--base-binary", &old]);
        assert_eq!(code, 0, "{err}");
        let report = report(&place);
        assert_eq!(report["head"]["settings"]["runs"], measured);
        assert_eq!(report["comparison"]["verdict"], "regressed");
        let said_so = &report["caveats"]["suite_changes"][0]["overruled"];
        assert_eq!(said_so.as_bool().unwrap_or(false), overruled);
        let said = format!("runs 3 → {runs}{}.", if overruled { " (here the base's counts)" } else { "" });
        assert!(published.1.contains(&said), "{}", published.1);
    }
}

/// Without counters on both sides, `--fail-on counters` would have nothing to fail by. Counting more is no harm.
#[test]
fn a_pull_request_cannot_switch_the_bases_counters_off() {
    for (before, after, counted) in [("true", "false", true), ("false", "true", true), ("false", "false", false)] {
        let (place, _, slow) = with_baseline();
        let old = place.program("old", "66", "aaaaaaa");
        place.reconfigure(|text| setting(text, &format!("counters = {before}")));
        let base = place.git(&["rev-parse", "HEAD"]);
        if before != after {
            place.reconfigure(|text| text.replace(&format!("counters = {before}"), &format!("counters = {after}")));
        }
        let ((code, _, err), published) = place.judged(&base, &["--head-binary", &slow, "--base-binary", &old]);
        assert_eq!(code, 0, "{err}");
        let session = &report(&place)["head"]["sessions"][0];
        assert_eq!(session["counters"].is_array(), counted, "{before} {after}: {session}");
        let change = &report(&place)["caveats"]["suite_changes"][0];
        let overruled = before == "true";
        assert_eq!(change["overruled"].as_bool().unwrap_or(false), overruled, "{change}");
        let said = published.1.contains("counters true → false (here the base's counts)");
        assert_eq!(said, overruled, "{}", published.1);
    }
    // Who runs the workflow may: its flag is no pull request's.
    let (place, _, slow) = with_baseline();
    place.reconfigure(|text| setting(text, "counters = true"));
    let base = place.git(&["rev-parse", "HEAD"]);
    place.reconfigure(|text| text.replace("counters = true", "counters = false"));
    let ((code, _, err), _) = place.judged(&base, &["--head-binary", &slow, "--counters=false"]);
    assert_eq!(code, 0, "{err}");
    assert!(!report(&place)["head"]["sessions"][0]["counters"].is_array());
}

/// Fewer cases, whether there is a baseline or not; a maintainer may accept it, which `publish` asks GitHub about.
#[test]
fn a_case_that_is_taken_out_is_missed() {
    for committed in [true, false] {
        let (place, base, slow) = with_baseline();
        let old = place.program("old", "66", "aaaaaaa");
        let base = if committed { base } else { place.git(&["rev-parse", "main~1"]) };
        if !committed {
            place.git(&["rm", "-rq", "baselines"]);
            place.commit("no baselines");
        }
        place.reconfigure(|text| text.replace("[1, 256]", "[1]"));
        let ((code, _, err), (exit, comment, _)) =
            place.judged(&base, &["--head-binary", &slow, "--base-binary", &old, "--base-ref", &base]);
        assert_eq!(code, 0, "{err}");
        assert_eq!(exit, 0, "the rest was compared");
        assert!(comment.lines().next().unwrap().contains("1 missing"), "{committed}: {comment}");
        assert_eq!(place.run(&["publish", "--results", "out", "--fail-on", "missing"]).0, 1, "{committed}");
    }
}

/// The base's suite has a baseline; one that only the pull request knows has none.
#[test]
fn another_suite_in_place_of_the_bases_is_no_first_run() {
    let (place, base, slow) = with_baseline();
    place.reconfigure(|text| text.replace("[suites.small]", "[suites.other]"));
    let ((code, _, err), (exit, comment, _)) = place.judged(&base, &["--head-binary", &slow]);
    assert_eq!((code, exit), (0, 1), "{err}");
    assert!(comment.starts_with("### 🚫 Nothing was compared: this pull request measures another suite"), "{comment}");
    assert!(comment.contains("suite small → other"), "{comment}");
    // A suite beside it is new, as any first run.
    let (place, base, slow) = with_baseline();
    place.reconfigure(|text| format!("{text}{}", text.replace("[suites.small]", "[suites.other]")));
    let ((code, _, err), (exit, comment, _)) = place.judged(&base, &["--head-binary", &slow, "--suite", "other"]);
    assert_eq!((code, exit), (0, 0), "{err}");
    assert!(comment.contains("First measurement of 2 cases: no baseline yet"), "{comment}");
}

#[test]
fn a_base_that_cannot_be_built_is_said_first_and_fails() {
    let (place, base, slow) = with_baseline();
    place.commit("the branch");
    let relative = "./program";
    let ((code, _, err), (exit, comment, _)) =
        place.judged(&base, &["--head-binary", relative, "--build-command", "echo no compiler >&2; false"]);
    assert_eq!((code, exit), (0, 1), "{slow}: {err}");
    assert!(comment.starts_with("### 🚫 The base couldn't be run · "), "{comment}");
    assert!(comment.contains("no compiler"), "{comment}");
    // What doesn't look changed needs no base.
    place.program("program", "100", "ccccccc");
    let ((code, _, err), (exit, comment, _)) =
        place.judged(&base, &["--head-binary", relative, "--build-command", "false"]);
    assert_eq!((code, exit), (0, 0), "{err}");
    assert!(comment.starts_with("### 🟡 Can't tell yet"), "{comment}");
}

/// Without a baseline, the base is all that there is to compare with.
#[test]
fn a_base_that_is_out_of_reach_is_no_first_run() {
    let (place, _) = repository();
    let nowhere = "1".repeat(40);
    let flags = ["--head-binary", "./program", "--build-command", BUILD];
    let ((code, _, err), (exit, comment, _)) = place.judged(&nowhere, &flags);
    assert_eq!((code, exit), (0, 1), "{err}");
    assert!(comment.starts_with("### 🚫 The base couldn't be run · "), "{comment}");
    // Nobody promised one: a first run, a push to main, a run at somebody's desk.
    let first = ["--head-binary", "./program"];
    for (flags, base) in [(&first[..], nowhere.as_str()), (&flags[..], &place.git(&["rev-parse", "HEAD"]))] {
        std::fs::remove_dir_all(place.path(".bench-diff")).unwrap();
        let ((code, _, err), (exit, comment, _)) = place.judged(base, flags);
        assert_eq!((code, exit), (0, 0), "{err}");
        assert!(comment.contains("First measurement of 2 cases: no baseline yet"), "{comment}");
    }
}

#[test]
fn a_directory_of_baselines_that_is_not_there_is_an_error() {
    let place = Place::new();
    let head = place.program("head", "100", "aaaaaaa");
    let (exit, _, err) = place.ci(&["--head-binary", &head, "--baseline", "basline"]);
    assert_eq!(exit, 2);
    insta::assert_snapshot!("no_such_baselines", err);
    let list = place.run(&["baseline", "list", "--baseline", "basline"]);
    assert_eq!(list.0, 2, "{}", list.2);
    // An empty one is a start.
    std::fs::create_dir(place.path("basline")).unwrap();
    assert_eq!(place.ci(&["--head-binary", &head, "--baseline", "basline"]).0, 0);
    assert_eq!(place.run(&["baseline", "list", "--baseline", "basline"]).0, 0);
}

/// A table is read by who would else read the comment.
#[test]
fn a_table_says_first_what_keeps_it_from_being_the_verdict() {
    let (place, base, slow) = with_baseline();
    let ci = ["ci", "--quiet", "--output", "out", "--format", "table", "--head-binary", &slow];
    place.commit("the branch");
    let built = ["ci", "--quiet", "--output", "out", "--format", "table", "--head-binary", "./program"];
    let cannot = ["--build-command", "echo no compiler >&2; false"];
    let (_, table, err) = place.in_workflow(&base, &[&built[..], &cannot].concat());
    assert!(table.starts_with("The base couldn't be run · "), "{table}{err}");
    assert!(table.contains("no compiler") && table.contains("mend what keeps the base from being run"), "{table}");
    place.reconfigure(|text| text.replace("[suites.small]", "[suites.other]"));
    let (_, table, err) = place.in_workflow(&base, &ci);
    assert!(
        table.starts_with("Nothing was compared: this pull request measures another suite · Suite other"),
        "{table}{err}"
    );
    assert!(table.contains("suite small → other") && table.contains("if the other suite is wanted"), "{table}");
}
