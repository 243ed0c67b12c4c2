//! What the commands of a workflow start: nothing that the clone's settings name, and nobody sees a secret.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::base::{BUILD, CI, Place, build, git, report};
use crate::shims::{CANARIES, Shims};
use crate::step::{Step, stderr};

fn with_canaries(step: Step, shims: &Shims) -> Step {
    let step = CANARIES.iter().fold(step, |step, (name, value)| step.set(name, value));
    step.set("PATH", &shims.path())
}

/// Every program that `base`, `ci`, `run` and `publish` start, in a job that has secrets in every step.
#[test]
fn no_child_sees_a_secret() {
    let place = Place::new();
    let range = format!("{}...{}", place.main, place.faster);
    place.github.state().merge_bases.insert(range, place.parted.clone());
    let clone = place.clone(&["--depth", "1"]);
    build(&clone);
    let shims = Shims::of(&["git", "bash", "sh", "awk", "sed", "cat", "install", "cp", "ssh", "nvidia-smi"]);
    let step = with_canaries(place.pull_request(), &shims);
    assert!(step.run_in(&clone, &["base"]).status.success());
    shims.check(&["git"]);
    let fetched = shims.started().iter().any(|(_, environment)| environment.contains("BENCH_DIFF_PASSWORD"));
    assert!(fetched, "the token is for fetching");
    let ci = ["ci", "--quiet", "--build-command", BUILD, "--head-binary", "./program", "--output", "out"];
    for args in [&ci[..], &["run", "--quiet", "--worker", "program"], &["publish", "--results", "out"]] {
        let output = step.run_in(&clone, args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    }
    assert_eq!(report(&clone)["base"]["sessions"][0]["program"]["commit"], json!(place.parted));
    shims.check(&["git", "bash", "sed", "install", "awk", "cat"]);
}

/// A clone in which somebody has put a command wherever git takes one.
struct Hostile {
    clone: PathBuf,
    evil: PathBuf,
}

impl Hostile {
    fn of(clone: PathBuf) -> Self {
        let evil = clone.join(".git/evil");
        std::fs::create_dir(&evil).unwrap();
        let script = format!("#!/bin/sh\necho \"$0 $*\" >> {}/ran\nexit 1\n", evil.display());
        let hooks = ["post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc", "post-merge"];
        for name in [&["run"], &hooks[..]].concat() {
            for path in [evil.join(name), clone.join(".git/hooks").join(name)] {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &script).unwrap();
                std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
            }
        }
        let hostile = Self { clone, evil };
        hostile.set_all();
        hostile
    }

    fn set_all(&self) {
        let run = self.evil.join("run").display().to_string();
        let shell = format!("!{run}");
        let evil = self.evil.display().to_string();
        let (included, elsewhere) = (format!("{evil}/included"), format!("url.ext::{run}.insteadOf"));
        std::fs::write(&included, format!("[core]\n\tfsmonitor = {run}\n")).unwrap();
        for (name, value) in [
            ("core.repositoryFormatVersion", "1"),
            ("core.fsmonitor", &run),
            ("core.hooksPath", &evil),
            ("core.sshCommand", &run),
            ("core.askPass", &run),
            ("core.gitProxy", &run),
            ("core.pager", &run),
            ("core.editor", &run),
            ("core.alternateRefsCommand", &run),
            ("core.worktree", &evil),
            ("credential.helper", &shell),
            ("diff.external", &run),
            ("filter.x.clean", &run),
            ("filter.x.smudge", &run),
            ("filter.x.required", "true"),
            ("gpg.program", &run),
            ("include.path", &included),
            ("protocol.ext.allow", "always"),
            ("alias.ls-tree", &shell),
            ("remote.origin.promisor", "true"),
            ("remote.origin.uploadpack", &run),
            ("extensions.partialClone", "origin"),
            (&elsewhere, "file://"),
        ] {
            git(Path::new("/"), &["config", "--file", self.config().to_str().unwrap(), name, value]);
        }
        std::fs::create_dir_all(self.clone.join(".git/info")).unwrap();
        std::fs::write(self.clone.join(".git/info/attributes"), "* filter=x\n").unwrap();
        // Changed, so that git would look at what is in it.
        std::fs::write(self.clone.join("speed"), "81").unwrap();
    }

    fn config(&self) -> PathBuf {
        self.clone.join(".git/config")
    }

    /// What of it ran.
    fn ran(&self) -> String {
        std::fs::read_to_string(self.evil.join("ran")).unwrap_or_default()
    }
}

