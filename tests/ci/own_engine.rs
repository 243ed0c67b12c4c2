//! A repository that benchmarks an engine of its own: base and head are two states of that engine.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Place, Said, read};

/// Settings that every suite here has.
const SMALL: &str = "device = \"cpu\"\nweights = \"generated\"\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\ncontext-lengths = [1]\n\
    generated-length = 4\nwarmup = 0\nruns = 4\nmetrics = [\"decode_throughput\"]\n";
const BUILT: &str = "command = [\"./target/engine\"]\nbuild = [\"./build.sh\", \"engine.in\"]\n";
/// As a compiler would: it reads what is committed, and writes what isn't. A `step` that is no number doesn't compile.
const BUILD: &str = "#!/bin/sh\nstep=$(cat step)\necho built >> builds\nenv > build-environment\n\
    if [ \"$step\" = broken ]; then printf 'compiling toy\\nerror: no such step\\naborting\\n'; exit 9; fi\n\
    mkdir -p target && sed \"s/STEP/$step/\" \"$1\" > target/new && install -m755 target/new target/engine\n";

fn engine() -> String {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ci/own_engine.sh");
    std::fs::read_to_string(template).unwrap()
}

/// A repository whose engine takes that many milliseconds a token on main; a branch is checked out.
fn repository(step: &str) -> Place {
    let place = Place::with_config(&format!("{BUILT}[suites.mine]\n{SMALL}"));
    place.install("build.sh", BUILD);
    std::fs::remove_file(place.path("build.sh.source")).unwrap();
    std::fs::write(place.path("engine.in"), engine()).unwrap();
    std::fs::write(place.path(".gitignore"), "target\nout\nevent.json\ncount\nbuilds\n*environment\n").unwrap();
    std::fs::write(place.path("step"), step).unwrap();
    place.git(&["init", "--quiet", "--initial-branch", "main"]);
    place.commit("main");
    place.git(&["switch", "--quiet", "--create", "branch"]);
    place
}

/// The same, with an engine that needs no building.
fn interpreted(step: &str) -> Place {
    let place = Place::with_config(&format!("command = [\"sh\", \"engine.sh\"]\n[suites.mine]\n{SMALL}"));
    std::fs::write(place.path("engine.sh"), engine().replace("STEP", step)).unwrap();
    std::fs::write(place.path(".gitignore"), "out\nevent.json\ncount\nenvironment\n").unwrap();
    place.git(&["init", "--quiet", "--initial-branch", "main"]);
    place.commit("main");
    place.git(&["switch", "--quiet", "--create", "branch"]);
    place
}

impl Place {
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        self.commit(name);
    }

    /// In a workflow, of this pull request.
    fn measure(&self, flags: &[&str]) -> Said {
        let head = self.git(&["rev-parse", "HEAD"]);
        self.measure_started_by(&head, &head, flags)
    }

    /// The same, of a pull request with this head; the run was started for `commit`.
    fn measure_started_by(&self, commit: &str, head: &str, flags: &[&str]) -> Said {
        let base = self.git(&["rev-parse", "main"]);
        let pull = json!({ "number": 7, "head": { "sha": head }, "base": { "sha": base } });
        std::fs::write(self.path("event.json"), json!({ "pull_request": pull }).to_string()).unwrap();
        let event = self.path("event.json").display().to_string();
        self.run_with(
            &[&["ci", "--quiet", "--no-publish", "--output", "out"], flags].concat(),
            &[
                ("GITHUB_REPOSITORY", "acme/toy"),
                ("GITHUB_EVENT_NAME", "pull_request"),
                ("GITHUB_EVENT_PATH", &event),
                ("GITHUB_TOKEN", "s3cret-t0ken"),
                ("GITHUB_SHA", commit),
                ("CARGO_TARGET_DIR", "/nowhere"),
            ],
        )
    }

    /// What publishing makes of it: its exit code, and the comment.
    fn published(&self) -> (i32, String) {
        let (exit, out, _) = self.run(&["publish", "--results", "out", "--fail-on", "regression,not-comparable"]);
        (exit, out)
    }

    fn measured_report(&self) -> Value {
        read(&self.path("out/report.json"))
    }

    fn short(&self, name: &str) -> String {
        self.git(&["rev-parse", "--short=9", name])
    }

    /// The work trees of commits.
    fn trees(&self) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(self.path(".bench-diff/builds")).unwrap();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.join(".git").is_dir()).collect()
    }
}

/// The commits of the engines that ran.
fn engines(results: &Value) -> Vec<Value> {
    let runs = results["sessions"][0]["runs"].as_array().unwrap().iter();
    let mut commits: Vec<Value> = runs.map(|run| run["program"]["commit"].clone()).collect();
    commits.dedup();
    commits
}

