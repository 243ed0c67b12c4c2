//! `candle` in the configuration and `--candle`: the measured program is built against it. Cargo is a script
//! (`cargo.sh`) that makes a program of the speed that candle's sources say.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Place, Said};

const SUITE: &str = "[suites.small]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\ncontext-lengths = [1]\n";

impl Place {
    pub fn candle(config: &str) -> Self {
        let place = Self::with_config("");
        place.configure(config);
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ci");
        std::fs::create_dir_all(place.path("bin")).unwrap();
        std::fs::create_dir_all(place.path("source")).unwrap();
        std::fs::write(place.path("source/Cargo.toml"), "").unwrap();
        std::fs::copy(tests.join("program.sh"), place.path("bin/program.sh")).unwrap();
        std::fs::copy(tests.join("cargo.sh"), place.path("bin/cargo")).unwrap();
        place
    }

    /// What the configuration says of candle.
    fn configure(&self, candle: &str) {
        std::fs::write(self.path("bench-diff.toml"), format!("{candle}\n{SUITE}")).unwrap();
    }

    /// A repository with what is looked for in candle, and its speed. Its commit.
    pub fn commit_candle(&self, name: &str, speed: &str) -> String {
        for krate in ["candle-core", "candle-nn", "candle-transformers"] {
            std::fs::create_dir_all(self.path(name).join(krate)).unwrap();
            std::fs::write(self.path(name).join(krate).join("speed"), speed).unwrap();
            std::fs::write(self.path(name).join(krate).join("Cargo.toml"), "").unwrap();
        }
        self.git(&["init", "--quiet", "--initial-branch", "main", name]);
        self.git(&["-C", name, "add", "--all"]);
        self.git(&["-C", name, "commit", "--quiet", "--message", speed]);
        self.git(&["-C", name, "rev-parse", "HEAD"])
    }

    fn ci_with_cargo(&self, args: &[&str]) -> Said {
        self.with_cargo(&["ci", "--quiet"], args)
    }

    /// A command that builds with the script for cargo.
    pub fn with_cargo(&self, command: &[&str], args: &[&str]) -> Said {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let source = self.path("source");
        let source = ["--source", source.to_str().unwrap()];
        self.run_with(&[command, &source, args].concat(), &[("PATH", &path)])
    }

    /// The candle of the head, after a `ci` that must end well.
    fn measures(&self, args: &[&str]) -> Value {
        let (exit, _, err) = self.ci_with_cargo(args);
        assert_eq!(exit, 0, "{err}");
        assert!(!err.contains("building"), "quiet: {err}");
        self.measured("head")
    }

    fn measured(&self, side: &str) -> Value {
        self.report()[side]["sessions"][0]["program"]["components"]["candle"]["commit"].clone()
    }

    fn builds(&self) -> usize {
        std::fs::read_to_string(self.path("bin/builds")).unwrap_or_default().lines().count()
    }
}

#[test]
fn a_checkout_is_built_and_its_commit_recorded() {
    let place = Place::candle("candle = { path = \"candle\" }");
    let commit = place.commit_candle("candle", "100");
    assert_eq!(place.measures(&[]), json!(commit));
    // A relative path starts from the file, wherever the command is run; changes make another build.
    std::fs::write(place.path("candle/candle-core/speed"), "90").unwrap();
    let file = place.path("bench-diff.toml");
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    std::fs::rename(&file, place.path("elsewhere/b.toml")).unwrap();
    std::fs::rename(place.path("candle"), place.path("elsewhere/candle")).unwrap();
    let elsewhere = ["--config", "elsewhere/b.toml", "--output", ".bench-diff/latest"];
    assert_eq!(place.measures(&elsewhere), json!(format!("{commit}-dirty")));
    // The flag wins.
    let flagged = place.commit_candle("flagged", "80");
    assert_eq!(place.measures(&[&elsewhere[..], &["--candle", "flagged"]].concat()), json!(flagged));
}

/// Another state of bench-diff itself is another program, also for a commit of candle that was built before.
#[test]
fn a_new_bench_diff_is_built_anew() {
    let place = Place::candle("candle = { git = \"./upstream\", rev = \"main\" }");
    let commit = json!(place.commit_candle("upstream", "100"));
    assert_eq!((place.measures(&[]), place.builds()), (commit.clone(), 1));
    std::fs::create_dir(place.path("source/src")).unwrap();
    std::fs::write(place.path("source/src/main.rs"), "new").unwrap();
    assert_eq!((place.measures(&[]), place.builds()), (commit.clone(), 2));
    assert_eq!((place.measures(&[]), place.builds()), (commit, 2), "and kept");
}

