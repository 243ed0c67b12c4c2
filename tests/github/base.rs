//! `bench-diff base`: the commits that a pull request is judged by, on every event, in whole and in shallow clones.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::fake::GitHub;
use crate::step::{Step, stderr};

/// GitHub with a repository of two branches, which parted one commit ago: `main` and, for pull request 7, `faster`.
pub struct Place {
    pub github: GitHub,
    directory: tempfile::TempDir,
    /// Where the branches parted.
    pub parted: String,
    pub main: String,
    pub faster: String,
}

pub fn git(directory: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=test", "-c", "user.email=test@example.com"]).args(args);
    let output = command.current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let origin = directory.path().join("server/acme/candle");
        std::fs::create_dir_all(&origin).unwrap();
        git(&origin, &["init", "--quiet", "--initial-branch", "main"]);
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ci/program.sh");
        std::fs::copy(template, origin.join("program.sh")).unwrap();
        std::fs::write(origin.join("bench-diff.toml"), SUITE).unwrap();
        std::fs::write(origin.join(".gitignore"), "built\nprogram\n*.count\n").unwrap();
        let commit = |name: &str, speed: &str| {
            std::fs::write(origin.join("speed"), speed).unwrap();
            git(&origin, &["add", "--all"]);
            git(&origin, &["commit", "--quiet", "--allow-empty", "--message", name]);
            git(&origin, &["rev-parse", "HEAD"])
        };
        commit("first", "100");
        let parted = commit("where they parted", "100");
        let main = commit("main goes on", "100");
        git(&origin, &["switch", "--quiet", "--create", "faster", &parted]);
        let faster = commit("faster", "80");
        git(&origin, &["switch", "--quiet", "main"]);
        let github = GitHub::start();
        github.state().pulls.insert(7, pull(&main, &faster));
        Self { github, directory, parted, main, faster }
    }

    pub fn server(&self) -> PathBuf {
        self.directory.path().join("server")
    }

    /// A clone at the head of the pull request.
    pub fn clone(&self, flags: &[&str]) -> PathBuf {
        let origin = format!("file://{}", self.server().join("acme/candle").display());
        let to = self.directory.path().join("clone");
        let path = to.to_str().unwrap();
        git(self.directory.path(), &[&["clone", "--quiet"], flags, &["--branch", "faster", &origin, path]].concat());
        to
    }

    /// A step without a token gets one, as the Action's first step.
    fn step(&self, event: &str, payload: Value) -> Step {
        let mut payload = payload;
        payload["repository"] = json!({ "default_branch": "main" });
        let server = format!("file://{}", self.server().display());
        Step::new(&self.github, event, payload).set("GITHUB_SERVER_URL", &server)
    }

    pub fn pull_request(&self) -> Step {
        self.step("pull_request", json!({ "pull_request": pull(&self.main, &self.faster) }))
    }
}

const SUITE: &str = "[suites.small]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\ncontext-lengths = [1]\n";

pub const BUILD: &str =
    "sed \"s/SPEED/$(cat speed)/g; s/COMMIT/$(git rev-parse HEAD)/\" program.sh > built && install -m755 built program";

fn pull(base: &str, head: &str) -> Value {
    json!({
        "number": 7, "state": "open",
        "head": { "sha": head, "ref": "faster", "repo": { "full_name": "acme/candle" } },
        "base": { "sha": base, "ref": "main", "repo": { "full_name": "acme/candle" } },
    })
}