#[test]
fn a_slower_engine_is_told_and_the_pull_requests_commit_is_shown() {
    let place = repository("10");
    place.write("step", "12");
    let (exit, _, err) = place.measure(&[]);
    assert_eq!(exit, 0, "{err}");
    let report = place.measured_report();
    let comparison = &report["comparison"];
    assert_eq!((&comparison["verdict"], &comparison["tier"]), (&json!("regressed"), &json!("confirmed")));
    assert_eq!(comparison["rows"][0]["base_again"]["n"], 4, "beside the base again");
    let of = |name: &str| json!(place.git(&["rev-parse", name]));
    assert_eq!((engines(&report["base"]), engines(&report["head"])), (vec![of("main")], vec![of("HEAD")]));
    let (exit, comment) = place.published();
    assert_eq!(exit, 1, "{comment}");
    assert!(comment.starts_with("### 🔴 Slower: decode −1"), "{comment}");
    let (base, head) = (place.short("main"), place.short("HEAD"));
    assert!(comment.contains(&format!("base `{base}`")) && comment.contains(&format!("PR `{head}`")), "{comment}");
    assert!(!comment.contains("measured as"), "{comment}");
    let (base, head) = (of("main"), of("HEAD"));
    let again = format!("bench-diff ab {} {} --suite mine", base.as_str().unwrap(), head.as_str().unwrap());
    assert!(comment.contains(&again), "{comment}");
}

/// Main has become faster since the branch was made, and GitHub checks out the merge of both: the branch's own commit against main
/// would be slower.
#[test]
fn what_reproduces_it_names_what_was_measured() {
    let place = repository("10");
    let left = place.git(&["rev-parse", "main"]);
    place.write("README", "more");
    let own = place.git(&["rev-parse", "HEAD"]);
    place.git(&["switch", "--quiet", "main"]);
    place.write("step", "8");
    let tip = place.git(&["rev-parse", "main"]);
    place.git(&["switch", "--quiet", "--detach"]);
    place.git(&["-c", "user.name=a", "-c", "user.email=a@b", "merge", "--quiet", "--no-ff", "--no-edit", &own]);
    let merge = place.git(&["rev-parse", "HEAD"]);
    let fetched = format!("git fetch origin {merge}\nbench-diff ab {tip} {merge} --suite mine");
    // A merge of the workflow's own is nowhere else.
    for (commit, command) in [(&merge, fetched), (&tip, format!("sh\nbench-diff ab {left} {own} --suite mine"))] {
        let (exit, _, err) = place.measure_started_by(commit, &own, &[]);
        assert_eq!(exit, 0, "{err}");
        assert_eq!(place.measured_report()["comparison"]["verdict"], "unchanged");
        let (_, comment) = place.published();
        assert!(comment.contains(&command), "{command}: {comment}");
    }
}

/// Each side is built in a tree of its own, the base once; neither sees a token, nor another place for what is built.
#[test]
fn both_are_built_in_trees_of_their_own() {
    let place = repository("10");
    place.write("README", "more");
    for _ in 0..2 {
        let (exit, _, err) = place.measure(&[]);
        assert_eq!(exit, 0, "{err}");
        assert_eq!(place.measured_report()["comparison"]["verdict"], "unchanged", "equal engines");
    }
    let [tree] = &place.trees()[..] else { panic!("one work tree: {:?}", place.trees()) };
    let builds = |at: &Path| std::fs::read_to_string(at.join("builds")).unwrap().lines().count();
    assert_eq!((builds(tree), builds(&place.path(""))), (1, 2), "what is built of a commit is kept");
    assert!(tree.join("count").is_file(), "and started there");
    for at in [tree.as_path(), &place.path("")] {
        for name in ["environment", "build-environment"] {
            let seen = std::fs::read_to_string(at.join(name)).unwrap();
            assert!(!seen.contains("s3cret-t0ken") && !seen.contains("CARGO_TARGET_DIR"), "{name}: {seen}");
        }
    }
}

/// How a program is built and started is a part of its commit.
#[test]
fn each_side_is_started_as_its_own_configuration_says() {
    let place = interpreted("10");
    place.git(&["mv", "engine.sh", "faster.sh"]);
    std::fs::write(place.path("faster.sh"), engine().replace("STEP", "8")).unwrap();
    let config = std::fs::read_to_string(place.path("bench-diff.toml")).unwrap();
    place.write("bench-diff.toml", &config.replace("engine.sh", "faster.sh"));
    let (exit, _, err) = place.measure(&[]);
    assert_eq!(exit, 0, "{err}");
    let (exit, comment) = place.published();
    assert_eq!(exit, 0, "{comment}");
    assert!(comment.starts_with("### 🟢 Faster: decode +2"), "{comment}");
    assert!(comment.contains("changes the suite: command sh engine.sh → sh faster.sh"), "{comment}");
}

