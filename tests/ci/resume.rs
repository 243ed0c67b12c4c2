//! `ci --resume` carries on with runs of the very same thing, and with no others.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Place, Said, read};

const OUT: &str = ".bench-diff/latest";

impl Place {
    /// A program that doesn't know its commit.
    fn nameless(&self, name: &str, speed: &str) -> String {
        self.install(name, &program(speed).replace("\"commit\":\"COMMIT\",", ""))
    }

    fn kept(&self, name: &str) -> Value {
        read(&self.path(OUT).join(name))
    }

    /// A self-check that Ctrl-C has cut off, with what it left.
    fn cut_off(&self, program: &str) -> Value {
        let output = self.interrupted(&["--head-binary", program], &format!("{OUT}/results.json"));
        assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
        self.kept("results.json")
    }

    fn resumed(&self, program: &str) -> Said {
        self.ci(&["--head-binary", program, "--resume"])
    }

    /// Nothing of what is kept is lost by being refused.
    fn refuses(&self, program: &str, kept: &Value, why: &str, hint: &str) {
        let (exit, _, err) = self.resumed(program);
        assert_eq!(exit, 2, "{err}");
        assert!(err.contains("error: can't resume") && err.contains(why), "{err}");
        assert!(err.ends_with(&format!("  hint: {hint}\n")), "{err}");
        assert_eq!(self.kept("results.json"), *kept, "{err}");
        let told = format!("{why}; {hint}");
        assert!(self.report()["failure"].as_str().is_some_and(|it| it.contains(&told)), "no earlier report stays");
    }

    fn carries_on(&self, program: &str, kept: &Value) {
        let (exit, _, err) = self.resumed(program);
        assert_eq!(exit, 0, "{err}");
        let (then, now) = (&kept["sessions"][0], &self.kept("results.json")["sessions"][0]);
        assert_eq!((&then["id"], &then["runs"][0]), (&now["id"], &now["runs"][0]));
    }
}

fn program(speed: &str) -> String {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ci/program.sh");
    std::fs::read_to_string(template).unwrap().replace("SPEED", speed)
}

/// A repository whose program says nothing of commits, as one that is no build: what it runs may lie beside it.
fn repository() -> (Place, String) {
    let place = Place::new();
    std::fs::write(place.path(".gitignore"), "head*\n.bench-diff\n").unwrap();
    std::fs::write(place.path("engine.py"), "one").unwrap();
    place.git(&["init", "--quiet", "--initial-branch", "main"]);
    place.commit("one");
    let head = place.nameless("head", "100");
    place.note("head", "sleep", "0.3");
    (place, head)
}

#[test]
fn runs_of_another_commit_are_not_carried_on() {
    let (place, head) = repository();
    let kept = place.cut_off(&head);
    let first = place.git(&["rev-parse", "HEAD"]);
    std::fs::write(place.path("engine.py"), "two").unwrap();
    place.commit("two");
    let second = place.git(&["rev-parse", "HEAD"]);
    let why = format!("it is of {first}, and this is {second}");
    let hint = "check that commit out again, or start anew without --resume";
    place.refuses(&head, &kept, &why, hint);
    // Having been refused makes them no runs of this commit.
    place.refuses(&head, &kept, &why, hint);
    place.git(&["switch", "--quiet", "--detach", &first]);
    place.carries_on(&head, &kept);
}

/// A workflow checks out the merge with the base: that is another commit once the base has moved, of one and the same
/// head.
#[test]
fn runs_of_another_merge_are_not_carried_on() {
    let (place, head) = repository();
    let first = place.git(&["rev-parse", "HEAD"]);
    let sides = json!({ "number": 7, "head": { "sha": first }, "base": { "sha": first } });
    std::fs::write(place.path(".bench-diff.event"), json!({ "pull_request": sides }).to_string()).unwrap();
    let event = place.path(".bench-diff.event").display().to_string();
    let ci = |flags: &[&str]| {
        let flags = [&["ci", "--quiet", "--no-publish", "--head-binary", &head], flags].concat();
        let pull_request = [("GITHUB_REPOSITORY", "acme/candle"), ("GITHUB_EVENT_NAME", "pull_request")];
        place.run_with(&flags, &[&pull_request[..], &[("GITHUB_EVENT_PATH", &event)]].concat())
    };
    assert_eq!(ci(&[]).0, 0);
    place.git(&["commit", "--quiet", "--allow-empty", "--message", "a merge"]);
    let (exit, _, err) = ci(&["--resume"]);
    assert_eq!(exit, 2, "{err}");
    assert!(err.contains(&format!("it is of {first}, and this is ")), "{err}");
}