#[test]
fn a_candle_that_does_not_build_is_an_error_with_the_compilers_words() {
    let place = Place::candle("candle = { path = \"candle\" }");
    place.commit_candle("candle", "broken");
    let (exit, out, err) = place.ci_with_cargo(&[]);
    assert_eq!((exit, out.as_str()), (2, ""));
    let error = err.lines().find(|line| line.starts_with("error: can't build against candle in ")).unwrap();
    assert!(error.ends_with("exit status: 101 (error[E0308]: mismatched types)"), "{err}");
    let log = |line: &str| line.contains("WARN") && line.ends_with("error: could not compile `candle-core`");
    assert!(err.lines().any(log), "{err}");
}

/// Before minutes of building, which would take the released candle instead.
#[test]
fn a_candle_of_another_version_is_an_error() {
    let place = Place::candle("candle = { path = \"candle\" }");
    place.commit_candle("candle", "unfit");
    let (exit, _, err) = place.ci_with_cargo(&[]);
    assert_eq!((exit, place.builds()), (2, 0));
    assert!(err.contains("its version doesn't fit the one that bench-diff needs"), "{err}");
}

#[test]
fn a_branch_is_fetched_and_its_commit_recorded() {
    let place = Place::candle("candle = { git = \"./upstream\", rev = \"main\" }");
    let first = place.commit_candle("upstream", "100");
    assert_eq!(place.measures(&[]), json!(first));
    assert_eq!((place.measures(&[]), place.builds()), (json!(first), 1), "what is built is kept");
    let second = place.commit_candle("upstream", "90");
    assert_eq!((place.measures(&[]), place.builds()), (json!(second), 2), "the branch has moved");
}

#[test]
fn a_commit_that_was_fetched_needs_no_network() {
    let place = Place::candle("");
    let commit = place.commit_candle("upstream", "100");
    place.configure(&format!("candle = {{ git = \"./upstream\", rev = \"{commit}\" }}"));
    assert_eq!(place.measures(&[]), json!(commit));
    std::fs::rename(place.path("upstream"), place.path("gone")).unwrap();
    assert_eq!(place.measures(&[]), json!(commit));
    let (exit, _, err) = Place::candle("candle = { git = \"./nowhere\", rev = \"main\" }").ci_with_cargo(&[]);
    assert_eq!(exit, 2);
    assert!(err.starts_with("error: can't fetch main of ") && err.contains("nowhere"), "{err}");
}

/// A pull request that changes the candle which the configuration names is judged by the one that was named before.
#[test]
fn the_base_is_the_candle_that_the_bases_configuration_names() {
    let place = Place::candle("candle = { git = \"./upstream\", rev = \"v1\" }");
    let old = place.commit_candle("upstream", "100");
    place.git(&["-C", "upstream", "tag", "v1"]);
    std::fs::write(place.path(".gitignore"), "bin\nsource\nupstream\n.bench-diff\n").unwrap();
    place.git(&["init", "--quiet", "--initial-branch", "main"]);
    place.commit("v1");
    place.git(&["switch", "--quiet", "--create", "newer"]);
    std::fs::write(place.path("readme"), "no other candle").unwrap();
    place.commit("something else");
    let (exit, _, err) = place.ci_with_cargo(&["--base-ref", "main"]);
    assert_eq!(exit, 0);
    assert!(
        err.contains("not measuring the base: bench-diff.toml of") && err.contains("names the same candle"),
        "{err}"
    );

    let new = place.commit_candle("upstream", "80");
    place.git(&["-C", "upstream", "tag", "v2"]);
    place.configure("candle = { git = \"./upstream\", rev = \"v2\" }");
    place.commit("v2");
    std::fs::remove_dir_all(place.path(".bench-diff/baselines")).unwrap();
    let (exit, _, err) = place.ci_with_cargo(&["--base-ref", "main", "--fail-on", "regression"]);
    assert_eq!(exit, 1, "{err}");
    assert_eq!((place.measured("base"), place.measured("head")), (json!(old), json!(new)));
}