/// Neither beside the base's nor in its place: what counts as a change is the base's to say, and its suite was to be judged.
#[test]
fn another_suite_is_no_way_out() {
    let lenient = format!("[suites.aaa]\nnoise-thresholds = \"50%\"\n{SMALL}");
    let beside = |text: &str| text.replace("[suites.mine]", &format!("{lenient}[suites.mine]"));
    let renamed = |text: &str| text.replace("[suites.mine]", "[suites.aaa]\nnoise-thresholds = \"50%\"");
    let changes: [&dyn Fn(&str) -> String; 2] = [&beside, &renamed];
    for change in changes {
        for (step, starts) in [
            (
                "12",
                "### 🚫 The base's suite was not judged: this pull request measures another suite · 🔴 Slower: decode −1",
            ),
            ("10", "### 🚫 The base's suite was not judged: this pull request measures another suite\n"),
        ] {
            let place = repository("10");
            std::fs::write(place.path("step"), step).unwrap();
            let config = std::fs::read_to_string(place.path("bench-diff.toml")).unwrap();
            place.write("bench-diff.toml", &change(&config));
            let (exit, _, err) = place.measure(&[]);
            assert_eq!(exit, 0, "{err}");
            let (exit, comment) = place.published();
            assert_eq!(exit, 1, "{comment}");
            assert!(comment.contains(starts), "{comment}");
            assert!(
                comment.contains("changes the suite: suite mine → aaa, noise\\-thresholds.all default → 50% (here"),
                "{comment}"
            );
            assert!(!comment.contains("No change"), "{comment}");
        }
    }
}

/// Named by the workflow, and new: judged by what holds where nothing is said.
#[test]
fn a_new_suite_is_not_judged_by_itself() {
    let place = repository("10");
    let config = std::fs::read_to_string(place.path("bench-diff.toml")).unwrap();
    std::fs::write(place.path("step"), "12").unwrap();
    place.write("bench-diff.toml", &format!("{config}[suites.aaa]\nnoise-thresholds = \"50%\"\n{SMALL}"));
    let (exit, _, err) = place.measure(&["--suite", "aaa"]);
    assert_eq!(exit, 0, "{err}");
    assert_eq!(place.measured_report()["comparison"]["verdict"], "regressed");
    let (exit, comment) = place.published();
    assert_eq!(exit, 1, "{comment}");
    assert!(comment.contains("changes the suite: suite none → aaa"), "{comment}");
}

/// The configuration may lie anywhere in the repository: all starts from there.
#[test]
fn paths_start_from_the_configuration() {
    let place = repository("10");
    std::fs::create_dir(place.path("benches")).unwrap();
    for name in ["bench-diff.toml", "build.sh", "engine.in", "step"] {
        place.git(&["mv", name, &format!("benches/{name}")]);
    }
    place.commit("moved");
    place.git(&["branch", "--quiet", "--force", "main"]);
    place.write("benches/step", "12");
    let (exit, _, err) = place.measure(&["--config", "benches/bench-diff.toml"]);
    assert_eq!(exit, 0, "{err}");
    assert_eq!(place.measured_report()["comparison"]["verdict"], "regressed");
}

#[test]
fn a_head_that_does_not_build_fails_with_the_builds_last_lines() {
    let place = repository("10");
    place.write("step", "broken");
    let (exit, _, err) = place.measure(&[]);
    assert_eq!(exit, 3, "{err}");
    let why = "can't build this checkout with `./build.sh engine.in`: exit status: 9 (compiling toy / error: no such step / aborting)";
    assert!(err.contains(why), "{err}");
    let (exit, comment) = place.published();
    assert_eq!(exit, 1);
    assert!(comment.starts_with("### ❌ "), "{comment}");
    assert!(comment.contains("error: no such step"), "{comment}");
    // At a desk, the same is printed, and what the build printed is told without where in our source.
    let (exit, out, err) = place.ci(&[]);
    assert_eq!(exit, 3, "{err}");
    assert!(out.starts_with("### ❌ ") && out.contains("error: no such step"), "{out}");
    assert!(err.contains("the last of what it printed (3 lines)") && !err.contains("bench_diff::"), "{err}");
    let (_, out, _) = place.ci(&["--format", "json"]);
    assert!(serde_json::from_str::<Value>(&out).is_ok(), "{out}");
}