#[test]
fn nothing_that_a_clones_settings_name_is_run() {
    for token in ["actions-token", ""] {
        let place = Place::new();
        let range = format!("{}...{}", place.main, place.faster);
        place.github.state().merge_bases.insert(range, place.parted.clone());
        let clone = place.clone(&["--depth", "1"]);
        build(&clone);
        let hostile = Hostile::of(clone.clone());
        let step = place.pull_request().set("GITHUB_TOKEN", token);
        for args in [&["base"][..], &[&CI[..], &["--output", "out"]].concat()] {
            let output = step.run_in(&clone, args);
            assert!(output.status.success(), "{args:?}: {}", stderr(&output));
            assert_eq!(hostile.ran(), "", "{args:?} with the token `{token}`");
        }
        assert_eq!(step.output("merge-base"), place.parted);
        assert_eq!(report(&clone)["base"]["sessions"][0]["program"]["commit"], json!(place.parted));
    }
}

/// What a missing object would be fetched with.
#[test]
fn a_missing_object_is_missing() {
    let place = Place::new();
    let clone = place.clone(&[]);
    unpack(&clone);
    let hostile = Hostile::of(clone.clone());
    let blob = git(&place.server().join("acme/candle"), &["rev-parse", &format!("{}:speed", place.main)]);
    std::fs::remove_file(clone.join(".git/objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    let output = place.pull_request().run_in(&clone, &[&CI[..], &["--output", "out"]].concat());
    assert_eq!(hostile.ran(), "", "{}", stderr(&output));
}

/// Every object a file of its own.
fn unpack(clone: &Path) {
    let packs = clone.join(".git/objects/pack");
    for pack in std::fs::read_dir(&packs).unwrap().map(|entry| entry.unwrap().path()) {
        if pack.extension().is_some_and(|extension| extension == "pack") {
            let moved = clone.join("moved.pack");
            std::fs::rename(&pack, &moved).unwrap();
            let status = std::process::Command::new("git")
                .args(["--git-dir", clone.join(".git").to_str().unwrap(), "unpack-objects", "-q"])
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .stdin(std::fs::File::open(&moved).unwrap())
                .status();
            assert!(status.unwrap().success());
        }
    }
}

/// The clone's `origin` is an address, or nothing is fetched.
#[test]
fn an_origin_that_is_a_command_is_refused() {
    let place = Place::new();
    let clone = place.clone(&["--depth", "1"]);
    let hacked = clone.join("hacked");
    for url in [format!("ext::sh -c touch% {}", hacked.display()), "--upload-pack=touch hacked".into()] {
        git(&clone, &["config", "remote.origin.url", &url]);
        let output = place.pull_request().set("GITHUB_TOKEN", "").run_in(&clone, &["base"]);
        assert!(output.status.success() && output.stdout.is_empty(), "{}", stderr(&output));
        assert!(stderr(&output).contains("the clone's `origin` is no address"), "{}", stderr(&output));
        assert!(!hacked.exists());
    }
}

/// A name under `refs/replace/` shows a commit of the base with other files: the pull request's.
#[test]
fn a_replaced_commit_is_read_as_it_is() {
    let place = Place::new();
    let clone = place.clone(&[]);
    build(&clone);
    git(&clone, &["replace", &place.parted, &place.faster]);
    let output = place.pull_request().run_in(&clone, &[&CI[..], &["--output", "out"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(report(&clone)["comparison"]["verdict"], "regressed", "100 is the base's speed, 80 the head's");
}