#[test]
fn a_base_that_names_no_commit_of_candle_is_not_measured() {
    // Where the base named none, there is nothing to compare with; the other can't be had any more.
    for (then, why, code) in [
        (None, "there is no bench-diff.toml of", 0),
        (Some("candle = { path = \"candle\" }"), "names the candle in ./candle, not a commit", 1),
    ] {
        let place = Place::candle("candle = { git = \"./upstream\", rev = \"main\" }");
        place.commit_candle("upstream", "100");
        std::fs::write(place.path(".gitignore"), "bin\nsource\nupstream\n.bench-diff\n").unwrap();
        let now = std::fs::read(place.path("bench-diff.toml")).unwrap();
        match then {
            None => std::fs::remove_file(place.path("bench-diff.toml")).unwrap(),
            Some(candle) => place.configure(candle),
        }
        place.git(&["init", "--quiet", "--initial-branch", "main"]);
        place.commit("then");
        place.git(&["switch", "--quiet", "--create", "newer"]);
        std::fs::write(place.path("bench-diff.toml"), now).unwrap();
        place.commit("now");
        let (exit, _, err) = place.ci_with_cargo(&["--base-ref", "main"]);
        assert_eq!(exit, code, "{err}");
        assert!(err.contains("not measuring the base: ") && err.contains(why), "{err}");
    }
}

/// A program that is there isn't built, whatever the configuration says of candle.
#[test]
fn a_program_that_is_there_is_no_build_of_candle() {
    let place = Place::candle("candle = { path = \"candle\" }");
    place.commit_candle("candle", "100");
    let head = place.program("head", "100", "aaaaaaa");
    let (exit, _, err) = place.ci_with_cargo(&["--head-binary", &head]);
    assert_eq!((exit, place.builds()), (0, 0), "{err}");
    assert!(!err.contains("not measuring the base"), "{err}");
    assert!(place.report()["origin"]["commit"].is_null(), "what is checked out here is no candle");
}

/// A fork of candle measures itself: the base is built from the commit where the branch began.
#[test]
fn a_pull_request_to_candle_is_measured_against_its_base() {
    let place = Place::candle("candle = { path = \"candle\" }");
    let base = place.commit_candle("candle", "100");
    place.git(&["-C", "candle", "switch", "--quiet", "--create", "slower"]);
    let head = place.commit_candle("candle", "80");
    let (exit, out, err) = place.with_cargo(&["ci"], &["--base-ref", "main", "--fail-on", "regression"]);
    assert_eq!(exit, 1, "{err}");
    assert_eq!((place.measured("base"), place.measured("head")), (json!(base), json!(head)));
    assert!(err.contains(&format!("building bench-diff against candle {head} in ")), "{err}");
    let again = format!("bench-diff ab {base} {head} --suite small\n");
    assert!(out.contains(&again), "{out}");
}

/// What both sides share must be the same, or its change would be blamed on candle.
#[test]
fn a_bench_diff_that_changes_between_the_builds_is_an_error() {
    let place = Place::candle("candle = { path = \"candle\" }");
    place.commit_candle("candle", "100");
    place.git(&["-C", "candle", "switch", "--quiet", "--create", "slower"]);
    place.commit_candle("candle", "80");
    std::fs::write(place.path("bin/edits"), place.path("source/build.rs").to_str().unwrap()).unwrap();
    let (exit, _, err) = place.ci_with_cargo(&["--base-ref", "main"]);
    assert_eq!((exit, place.builds()), (2, 1), "{err}");
    let error = err.lines().find(|line| line.starts_with("error: bench-diff's source in ")).unwrap();
    assert!(error.ends_with("has changed since the other side was built, and both must be of the same"), "{err}");
    assert!(err.ends_with("\n  hint: run it again\n"), "{err}");
}

#[test]
fn plan_shows_it_and_run_says_that_it_does_not_build() {
    let place = Place::candle("candle = { git = \"https://example.com/candle\", rev = \"main\" }");
    let (exit, out, err) = place.run(&["plan"]);
    assert_eq!(exit, 0, "{err}");
    assert!(
        out.contains("\nBuilt against the candle main of https://example.com/candle, by `bench-diff ci`\n"),
        "{out}"
    );
    let (_, out, _) = place.run(&["plan", "--format", "json"]);
    let plan: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(plan["candle"], json!({"git": "https://example.com/candle", "rev": "main"}));
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/qwen2.5-tiny");
    let small = ["--device", "cpu", "--weights", "generated", "--context-lengths", "1", "--generated-length", "2"];
    let (_, _, err) = place.run(&[&["run", "--quiet", "--runs", "1", "--model", model][..], &small].concat());
    assert!(err.starts_with("warning: measuring this program; only `bench-diff ci` builds one"), "{err}");
}