#[test]
fn runs_of_other_changes_are_not_carried_on() {
    let (place, head) = repository();
    std::fs::write(place.path("engine.py"), "changed").unwrap();
    let kept = place.cut_off(&head);
    for other in ["one", "changed again"] {
        std::fs::write(place.path("engine.py"), other).unwrap();
        place.refuses(
            &head,
            &kept,
            "files that git knows have changed since",
            "change them back, or start anew without --resume",
        );
    }
    place.commit("changed again");
    let now = place.git(&["rev-parse", "HEAD"]);
    place.git(&["switch", "--quiet", "--detach", "HEAD~"]);
    let then = place.git(&["rev-parse", "HEAD"]);
    place.git(&["switch", "--quiet", "--detach", &now]);
    place.refuses(
        &head,
        &kept,
        &format!("it is of {then} with changes, and this is {now}"),
        "check that commit out again, or start anew without --resume",
    );
    place.git(&["switch", "--quiet", "--detach", &then]);
    std::fs::write(place.path("engine.py"), "changed").unwrap();
    // What git doesn't know may be anything, also what was measured.
    std::fs::write(place.path("notes"), "").unwrap();
    place.carries_on(&head, &kept);
}

/// Whether the program names a commit or not: it was built anew.
#[test]
fn runs_of_another_build_are_not_carried_on() {
    for nameless in [true, false] {
        let place = Place::new();
        let build =
            |speed| if nameless { place.nameless("head", speed) } else { place.program("head", speed, "aaaaaaa") };
        let head = build("100");
        place.note("head", "sleep", "0.3");
        let kept = place.cut_off(&head);
        build("90");
        place.refuses(
            &head,
            &kept,
            "head is another build than the one that the session measured",
            "give that one, or start anew without --resume",
        );
        build("100");
        place.carries_on(&head, &kept);
    }
}

#[test]
fn runs_of_another_build_of_the_base_are_not_carried_on() {
    let place = Place::new();
    let (base, head) = (place.nameless("base", "100"), place.nameless("head", "100"));
    place.note("head", "sleep", "0.3");
    let flags = ["--head-binary", &head, "--base-binary", &base];
    let output = place.interrupted(&flags, &format!("{OUT}/base.json"));
    assert_eq!(output.status.code(), Some(130));
    place.nameless("base", "90");
    let (exit, _, err) = place.ci(&[&flags[..], &["--resume"]].concat());
    assert_eq!(exit, 2, "{err}");
    assert!(err.contains("base is another build than the one that the session measured"), "{err}");
}

/// Being refused costs the last good report no more than its name, however often; what `publish` finds is the refusal.
#[test]
fn a_refused_resume_keeps_the_report_of_before() {
    let (place, head) = repository();
    assert_eq!(place.ci(&["--head-binary", &head]).0, 0);
    let good = place.kept("report.json");
    std::fs::write(place.path("engine.py"), "two").unwrap();
    place.commit("two");
    for _ in 0..2 {
        let (exit, _, err) = place.resumed(&head);
        assert_eq!(exit, 2, "{err}");
        let said = format!("the report of before is kept: {OUT}/previous-report.json\n");
        assert!(err.contains(&said), "{err}");
        assert_eq!(place.kept("previous-report.json"), good);
        assert!(place.report()["failure"].as_str().is_some_and(|why| why.contains("can't resume")));
    }
    // A measurement of its own ends that.
    assert_eq!(place.ci(&["--head-binary", &head]).0, 0);
    assert!(!place.path(OUT).join("previous-report.json").exists());
}

#[test]
fn runs_of_nobody_knows_what_are_not_carried_on() {
    let (place, head) = repository();
    let kept = place.cut_off(&head);
    std::fs::remove_file(place.path(OUT).join("checkout.json")).unwrap();
    place.refuses(&head, &kept, "nothing says which commit it is of", "start anew without --resume");
    std::fs::write(place.path(OUT).join("checkout.json"), "[]").unwrap();
    place.refuses(&head, &kept, "nothing says which commit it is of", "start anew without --resume");
    // Without --resume they are gone, and so is what was noted of them.
    place.ci(&["--head-binary", &head, "--failed", "no build today"]);
    for name in ["results.json", "base.json", "checkout.json"] {
        assert!(!place.path(OUT).join(name).exists(), "{name}");
    }
    // Then there is nothing that could be of anything else.
    assert_eq!(place.resumed(&head).0, 0);
}
