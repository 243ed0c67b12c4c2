//! Whatever a server says, no secret is printed or written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::fake::{Echo, Fault, GitHub};
use crate::reports::{forged, regressed};
use crate::step::{Step, stderr};

const TOKEN: &str = "ghs_16C7e42F292c6912E7710c838347Ae178B4a";

/// As a server may write it.
fn forms() -> Vec<String> {
    let percent: String = TOKEN.bytes().map(|byte| format!("%{byte:02X}")).collect();
    vec![
        TOKEN.into(),
        format!("https://github.test/?token={TOKEN}#c"),
        format!("@octocat says | {} `{TOKEN}`", "x".repeat(40)),
        percent,
        STANDARD.encode(format!("x-access-token:{TOKEN}")),
        format!("{}{TOKEN}{TOKEN}", "x".repeat(290)),
    ]
}

/// Not even most of it.
fn check(what: &str, text: &str) {
    let basic = STANDARD.encode(format!("x-access-token:{TOKEN}"));
    for secret in [&TOKEN[..12], &TOKEN[20..], &basic[24..40], "%67%68%73%5F"] {
        assert!(!text.contains(secret), "{what}: {text}");
    }
}

fn echoing(echo: Echo, method: &'static str, path: &'static str, form: &str) -> (GitHub, Step) {
    let github = GitHub::start();
    github.state().logins = [(TOKEN.to_owned(), "github-actions[bot]".to_owned())].into();
    github.state().add_comment("ada", "OWNER", "bench-accept: worth it");
    github.inject(method, path, 99, Fault::Echo(echo, form.to_owned()));
    let step = Step::new(&github, "issue_comment", json!({ "issue": { "number": 7, "pull_request": {} } }));
    (github, step.set("GITHUB_TOKEN", TOKEN).set("HTTPS_PROXY", ""))
}

fn commands(step: &Step) {
    std::fs::create_dir_all(step.path("results")).unwrap();
    std::fs::write(step.path("results/report.json"), serde_json::to_vec(&regressed()).unwrap()).unwrap();
    for args in [
        &["publish", "-vv", "--results", "results", "--summary", "summary.md"][..],
        &["accept", "-vv", "--pr-number", "7", "--reason", "worth it"],
        &["base", "-vv"],
        &["ci", "-vv", "--failed", "nothing to measure", "--output", "out"],
    ] {
        let output = step.run(args);
        check("stdout", &String::from_utf8_lossy(&output.stdout));
        check("stderr", &stderr(&output));
    }
    for file in ["output", "summary", "summary.md", "out/report.json"] {
        check(file, &step.read(file));
    }
}

#[test]
fn every_answer_may_hold_the_token() {
    let shapes = [Echo::Whole, Echo::InAList, Echo::InAnObject, Echo::Refusal(422), Echo::Refusal(403)];
    let every_text = forms().into_iter().map(|form| (Echo::EveryText, form));
    let echoes: Vec<_> = every_text.chain(shapes.map(|shape| (shape, forms().pop().unwrap()))).collect();
    std::thread::scope(|scope| {
        for (method, path) in [
            ("GET", "/user"),
            ("GET", "/comments"),
            ("PATCH", ""),
            ("GET", "/pulls"),
            ("GET", "/permission"),
            ("GET", "/check-runs"),
        ] {
            // Most of the time is waiting before something is tried again.
            for echoes in echoes.chunks(4) {
                scope.spawn(move || {
                    for (shape, form) in echoes {
                        let (github, step) = echoing(*shape, method, path, form);
                        commands(&step);
                        let state = github.state();
                        check("comments", &json!(state.comments).to_string());
                        check("check runs", &json!(state.check_runs).to_string());
                    }
                });
            }
        }
    });
}

#[test]
fn what_is_created_may_be_answered_with_the_token() {
    std::thread::scope(|scope| {
        for shape in [Echo::EveryText, Echo::Whole, Echo::InAnObject, Echo::Refusal(422), Echo::Refusal(502)] {
            scope.spawn(move || {
                let (github, step) = echoing(shape, "POST", "", &forms()[1]);
                commands(&step);
                check("comments", &json!(github.state().comments).to_string());
            });
        }
    });
}

