//! A base without a configuration says nothing of what counts as a change. Then the defaults do, and not the pull request.

use serde_json::Value;

use crate::unjudged::{setting, with_baseline};
use crate::{Place, read, repository};

/// Main without a configuration, and a branch with a program that is a third slower; its configuration isn't committed.
fn without_configuration() -> (Place, String, String) {
    let (place, _) = repository();
    place.git(&["switch", "--quiet", "main"]);
    let text = std::fs::read_to_string(place.path("bench-diff.toml")).unwrap();
    place.git(&["rm", "-q", "bench-diff.toml"]);
    place.commit("no configuration");
    let base = place.git(&["rev-parse", "HEAD"]);
    place.git(&["switch", "--quiet", "--create", "adopts"]);
    let slow = place.program("program", "66", "bbbbbbb");
    std::fs::write(place.path("bench-diff.toml"), text).unwrap();
    (place, base, slow)
}

impl Place {
    fn set(&self, line: &str) {
        let file = self.path("bench-diff.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, setting(text, line)).unwrap();
    }

    /// The comment on a program beside one that is half as fast again, and the report.
    fn beside_a_faster_base(&self, base: &str, slow: &str) -> (String, Value) {
        let old = self.program("old", "100", "aaaaaaa");
        let ((code, _, err), published) = self.judged(base, &["--head-binary", slow, "--base-binary", &old]);
        assert_eq!(code, 0, "{err}");
        (published.1, read(&self.path("out/report.json")))
    }
}

const SAID: &str =
    "The base has no configuration: what counts as a change is bench-diff's default, not what this pull request says.";

#[test]
fn a_pull_request_that_brings_the_configuration_does_not_choose_by_what_it_is_judged() {
    for line in [
        "noise-thresholds = { decode_throughput = \"90%\", ttft = \"90%\", itl_p99 = \"90%\" }",
        "metrics = [\"peak_memory\"]",
        "runs = 1",
    ] {
        let (place, base, slow) = without_configuration();
        place.set(line);
        place.commit("a configuration");
        let (comment, report) = place.beside_a_faster_base(&base, &slow);
        assert_eq!(report["comparison"]["verdict"], "regressed", "{line}");
        assert!(comment.contains(SAID), "{comment}");
        assert!(comment.contains("(here the default counts)"), "{comment}");
        assert!(!comment.contains("measures another suite"), "there was none: {comment}");
    }
}

#[test]
fn a_configuration_that_keeps_to_the_defaults_overrules_nothing() {
    let (place, base, slow) = without_configuration();
    place.set("runs = 7");
    place.commit("a configuration");
    let (comment, report) = place.beside_a_faster_base(&base, &slow);
    assert_eq!(report["head"]["settings"]["runs"], 7, "more tell more");
    assert!(comment.contains(SAID) && !comment.contains("changes the suite"), "{comment}");
}

/// It is the machine's or the workflow's: no pull request changes it.
#[test]
fn a_configuration_that_no_commit_has_holds_as_it_is() {
    let (place, base, slow) = without_configuration();
    place.set("noise-thresholds = { decode_throughput = \"90%\", ttft = \"90%\", itl_p99 = \"90%\" }");
    let (comment, report) = place.beside_a_faster_base(&base, &slow);
    assert_eq!(report["comparison"]["counts"]["regressed"], 0, "{comment}");
    assert!(!comment.contains("has no configuration"), "{comment}");
}

#[test]
fn to_take_the_configuration_away_is_to_measure_another_suite() {
    let (place, base, slow) = with_baseline();
    place.git(&["rm", "-q", "bench-diff.toml"]);
    place.commit("no configuration");
    let small = ["--model", "Qwen/Qwen2.5-0.5B", "--weights", "generated", "--device", "cpu", "--context-lengths", "1"];
    let ((code, _, err), (exit, comment, _)) = place.judged(&base, &[&["--head-binary", &slow], &small[..]].concat());
    assert_eq!((code, exit), (0, 1), "{err}");
    assert!(comment.starts_with("### 🚫 Nothing was compared: this pull request measures another suite"), "{comment}");
}
