//! What is judged is the pull request: where nothing of it is in the measured program, that is an error.

use serde_json::{Value, json};

use crate::{Place, Said, read, repository};

const TINY: &str = "[suites.tiny]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"./model\"]\ncontext-lengths = [3]\ngenerated-length = 4\nruns = 2\n";

/// A repository with a model that bench-diff itself can measure: the README's workflow in somebody's fork of candle.
fn fork() -> Place {
    let (place, _) = repository();
    std::fs::write(place.path("bench-diff.toml"), TINY).unwrap();
    std::fs::create_dir(place.path("model")).unwrap();
    let config = json!({
        "model_type": "qwen2", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 151_936, "tie_word_embeddings": true,
    });
    std::fs::write(place.path("model/config.json"), config.to_string()).unwrap();
    place.commit("a suite");
    place
}

impl Place {
    fn of_event(&self, event: &str, payload: &Value, flags: &[&str]) -> Said {
        std::fs::write(self.path("event.json"), payload.to_string()).unwrap();
        let path = self.path("event.json").display().to_string();
        self.run_with(
            &[&["ci", "--quiet", "--no-publish", "--output", "out"], flags].concat(),
            &[("GITHUB_REPOSITORY", "acme/candle"), ("GITHUB_EVENT_NAME", event), ("GITHUB_EVENT_PATH", &path)],
        )
    }

    fn pull_request(&self) -> Value {
        let head = self.git(&["rev-parse", "HEAD"]);
        json!({ "pull_request": { "number": 7, "head": { "sha": head }, "base": { "sha": self.git(&["rev-parse", "main"]) } } })
    }

    /// What publishing makes of it: its exit code, and the comment.
    fn comment(&self) -> (i32, String) {
        let (exit, out, _) = self.run(&["publish", "--results", "out"]);
        (exit, out)
    }

    /// Without what differs from commit to commit, and machine to machine.
    pub fn shown(&self, text: &str) -> String {
        let report = read(&self.path("out/report.json"));
        let head = self.git(&["rev-parse", "--short=9", "HEAD"]);
        let hardware = report["hardware"].as_str().unwrap();
        let mut text = text.replace(&head, "HEAD").replace(hardware, "HARDWARE");
        if let Some(cpu) = report["head"]["sessions"][0]["environment"]["cpu"].as_str() {
            text = text.replace(cpu, "CPU");
        }
        text.replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }
}

#[test]
fn measuring_bench_diff_itself_for_another_repository_is_an_error() {
    let place = fork();
    for (event, payload) in [
        ("pull_request", place.pull_request()),
        ("issue_comment", json!({ "issue": { "number": 7, "pull_request": {} } })),
    ] {
        let (exit, _, err) = place.of_event(event, &payload, &[]);
        assert_eq!(exit, 2, "{event}: {err}");
        assert!(err.contains("nothing of the pull request is in it"), "{err}");
        assert!(err.contains("`candle` (--candle)") && err.contains("`build-command` and `head-binary`"), "{err}");
        assert_eq!(read(&place.path("out/report.json"))["caveats"]["unrelated"], true);
        let (exit, comment) = place.comment();
        assert_eq!(exit, 1, "{comment}");
        assert!(comment.starts_with("### ❌ Nothing of this pull request would be measured\n"), "{comment}");
    }
}

#[test]
fn who_asks_for_it_gets_it_and_it_is_said_first() {
    let place = fork();
    let (exit, _, err) = place.of_event("pull_request", &place.pull_request(), &["--allow-unrelated"]);
    assert_eq!(exit, 0, "{err}");
    let (exit, comment) = place.comment();
    assert_eq!(exit, 0);
    assert!(comment.starts_with("### ⚠️ Nothing of this pull request was measured · "), "{comment}");
    let head = place.git(&["rev-parse", "--short=9", "HEAD"]);
    assert!(comment.contains(&format!("nothing of `{head}` is in it")), "{comment}");
    assert!(comment.contains(&format!("PR `{head}`, measured as bench\\-diff ")), "{comment}");
    let short: String = head.chars().take(7).collect();
    assert!(comment.contains(&format!("# at {short}")) && comment.contains("bench-diff ci --suite"), "{comment}");
}

/// A machine's own check, a nightly session and a run at somebody's desk are of no pull request.
#[test]
fn without_a_pull_request_anything_may_be_measured() {
    let place = fork();
    for event in ["schedule", "push"] {
        let (exit, _, err) = place.of_event(event, &json!({ "after": place.git(&["rev-parse", "HEAD"]) }), &[]);
        assert_eq!(exit, 0, "{event}: {err}");
        let (exit, comment) = place.comment();
        assert_eq!(exit, 0);
        assert!(!comment.contains("Nothing of this pull request"), "{comment}");
    }
}

/// Of a merge with its base, which is what GitHub checks out; the comment is about the pull request's own commit.
#[test]
fn a_program_of_the_merge_is_the_pull_requests() {
    let (place, base) = repository();
    let merge = place.git(&["rev-parse", "HEAD"]);
    let own = "3".repeat(40);
    let program = place.program("program", "100", &merge);
    let payload = json!({ "pull_request": { "number": 7, "head": { "sha": own }, "base": { "sha": base } } });
    let (exit, _, err) = place.of_event("pull_request", &payload, &["--head-binary", &program]);
    assert_eq!(exit, 0, "{err}");
    let (_, comment) = place.comment();
    assert!(comment.starts_with("### 🔵 First measurement"), "{comment}");
    assert!(comment.contains(&format!("PR `{}`, measured as bench\\-diff `{}`", &own[..9], &merge[..9])), "{comment}");
}