/// Each event with what it says; the flags that its workflow adds.
fn events(place: &Place) -> Vec<(&'static str, Value, &'static [&'static str])> {
    let run = json!({ "id": 41, "head_sha": place.faster, "head_branch": "faster", "pull_requests": [] });
    let zero = "0".repeat(40);
    vec![
        ("pull_request", json!({ "pull_request": pull(&place.main, &place.faster) }), &[]),
        ("issue_comment", json!({ "issue": { "number": 7, "pull_request": {} } }), &[]),
        ("workflow_run", json!({ "workflow_run": run }), &[]),
        ("workflow_dispatch", json!({ "inputs": { "pr-number": "7" } }), &[]),
        ("workflow_dispatch", json!({ "inputs": null }), &["--pr-number", "7"]),
        ("push", json!({ "before": place.parted, "after": place.faster }), &["--pr-number", "7"]),
        // Nothing names a pull request: the default branch.
        ("push", json!({ "before": zero, "after": place.faster }), &[]),
        ("release", json!({ "release": { "tag_name": "v1" } }), &[]),
        ("schedule", json!({}), &["--base-ref", "main"]),
    ]
}

#[test]
fn every_event_leads_to_its_base_in_a_whole_clone() {
    let place = Place::new();
    let clone = place.clone(&[]);
    for (event, payload, flags) in events(&place) {
        let step = place.step(event, payload);
        let output = step.run_in(&clone, &[&["base"], flags].concat());
        assert!(output.status.success(), "{event}: {}", stderr(&output));
        assert_eq!(step.output("base-commit"), place.main, "{event} {flags:?}: {}", stderr(&output));
        assert_eq!(step.output("merge-base"), place.parted, "{event}: {}", stderr(&output));
    }
    assert_eq!(place.github.state().count("GET /repos/acme/candle/compare"), 0, "git knows");
}

#[test]
fn every_event_leads_to_its_base_in_a_shallow_clone() {
    let place = Place::new();
    let range = format!("{}...{}", place.main, place.faster);
    place.github.state().merge_bases.insert(range, place.parted.clone());
    for (event, payload, flags) in events(&place) {
        let clone = place.clone(&["--depth", "1"]);
        let step = place.step(event, payload);
        let output = step.run_in(&clone, &[&["base"], flags].concat());
        assert!(output.status.success(), "{event}: {}", stderr(&output));
        assert_eq!(step.output("base-commit"), place.main, "{event} {flags:?}: {}", stderr(&output));
        assert_eq!(step.output("merge-base"), place.parted, "{event}: {}", stderr(&output));
        for commit in [&place.main, &place.parted] {
            git(&clone, &["cat-file", "-e", &format!("{commit}^{{tree}}")]);
        }
        assert_eq!(git(&clone, &["rev-list", "--count", "HEAD"]), "1", "no more history than is needed");
        std::fs::remove_dir_all(clone).unwrap();
    }
}

/// The queue's target need not be the default branch.
#[test]
fn a_merge_queue_is_judged_by_the_base_that_its_event_names() {
    let place = Place::new();
    let clone = place.clone(&[]);
    let group = json!({ "head_sha": place.faster, "base_sha": place.parted, "base_ref": "refs/heads/release" });
    let step = place.step("merge_group", json!({ "merge_group": group }));
    let output = step.run_in(&clone, &["base"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(step.output("base-commit"), place.parted, "not the default branch's: {}", stderr(&output));
    assert_eq!(step.output("merge-base"), place.parted);
}

#[test]
fn a_push_to_a_branch_is_judged_by_what_was_there_before() {
    let place = Place::new();
    let clone = place.clone(&[]);
    let step = place.step("push", json!({ "before": place.parted, "after": place.faster }));
    assert!(step.run_in(&clone, &["base"]).status.success());
    assert_eq!((step.output("base-commit"), step.output("merge-base")), (place.parted.clone(), place.parted.clone()));
}

/// What the caller names comes before what the event says, and is not asked for where the event has said it.
#[test]
fn a_named_pull_request_counts() {
    let place = Place::new();
    let clone = place.clone(&[]);
    place.github.state().pulls.insert(8, pull(&place.parted, &place.faster));
    for (number, base) in [("7", &place.main), ("8", &place.parted)] {
        let step = place.pull_request();
        let output = step.run_in(&clone, &["base", "--pr-number", number]);
        assert_eq!(step.output("base-commit"), *base, "{}", stderr(&output));
    }
    assert_eq!(place.github.state().count("GET /repos/acme/candle/pulls/7"), 0);
    // Where GitHub can't be asked, the event has to do.
    let push = json!({ "before": place.parted, "after": place.faster });
    let step = place.step("push", push).set("GITHUB_TOKEN", "");
    let output = step.run_in(&clone, &["base", "--pr-number", "7"]);
    assert_eq!(step.output("base-commit"), place.parted, "{}", stderr(&output));
}

#[test]
fn a_pull_request_that_github_doesnt_have_is_judged_by_the_default_branch() {
    let place = Place::new();
    let clone = place.clone(&[]);
    let payload = json!({ "issue": { "number": 9, "pull_request": {} } });
    let step = place.step("issue_comment", payload.clone());
    let output = step.run_in(&clone, &["base"]);
    assert_eq!(step.output("base-commit"), place.main, "{}", stderr(&output));
    let step = Step::new(&place.github, "issue_comment", payload);
    let said = stderr(&step.run_in(&clone, &["base"]));
    assert!(
        said.contains("pulls/9") && said.contains("; neither the event nor GitHub says what the base is"),
        "{said}"
    );
}

/// A release lies on the default branch: there is nothing to measure it against but its baselines.
#[test]
fn what_is_part_of_the_base_has_no_base_to_measure() {
    let place = Place::new();
    let clone = place.clone(&[]);
    git(&clone, &["switch", "--quiet", "--detach", &place.main]);
    let step = place.step("release", json!({ "release": { "tag_name": "v1" } }));
    let output = step.run_in(&clone, &["base"]);
    assert!(output.status.success());
    assert_eq!(step.output("base-commit"), place.main);
    assert!(!step.read("output").contains("merge-base"));
    assert!(stderr(&output).contains("HEAD is part of the base"), "{}", stderr(&output));
}

/// The second step has no token: what the first one found is built and measured.
#[test]
fn what_was_found_is_measured_without_a_token() {
    let place = Place::new();
    let range = format!("{}...{}", place.main, place.faster);
    place.github.state().merge_bases.insert(range, place.parted.clone());
    let clone = place.clone(&["--depth", "1"]);
    let step = place.step("issue_comment", json!({ "issue": { "number": 7, "pull_request": {} } }));
    assert!(step.run_in(&clone, &["base"]).status.success());
    let requests = place.github.state().requests.len();
    let (base, merge_base) = (step.output("base-commit"), step.output("merge-base"));
    build(&clone);
    let output = step
        .set("GITHUB_TOKEN", "")
        .run_in(&clone, &[&CI[..], &["--base-commit", &base, "--merge-base", &merge_base, "--output", "out"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let report = report(&clone);
    assert_eq!(report["base"]["sessions"][0]["program"]["commit"], json!(place.parted));
    assert_eq!(report["comparison"]["verdict"], "regressed");
    assert_eq!(place.github.state().requests.len(), requests);
}

/// `ci` alone, as on a runner that keeps its clone: git can fetch, GitHub can't be asked.
#[test]
fn without_a_token_a_shallow_clone_is_deepened() {
    let place = Place::new();
    let clone = place.clone(&["--depth", "1"]);
    build(&clone);
    let step = place.pull_request().set("GITHUB_TOKEN", "");
    let output = step.run_in(&clone, &[&CI[..], &["--output", "out"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(report(&clone)["base"]["sessions"][0]["program"]["commit"], json!(place.parted));
}

/// GitHub doesn't know the commit, or can't be reached: git's own history has to do.
#[test]
fn when_github_cannot_tell_the_clone_is_deepened() {
    let place = Place::new();
    let clone = place.clone(&["--depth", "1"]);
    let step = place.pull_request();
    let output = step.run_in(&clone, &["base"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(place.github.state().count("GET /repos/acme/candle/compare"), 1);
    assert_eq!(step.output("merge-base"), place.parted);
}

#[test]
fn out_of_reach_the_report_says_so_and_nothing_is_confirmed() {
    let place = Place::new();
    let clone = place.clone(&["--depth", "1"]);
    // A baseline of a faster program, in the checkout.
    let origin = place.server().join("acme/candle");
    build(&origin);
    let step = place.step("schedule", json!({}));
    for args in [&[&CI[..], &["--output", "out"]].concat()[..], &["baseline", "update", "out/results.json"]] {
        let output = step.run_in(&origin, args);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    std::fs::rename(origin.join("baselines"), clone.join("baselines")).unwrap();
    std::fs::remove_dir_all(place.server()).unwrap();
    build(&clone);
    for token in ["actions-token", ""] {
        let step = place.pull_request().set("GITHUB_TOKEN", token);
        let found = step.run_in(&clone, &["base"]);
        assert!(found.status.success() && found.stdout.is_empty(), "{}", stderr(&found));
        let output = step.run_in(&clone, &[&CI[..], &["--output", "out"]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let report = report(&clone);
        let warnings = report["comparison"]["warnings"].to_string();
        let lacks = format!("this clone lacks the commit {}", place.main);
        assert!(warnings.contains(&format!("what looks changed was not measured again: {lacks}")), "{warnings}");
        assert!(
            warnings
                .contains("judged by the checkout's baselines and configuration, which a pull request could change"),
            "{warnings}"
        );
        assert_ne!(report["comparison"]["tier"], "confirmed");
    }
}

/// The step after this one needs them: it isn't the output of this command that can't be written.
#[test]
fn an_output_that_cannot_be_set_is_named() {
    let place = Place::new();
    let step = place.pull_request().set("GITHUB_OUTPUT", "/nowhere/at/all");
    let output = step.run_in(&place.clone(&[]), &["base"]);
    assert_eq!(output.status.code(), Some(2));
    let said = "error: can't set the output base-commit: No such file or directory (os error 2)\n";
    assert!(stderr(&output).ends_with(said), "{}", stderr(&output));
}

/// Names from outside never become options of git.
#[test]
fn a_name_is_a_name() {
    let place = Place::new();
    let clone = place.clone(&["--depth", "1"]);
    for name in ["--upload-pack=touch hacked", "main:main", "+main", "a b", ""] {
        let output = place.step("schedule", json!({})).run_in(&clone, &["base", &format!("--base-ref={name}")]);
        assert_eq!(output.status.code(), Some(2), "{name}: {}", stderr(&output));
    }
    let mut payload = json!({ "release": {} });
    payload["repository"] = json!({ "default_branch": "--upload-pack=touch hacked" });
    let step = Step::new(&place.github, "release", payload);
    let output = step.run_in(&clone, &["base"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", stderr(&output));
    let mut bad = pull(&place.main, &place.faster);
    bad["base"]["sha"] = json!("--upload-pack=touch hacked");
    let output = place.step("pull_request", json!({ "pull_request": bad })).run_in(&clone, &["base"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", stderr(&output));
    assert!(stderr(&output).contains("is not a commit"), "{}", stderr(&output));
    assert!(!clone.join("hacked").exists());
}

pub const CI: [&str; 7] = ["ci", "--quiet", "--no-publish", "--build-command", BUILD, "--head-binary", "./program"];

pub fn build(directory: &Path) {
    let built = Command::new("bash").args(["-c", BUILD]).current_dir(directory).status().unwrap();
    assert!(built.success());
}

pub fn report(clone: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(clone.join("out/report.json")).unwrap()).unwrap()
}