/// Our own words hold no secret either, whichever variable it is in.
#[test]
fn every_secret_of_the_environment_is_hidden() {
    let github = GitHub::start();
    for name in ["GH_TOKEN", "HF_TOKEN", "MY_PAT", "DEPLOY_KEY", "DB_PASSWORD"] {
        let step = Step::pull_request(&github).set(name, TOKEN);
        let report = forged(&regressed(), |file| {
            file["head"]["sessions"][0]["environment"]["gpus"][0]["name"] = json!(TOKEN);
            file["comparison"]["warnings"] = json!([format!("see {TOKEN}")]);
        });
        assert!(step.publish(&report, &["--summary", "summary.md"]).status.success());
        let output = step.run(&["accept", "--pr-number", "7", "--reason", &format!("because {TOKEN}")]);
        assert!(output.status.success(), "{}", stderr(&output));
        commands(&step);
        let state = github.state();
        check(name, &json!(state.comments).to_string());
        check(name, &json!(state.check_runs).to_string());
    }
}

/// A secret that is a word of ours guards little, and JSON without its names is none.
#[test]
fn data_keeps_its_words_and_numbers_and_loses_secrets() {
    let github = GitHub::start();
    let plain = json!([{"case": format!("of {TOKEN}"), "metric": "ttft", "sessions": [[100.5, 100.625]]}]);
    let compare = |step: &Step, flags: &[&str]| {
        std::fs::write(step.path("plain.json"), plain.to_string()).unwrap();
        let output = step.run(&[&["compare", "plain.json", "plain.json", "--metric", "all"], flags].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let with = |name: &str, value: &str| Step::pull_request(&github).set("HF_TOKEN", TOKEN).set(name, value);
    for word in ["metric", "verdict", "warnings", "schema", "100.5625", "single-baseline"] {
        for flags in [["--format", "json"], ["--format", "csv"]] {
            let text = compare(&with("CACHE_KEY", word), &flags);
            assert_eq!(text, compare(&with("NO_SECRET", word), &flags), "{word}");
            assert!(text.contains("of ***"), "{text}");
            check(word, &text);
        }
    }
    assert!(!compare(&with("CACHE_KEY", "metric"), &[]).contains("metric"), "text for people keeps no secret");
    let schema = with("CACHE_KEY", "properties").run(&["schema", "results"]);
    assert!(String::from_utf8_lossy(&schema.stdout).contains("\"properties\""));
}

/// A measured program may say what it found in a file of the runner.
#[test]
fn a_results_file_holds_no_secret() {
    let github = GitHub::start();
    let step = Step::pull_request(&github).set("HF_TOKEN", TOKEN).set("CACHE_KEY", "metrics").set("PIN_KEY", "100150");
    let suite = "[suites.small]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\ncontext-lengths = [1]\n";
    std::fs::write(step.path("bench-diff.toml"), suite).unwrap();
    let program = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ci/program.sh");
    let script = std::fs::read_to_string(program).unwrap().replace("SPEED", "100000").replace("COMMIT", TOKEN);
    // Every run gives the number that is a secret as well.
    let script = script.replace("(count + 1) / 2 * 37 % 11", "8");
    std::fs::write(step.path("built"), script).unwrap();
    let mut install = std::process::Command::new("install");
    assert!(install.args(["-m755", "built", "program"]).current_dir(step.directory.path()).status().unwrap().success());
    let output = step.run(&["ci", "--quiet", "--head-binary", "./program", "--output", "out", "--no-publish"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(step.run(&["baseline", "update", "out/results.json"]).status.success());
    let baseline = std::fs::read_dir(step.path("baselines/small")).unwrap().next().unwrap().unwrap().path();
    for file in ["out/results.json", "out/report.json", baseline.to_str().unwrap()] {
        let text = step.read(file);
        check(file, &text);
        assert!(text.contains("***") && text.contains("\"metrics\"") && text.contains("100150"), "{file}: {text}");
        let _: serde_json::Value = serde_json::from_str(&text).unwrap();
    }
}
