//! `bench-diff publish` as a step of a workflow.

use bench_diff::compare::Verdict;
use bench_diff::report::Report;
use serde_json::{Value, json};

use crate::fake::{BASE_SHA, Fault, GitHub, HEAD_SHA, pull};
use crate::reports::{Samples, first_run, forged, in_turn, judged, metrics, origin, regressed, unchanged, unconfirmed};
use crate::step::{Step, stderr};

#[test]
fn a_regression_is_told_everywhere() {
    let github = GitHub::start();
    let step = Step::pull_request(&github);
    let output = step.publish(&regressed(), &["--fail-on", "regression"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(github.state().marked().len(), 1);
    assert_eq!((step.output("verdict"), step.output("regressed")), ("regressed".into(), "2".into()));
    assert_eq!(step.output("comment-url"), "https://github.test/acme/candle/pull/7#issuecomment-1");
    assert!(step.read("summary").starts_with("### 🔴 Slower: decode"));
    insta::assert_snapshot!("log_regression", stderr(&output));
    let check = &github.state().check_runs[0];
    assert_eq!((&check["conclusion"], &check["head_sha"]), (&json!("failure"), &json!(HEAD_SHA)));
}

#[test]
fn twice_is_one_comment_and_one_check_run() {
    let github = GitHub::start();
    for report in [regressed(), unchanged()] {
        assert!(Step::pull_request(&github).publish(&report, &[]).status.success());
    }
    let state = github.state();
    assert_eq!((state.marked().len(), state.check_runs.len()), (1, 1));
    assert!(state.marked()[0].contains("### ⚪ No change"));
    assert_eq!(state.check_runs[0]["conclusion"], "success");
}

/// What looks changed is worth a comment also where a screen can't confirm it; what is merely noisy isn't.
#[test]
fn comments_on_changes_include_unconfirmed_ones() {
    let noisy = judged(Verdict::Inconclusive);
    for (report, comments) in [(unconfirmed(), 1), (regressed(), 1), (unchanged(), 0), (noisy, 0)] {
        let github = GitHub::start();
        let output = Step::pull_request(&github).publish(&report, &["--comment", "changed", "--fail-on", "regression"]);
        assert_eq!(github.state().marked().len(), comments, "{}", stderr(&output));
    }
    let github = GitHub::start();
    let output = Step::pull_request(&github).publish(&unconfirmed(), &["--fail-on", "regression"]);
    assert!(output.status.success(), "what isn't certain shuts no gate: {}", stderr(&output));
}

#[test]
fn every_event_leads_to_its_pull_request() {
    let run = |pull_requests: Value, owner: &str| {
        json!({ "workflow_run": {
            "id": 41, "head_sha": HEAD_SHA, "head_branch": "faster", "head_repository": { "owner": { "login": owner } },
            "pull_requests": pull_requests,
        }})
    };
    let comment = json!({
        "issue": { "number": 7, "pull_request": { "url": "..." } },
        "comment": { "author_association": "OWNER", "body": "/bench" },
    });
    for (event, payload) in [
        ("pull_request", json!({ "pull_request": pull(7, HEAD_SHA) })),
        ("issue_comment", comment),
        ("workflow_run", run(json!([{ "number": 7 }]), "acme")),
        ("workflow_run", run(json!([]), "fork")),
        ("workflow_dispatch", json!({ "inputs": { "pr-number": "7" } })),
    ] {
        let github = GitHub::start();
        github.state().pulls.insert(6, pull(6, BASE_SHA));
        let output = Step::new(&github, event, payload).publish(&of_run(unchanged(), event), &[]);
        assert!(output.status.success(), "{event}: {}", stderr(&output));
        assert_eq!(github.state().marked().len(), 1, "{event}: {}", stderr(&output));
        assert!(github.state().requests.iter().any(|r| r == "POST /repos/acme/candle/issues/7/comments"), "{event}");
    }
    for (event, payload) in [
        ("push", json!({ "after": HEAD_SHA })),
        ("release", json!({ "release": { "tag_name": "v1.0.0" } })),
        ("issue_comment", json!({ "issue": { "number": 8 }, "comment": {} })),
        ("workflow_dispatch", json!({ "inputs": null })),
    ] {
        let github = GitHub::start();
        let output = Step::new(&github, event, payload).publish(&unchanged(), &[]);
        assert!(output.status.success());
        assert_eq!(github.state().count("POST"), 0, "{event}");
        assert!(stderr(&output).contains("no open pull request belongs to this run"), "{}", stderr(&output));
    }
}

/// After `workflow_run`, the run that measured is the one before.
fn of_run(report: Report, event: &str) -> Report {
    let run = if event == "workflow_run" { 41 } else { 42 };
    Report { origin: Some(origin(HEAD_SHA, run)), ..report }
}

#[test]
fn an_artifact_can_not_choose_its_pull_request() {
    let github = GitHub::start();
    github.state().pulls.insert(6, pull(6, BASE_SHA));
    let payload = json!({ "workflow_run": { "id": 41, "head_sha": HEAD_SHA, "pull_requests": [] } });
    let mut report = of_run(regressed(), "workflow_run");
    report.pull_request = Some(6);
    let step = Step::new(&github, "workflow_run", payload.clone());
    assert!(step.publish(&report, &[]).status.success());
    assert_eq!(github.state().count("POST /repos/acme/candle/issues/6"), 0);
    assert_eq!(github.state().count("POST /repos/acme/candle/issues/7"), 1);

    github.state().pulls.remove(&7);
    let output = Step::new(&github, "workflow_run", payload).publish(&report, &[]);
    assert!(output.status.success());
    assert_eq!(github.state().marked().len(), 1, "nothing new: {}", stderr(&output));
}

#[test]
fn the_caller_names_the_pull_request() {
    let github = GitHub::start();
    github.state().pulls.insert(8, pull(8, HEAD_SHA));
    let output = Step::pull_request(&github).publish(&unchanged(), &["--pr-number", "8"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let comments = |number: u64| github.state().count(&format!("POST /repos/acme/candle/issues/{number}/comments"));
    assert_eq!((comments(8), comments(7)), (1, 0));
}

/// One that isn't there costs nothing; one that nobody may look at is told.
#[test]
fn a_claimed_pull_request_may_not_be_there() {
    let github = GitHub::start();
    let payload = json!({ "workflow_run": { "id": 41, "head_sha": HEAD_SHA, "pull_requests": [] } });
    let report = Report { pull_request: Some(99), ..of_run(unchanged(), "workflow_run") };
    let output = Step::new(&github, "workflow_run", payload.clone()).publish(&report, &[]);
    assert_eq!(github.state().marked().len(), 1, "{}", stderr(&output));
    assert!(github.state().marked()[0].contains("run=41 -->"), "the run that measured");
    github.state().comments.clear();
    github.inject("GET", "/pulls/99", 9, Fault::Status(403, &[], "not for you"));
    let output = Step::new(&github, "workflow_run", payload).publish(&report, &[]);
    assert!(stderr(&output).contains("::warning title=bench-diff::") && stderr(&output).contains("not for you"));
    assert_eq!(github.state().marked().len(), 0, "{}", stderr(&output));
}

#[test]
fn a_forks_token_costs_only_the_comment() {
    let github = GitHub::start();
    github.state().read_only = true;
    let step = Step::pull_request(&github);
    let output = step.publish(&regressed(), &[]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(step.output("verdict"), "regressed");
    assert!(step.read("summary").contains("🔴 Slower: decode"));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("### 🔴 Slower: decode"), "the text is not lost");
    insta::assert_snapshot!("log_fork", stderr(&output));
}

#[test]
fn without_a_token_the_comment_is_printed() {
    let github = GitHub::start();
    for token in ["", "  \n"] {
        let step = Step::pull_request(&github).set("GITHUB_TOKEN", token);
        let output = step.publish(&first_run(), &[]);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("### 🔵 First measurement"));
        assert_eq!(step.output("verdict"), "no_baseline");
        assert!(stderr(&output).contains("not commenting: there is no token in GITHUB_TOKEN"));
    }
    assert!(github.state().requests.is_empty());
}

#[test]
fn no_baseline_may_fail_the_step() {
    let github = GitHub::start();
    for (what, code) in [("pass", 0), ("warn", 0), ("fail", 1)] {
        let step = Step::pull_request(&github);
        let summary = step.path("summary.md");
        let flags = ["--if-no-baseline", what, "--summary", summary.to_str().unwrap()];
        let output = step.publish(&first_run(), &flags);
        assert_eq!(output.status.code(), Some(code), "{what}");
        assert_eq!(stderr(&output).contains("no baseline of smoke for nvidia-h100-80gb-hbm3"), what != "pass");
        assert!(step.read("summary.md").starts_with("### 🔵 First measurement"));
        let conclusion = github.state().check_runs.last().unwrap()["conclusion"].clone();
        assert_eq!(conclusion, if code == 1 { "failure" } else { "success" }, "{what}");
    }
}

#[test]
fn an_enterprise_server_has_another_address() {
    let github = GitHub::start_at("/api/v3");
    let output = Step::pull_request(&github).publish(&unchanged(), &[]);
    assert!(output.status.success());
    assert_eq!(github.state().marked().len(), 1, "{}", stderr(&output));
}

#[test]
fn a_broken_api_costs_only_the_comment() {
    for fault in
        [Fault::Status(401, &[], "Bad credentials"), Fault::Status(422, &[], "no"), Fault::Status(404, &[], "")]
    {
        let github = GitHub::start();
        github.inject("POST", "", 99, fault);
        let step = Step::pull_request(&github);
        let output = step.publish(&regressed(), &["--fail-on", "regression"]);
        assert_eq!(output.status.code(), Some(1), "the verdict decides");
        assert!(stderr(&output).contains("the comment was not posted"), "{}", stderr(&output));
        assert_eq!(step.output("regressed"), "2");
    }
}

/// Only what was too long is told in fewer words.
#[test]
fn what_is_refused_for_another_reason_is_not_shortened() {
    let github = GitHub::start();
    github.inject("POST", "/comments", 1, Fault::Status(422, &[], "spam"));
    let output = Step::pull_request(&github).publish(&regressed(), &[]);
    assert!(stderr(&output).contains("the comment was not posted"), "{}", stderr(&output));
    let state = github.state();
    assert_eq!((state.count("POST /repos/acme/candle/issues"), state.marked().len()), (1, 0));
}

/// Kept short, it is accepted at once; if GitHub's limit were another one, the verdict would still be told.
#[test]
fn two_thousand_hostile_rows_are_told_whatever_the_limit() {
    let github = GitHub::start();
    let name = |i: usize| format!("@octocat | </details> `x` ::error:: \u{202e}{i} {}", "ä漢🦀|".repeat(50));
    let cases: Vec<String> = (0..2000).map(name).collect();
    let base = Samples::of(BASE_SHA, &cases);
    let changes = [0.04, 0.016, -0.04];
    let head = cases.iter().enumerate();
    let head = head.fold(base.at(HEAD_SHA), |head, (i, case)| head.changed(case, "ttft", changes[i % 3]));
    let step = Step::pull_request(&github);
    let report = forged(&in_turn(&base, &head, &metrics(&["ttft"])), |file| {
        file["suite"] = json!("@everyone ".repeat(10_000));
        for row in file["comparison"]["rows"].as_array_mut().unwrap() {
            row["reason"] = row["case"].clone();
        }
    });
    let posted = |step: &Step| {
        let output = step.publish(&report, &["--fail-on", "regression"]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(!stderr(&output).contains("was not posted"), "{}", stderr(&output));
        let state = github.state();
        assert_eq!(state.marked().len(), 1);
        state.marked()[0].to_owned()
    };
    let text = posted(&step);
    let answer = "🔴 Slower: TTFT +2.0% to +4.6% in 693 of 2000 cases · 🔶 Slower, at the threshold: TTFT +1.7% to +2.0% in 49 of 2000";
    assert!(text.contains(&format!("### {answer}")) && text.len() > 30_000, "{}", &text[..400]);
    assert_eq!(github.state().count("POST /repos/acme/candle/issues"), 1, "accepted at once");

    // The update is refused, then the first comment of a pull request is.
    github.state().longest_comment = 1200;
    let short = posted(&step);
    insta::assert_snapshot!("too_long_comment", short.split_once('\n').unwrap().1);
    github.state().comments.clear();
    assert_eq!(posted(&Step::pull_request(&github)), short);
    // Whatever the comment says, the summary has all of it.
    assert_eq!(step.read("summary").matches(answer).count(), 2);
}

/// A proxy can't be used: whoever set one is told so.
#[test]
fn behind_a_proxy_the_comment_is_what_is_missing() {
    let github = GitHub::start();
    github.inject("GET", "", 99, Fault::DropBefore);
    let step = Step::pull_request(&github).set("HTTPS_PROXY", "http://proxy.test:3128");
    let output = step.publish(&unchanged(), &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("a proxy is not used for this: docs/action.md"), "{}", stderr(&output));
    assert!(step.read("summary").starts_with("### ⚪ No change"));
}

fn gate(github: &GitHub) -> Option<i32> {
    Step::pull_request(github).publish(&regressed(), &["--fail-on", "regression"]).status.code()
}

#[test]
fn who_may_write_accepts_and_others_dont() {
    let github = GitHub::start();
    // Whatever the association says: an invited collaborator may only be able to read, a member as well.
    for (login, association) in
        [("mallory", "CONTRIBUTOR"), ("eve", "NONE"), ("reader", "COLLABORATOR"), ("mem", "MEMBER")]
    {
        github.state().add_comment(login, association, "bench-accept: trust me");
        assert_eq!(gate(&github), Some(1), "{association}");
    }
    github.state().permissions.insert("triager".into(), "triage".into());
    github.state().add_comment("triager", "COLLABORATOR", "bench-accept: trust me");
    assert_eq!(gate(&github), Some(1));
    // An organisation's member who hides that is a contributor to the token.
    github.state().permissions.insert("ada".into(), "write".into());
    github.state().add_comment(
        "ada",
        "CONTRIBUTOR",
        "Fine by me.\r\nbench-accept: exact softmax | <b>worth</b> it\r\n",
    );
    // A later forgery doesn't take its place.
    github.state().add_comment("mallory", "CONTRIBUTOR", "bench-accept: says mallory");
    assert_eq!(gate(&github), Some(0));
    let state = github.state();
    let text = state.marked()[0].lines().find(|line| line.contains("Accepted")).unwrap().to_owned();
    insta::assert_snapshot!("accepted_line", text);
    assert_eq!(state.check_runs[0]["conclusion"], "success");
}

#[test]
fn every_permission_to_write_accepts() {
    for (permission, code) in [("admin", 0), ("maintain", 0), ("write", 0), ("triage", 1), ("read", 1), ("none", 1)] {
        let github = GitHub::start();
        github.state().permissions.insert("ada".into(), permission.into());
        github.state().add_comment("ada", "COLLABORATOR", "bench-accept: worth it");
        assert_eq!(gate(&github), Some(code), "{permission}");
    }
}

/// A token that may not ask for permissions knows associations only.
#[test]
fn without_permissions_owners_and_members_accept() {
    for (association, code) in [("OWNER", 0), ("MEMBER", 0), ("COLLABORATOR", 1), ("CONTRIBUTOR", 1), ("NONE", 1)] {
        let github = GitHub::start();
        github.state().permissions_hidden = true;
        github.state().permissions.insert("ada".into(), "write".into());
        github.state().add_comment("ada", association, "bench-accept: worth it");
        assert_eq!(gate(&github), Some(code), "{association}");
    }
}

#[test]
fn a_crowd_is_not_asked_about_one_by_one() {
    let github = GitHub::start();
    for i in 0..60 {
        github.state().add_comment(&format!("sock-{}", i % 30), "NONE", "bench-accept: me too");
    }
    assert_eq!(gate(&github), Some(1));
    assert_eq!(github.state().count("GET /repos/acme/candle/collaborators"), 20);
    let github = GitHub::start();
    github.state().permissions.insert("ada".into(), "write".into());
    github.state().add_comment("ada", "COLLABORATOR", "bench-accept: worth it");
    for i in 0..30 {
        github.state().add_comment(&format!("sock-{i}"), "NONE", "bench-accept: me too");
    }
    assert_eq!(gate(&github), Some(0), "nor hide a maintainer");
    // An outage is no permission.
    let github = GitHub::start();
    github.state().add_comment("ada", "OWNER", "bench-accept: worth it");
    github.inject("GET", "/permission", 99, Fault::Status(500, &[], "oops"));
    assert_eq!(gate(&github), Some(1));
}

#[test]
fn accept_comments_as_the_person() {
    let github = GitHub::start();
    github.state().logins.insert("pat".into(), "ada".into());
    let step = Step::pull_request(&github).set("GITHUB_TOKEN", "pat");
    let output = step.run(&["accept", "--pr-number", "7", "--reason", "worth\nit"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(github.state().comments[0]["body"], "bench-accept: worth it");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "https://github.test/acme/candle/pull/7#issuecomment-1\n");
    for (token, told) in [
        ("", "there is no token\n  hint: set GITHUB_TOKEN to one of yours, such as from `gh auth token`"),
        (
            "two words",
            "the GitHub token has white space or control characters inside\n  hint: pass it exactly as GitHub shows it",
        ),
    ] {
        let output = Step::pull_request(&github).set("GITHUB_TOKEN", token).run(&[
            "accept",
            "--pr-number",
            "7",
            "--reason",
            "x",
        ]);
        assert_eq!((output.status.code(), stderr(&output)), (Some(2), format!("error: {told}\n")));
    }
}

#[test]
fn a_directory_without_a_report_is_an_error() {
    let github = GitHub::start();
    let step = Step::pull_request(&github);
    std::fs::create_dir(step.path("results")).unwrap();
    for (content, message) in [
        (None, "no report.json in"),
        (Some(""), "can't read the report"),
        (Some("[[[[[[[["), "can't read the report"),
        (Some(r#"{"schema": 4}"#), "it has schema 4, this bench-diff reads 1 to 3"),
    ] {
        if let Some(content) = content {
            std::fs::write(step.path("results/report.json"), content).unwrap();
        }
        let output = step.run(&["publish", "--results", step.path("results").to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
    assert!(github.state().requests.is_empty());
}