/// With a baseline that is the screen; without one, nothing is compared. Both say so first.
#[test]
fn a_base_that_does_not_build_is_said_first() {
    let place = repository("10");
    let (exit, _, err) = place.run(&["run", "--quiet", "--output", "out.json"]);
    assert_eq!(exit, 0, "{err}");
    let (exit, _, err) = place.run(&["baseline", "update", "out.json"]);
    assert_eq!(exit, 0, "{err}");
    std::fs::remove_file(place.path("out.json")).unwrap();
    std::fs::write(place.path("step"), "broken").unwrap();
    place.commit("a baseline, and a mistake");
    place.git(&["branch", "--quiet", "--force", "main"]);
    place.write("step", "15");
    let (exit, _, err) = place.measure(&[]);
    assert_eq!(exit, 0, "{err}");
    let (exit, comment) = place.published();
    assert_eq!(exit, 1, "{comment}");
    assert!(comment.starts_with("### 🚫 The base couldn't be run · "), "{comment}");
    assert!(comment.contains("unconfirmed") && comment.contains("error: no such step"), "{comment}");
    // And without one.
    place.git(&["rm", "--quiet", "-r", "baselines"]);
    std::fs::write(place.path("step"), "broken").unwrap();
    place.commit("no baseline");
    place.git(&["branch", "--quiet", "--force", "main"]);
    place.write("step", "15");
    let (exit, _, err) = place.measure(&[]);
    assert_eq!(exit, 0, "{err}");
    let (exit, comment) = place.published();
    assert_eq!(exit, 1, "{comment}");
    assert!(comment.starts_with("### 🚫 The base couldn't be run · "), "{comment}");
}

#[test]
fn an_engine_that_crashes_has_no_numbers() {
    let place = repository("10");
    place.write("step", "crash");
    let (exit, _, err) = place.measure(&[]);
    assert_eq!(exit, 3, "{err}");
    assert!(err.contains("toy: the tensor has no shape"), "{err}");
    let (exit, comment) = place.published();
    assert_eq!(exit, 1, "{comment}");
    assert!(comment.contains("toy: the tensor has no shape"), "{comment}");
}

/// What lies elsewhere is the same for every pull request.
#[test]
fn an_engine_from_elsewhere_is_not_the_pull_requests() {
    let elsewhere = tempfile::tempdir().unwrap();
    let program = elsewhere.path().join("engine.sh");
    std::fs::write(&program, engine().replace("STEP", "10")).unwrap();
    let place = interpreted("10");
    let config = std::fs::read_to_string(place.path("bench-diff.toml")).unwrap();
    place.write("bench-diff.toml", &config.replace("engine.sh", program.to_str().unwrap()));
    let (exit, _, err) = place.measure(&[]);
    assert_eq!(exit, 2, "{err}");
    assert!(err.contains("nothing of the pull request is in it") && err.contains("`command` and `build`"), "{err}");
    assert!(err.contains(&format!("what would be measured is the program sh {}", program.display())), "{err}");
    // At a desk, a base that is named asks for the same.
    let (exit, _, err) = place.ci(&["--base-ref", "main"]);
    assert_eq!(exit, 2, "{err}");
    assert!(err.contains("the program sh ") && err.contains("nothing of the pull request is in it"), "{err}");
    assert!(!place.path(".bench-diff/baselines").exists(), "nothing is kept");
    let (_, out, _) = place.run(&["doctor"]);
    assert!(out.contains("the program sh ") && out.contains("nothing of this repository is in"), "{out}");
    let (exit, _, err) = place.run(&["ab", "main", "."]);
    assert_eq!(exit, 2, "{err}");
    assert!(err.contains("lies outside of this repository"), "{err}");
    // Who asks for it gets it.
    let (exit, _, err) = place.ci(&["--base-ref", "main", "--allow-unrelated"]);
    assert_eq!(exit, 0, "{err}");
    // A `build` says that it is of this repository, whatever the command's words are.
    let config = config.replace("[\"sh\", \"engine.sh\"]", "[\"sh\", \"-c\", \"exec sh ./engine.sh\"]\nbuild = []");
    place.write("bench-diff.toml", &config);
    let (exit, _, err) = place.measure(&[]);
    assert_eq!(exit, 0, "{err}");
}