/// A candle of another checkout is somebody else's; the pull request's own is what `candle: .` means.
#[test]
fn a_candle_from_elsewhere_is_not_the_pull_requests() {
    let place = Place::candle("");
    let other = place.commit_candle("other", "100");
    place.git(&["init", "--quiet", "--initial-branch", "main"]);
    std::fs::write(place.path(".gitignore"), "other\nsource\nbin\nout\n").unwrap();
    place.commit("all");
    let source = place.path("source").display().to_string();
    let path = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap());
    let run = |sha: &str| {
        let payload = json!({ "pull_request": { "number": 7, "head": { "sha": sha }, "base": { "sha": sha } } });
        std::fs::write(place.path("event.json"), payload.to_string()).unwrap();
        let event = place.path("event.json").display().to_string();
        place.run_with(
            &["ci", "--quiet", "--no-publish", "--output", "out", "--candle", "other", "--source", &source],
            &[
                ("PATH", &path),
                ("GITHUB_REPOSITORY", "acme/candle"),
                ("GITHUB_EVENT_NAME", "pull_request"),
                ("GITHUB_EVENT_PATH", &event),
            ],
        )
    };
    let (exit, _, err) = run(&place.git(&["rev-parse", "HEAD"]));
    assert_eq!(exit, 2, "{err}");
    assert!(err.contains("nothing of the pull request is in it"), "{err}");
    // Checked out beside the workflow's own files, and of the pull request.
    let (exit, _, err) = run(&other);
    assert_eq!(exit, 0, "{err}");
}

/// A candle that the configuration names is the pull request's only where that changes the name.
#[test]
fn a_candle_that_the_pull_request_leaves_as_it_is_is_not_its_own() {
    const CASE: &str = "[suites.small]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\ncontext-lengths = [1]\n";
    let place = Place::candle("candle = { git = \"./upstream\", rev = \"main\" }");
    place.commit_candle("upstream", "100");
    place.git(&["-C", "upstream", "tag", "v2"]);
    std::fs::write(place.path(".gitignore"), "bin\nsource\nupstream\nout\nevent.json\n.bench-diff\n").unwrap();
    place.git(&["init", "--quiet", "--initial-branch", "main"]);
    place.commit("then");
    place.git(&["switch", "--quiet", "--create", "newer"]);
    std::fs::write(place.path("more"), "").unwrap();
    place.commit("more");
    let (source, path) = (place.path("source").display().to_string(), place.path("bin").display().to_string());
    let path = format!("{path}:{}", std::env::var("PATH").unwrap());
    let run = |flags: &[&str]| {
        std::fs::write(place.path("event.json"), place.pull_request().to_string()).unwrap();
        let event = place.path("event.json").display().to_string();
        place.run_with(
            &[&["ci", "--quiet", "--no-publish", "--output", "out", "--source", &source], flags].concat(),
            &[
                ("PATH", &path),
                ("GITHUB_REPOSITORY", "acme/app"),
                ("GITHUB_EVENT_NAME", "pull_request"),
                ("GITHUB_EVENT_PATH", &event),
            ],
        )
    };
    let (exit, _, err) = run(&[]);
    assert_eq!(exit, 2, "{err}");
    let told = "what would be measured is bench-diff, built against the candle main of ";
    assert!(err.contains(told) && err.contains("nothing of the pull request is in it"), "{err}");
    assert_eq!(read(&place.path("out/report.json"))["caveats"]["unrelated"], true);
    let (exit, comment) = place.comment();
    assert_eq!(exit, 1, "{comment}");
    assert!(comment.starts_with("### ❌ Nothing of this pull request would be measured\n"), "{comment}");
    assert_eq!(run(&["--allow-unrelated"]).0, 0);
    // Another revision is what the pull request is about.
    std::fs::write(place.path("bench-diff.toml"), format!("candle = {{ git = \"./upstream\", rev = \"v2\" }}\n{CASE}"))
        .unwrap();
    place.commit("v2");
    let (exit, _, err) = run(&[]);
    assert_eq!(exit, 0, "{err}");
}

/// K9: what the workflow built is the base once more.
#[test]
fn a_program_that_is_the_bases_says_so() {
    let (place, _) = repository();
    let program = place.program("program", "100", "aaaaaaa");
    assert_eq!(place.ci(&["--head-binary", &program, "--output", "out"]).0, 0);
    assert_eq!(place.run(&["baseline", "update", "out/results.json"]).0, 0);
    place.commit("a baseline");
    let base = place.git(&["rev-parse", "HEAD"]);
    std::fs::write(place.path("more"), "").unwrap();
    place.commit("more");
    let slower_today = place.program("program", "60", "aaaaaaa");
    let (exit, _, err) = place.of_event(
        "pull_request",
        &json!({ "pull_request": { "number": 7, "head": { "sha": place.git(&["rev-parse", "HEAD"]) }, "base": { "sha": base } } }),
        &["--head-binary", &slower_today],
    );
    assert_eq!(exit, 0, "{err}");
    let (exit, comment) = place.comment();
    assert_eq!(exit, 0, "{comment}");
    insta::assert_snapshot!("same_program_comment", place.shown(&comment));
}