/// A repository that has no engine yet promises no base.
#[test]
fn the_first_pull_request_with_an_engine_has_no_base() {
    let place = Place(tempfile::tempdir().unwrap());
    std::fs::write(place.path(".gitignore"), "out\nevent.json\ncount\nenvironment\n").unwrap();
    place.git(&["init", "--quiet", "--initial-branch", "main"]);
    place.commit("main");
    place.git(&["switch", "--quiet", "--create", "branch"]);
    std::fs::write(place.path("engine.sh"), engine().replace("STEP", "10")).unwrap();
    place.write("bench-diff.toml", &format!("command = [\"sh\", \"engine.sh\"]\n[suites.mine]\n{SMALL}"));
    let (exit, _, err) = place.measure(&[]);
    assert_eq!(exit, 0, "{err}");
    assert!(err.contains("has no engine.sh, which `command` names"), "{err}");
    let (exit, comment) = place.published();
    assert_eq!(exit, 0, "{comment}");
    assert!(comment.starts_with("### 🔵 First measurement"), "{comment}");
}

/// At somebody's desk, without a base: the commit that an earlier `ci` measured is built once more.
#[test]
fn the_local_baselines_engine_is_measured_again() {
    let place = repository("10");
    let (exit, _, err) = place.ci(&[]);
    assert_eq!(exit, 0, "{err}");
    assert!(err.contains("kept as the local baseline"), "{err}");
    place.write("step", "12");
    let (exit, _, err) = place.ci(&["--fail-on", "regression"]);
    assert_eq!(exit, 1, "{err}");
    let report = place.report();
    assert_eq!(
        (&report["comparison"]["verdict"], &report["comparison"]["tier"]),
        (&json!("regressed"), &json!("confirmed"))
    );
    assert_eq!(engines(&report["base"]), vec![json!(place.git(&["rev-parse", "main"]))]);
}

#[test]
fn ab_measures_the_engines_of_two_commits() {
    let place = repository("10");
    place.write("step", "12");
    let (exit, out, err) = place.run(&["ab", "--quiet", "main", "HEAD"]);
    assert_eq!(exit, 1, "{err}");
    assert!(out.starts_with("Slower: decode -1"), "{out}");
    let old = read(&place.path(".bench-diff/ab/old.json"));
    assert_eq!(engines(&old), vec![json!(place.git(&["rev-parse", "main"]))]);
    // What is in the working tree, with its changes.
    std::fs::write(place.path("step"), "8").unwrap();
    let (exit, out, err) = place.run(&["ab", "--quiet", "main", "."]);
    assert_eq!(exit, 0, "{err}");
    assert!(out.starts_with("Faster: decode +2"), "{out}");
    let new = read(&place.path(".bench-diff/ab/new.json"));
    assert_eq!(engines(&new), vec![json!(format!("{}-dirty", place.git(&["rev-parse", "HEAD"])))]);
    // One commit is one program.
    let (exit, out, err) = place.run(&["ab", "--quiet", "--runs", "2", "HEAD", "HEAD"]);
    assert_eq!(exit, 0, "{out}{err}");
    let head = place.git(&["rev-parse", "HEAD"]);
    let engines = format!("one program, built from {}", &head[..9]);
    assert!(out.split_whitespace().collect::<Vec<_>>().join(" ").contains(&engines), "{engines}: {out}");
    // Runs of another commit are not carried on with.
    let resume = ["ab", "--quiet", "--resume", "--runs", "4", "main", "HEAD"];
    let (exit, _, err) = place.run(&resume);
    assert!(exit == 2 && err.contains("the engine of another commit"), "{err}");
}

#[test]
fn doctor_and_plan_say_what_would_be_measured() {
    let place = repository("10");
    let (_, out, err) = place.run(&["doctor", "--format", "json"]);
    let found: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
    let said: Vec<&str> = found["checks"].as_array().unwrap().iter().filter_map(|it| it["said"].as_str()).collect();
    let has = |start: &str| assert!(said.iter().any(|said| said.starts_with(start)), "{start}: {said:#?}");
    has("the engine `./target/engine`, which `./build.sh engine.in` builds from the pull request");
    has("the base can be built: the engine of its commit");
    has("./target/engine isn't there yet: `./build.sh engine.in` builds it first");
    assert!(!place.path("target").exists(), "nothing is built");
    let (exit, out, err) = place.run(&["plan"]);
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("Engine ./target/engine, which ./build.sh engine.in builds first"), "{out}");
}

#[test]
fn a_build_needs_a_command() {
    let place = Place::with_config(&format!("[suites.mine]\nbuild = [\"make\"]\n{SMALL}"));
    let (exit, _, err) = place.run(&["plan"]);
    assert_eq!(exit, 2);
    assert!(err.contains("bench-diff.toml:2: `build` needs `command`, the program that it builds"), "{err}");
}
