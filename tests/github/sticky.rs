//! One comment, whatever happens on the way.

use std::time::Duration;

use bench_diff::error::Advice;
use bench_diff::github::sticky::{Conversation, Marker, Posted, When};
use bench_diff::github::{ApiError, Client, Patience, Repository, Token};

use crate::fake::{Fault, GitHub, Stranger};

fn client(github: &GitHub, token: &str) -> Client {
    let patience = Patience { answer: Duration::from_secs(2), waiting: Duration::from_secs(20) };
    Client::new(&github.url, Token::parse(token).unwrap().unwrap(), patience).unwrap()
}

fn upsert(github: &GitHub, token: &str, run: u64, body: &str) -> Result<Posted, ApiError> {
    let client = client(github, token);
    let repository = Repository::parse("acme/candle").unwrap();
    let marker = Marker::new("smoke", "nvidia-h100", run);
    Conversation::open(&client, &repository, 7)?.upsert(&marker, body, When::Always, true)
}

fn post(github: &GitHub, run: u64, body: &str) -> Posted {
    upsert(github, "actions-token", run, body).unwrap()
}

/// The texts of all bench-diff comments, without their markers.
fn texts(github: &GitHub) -> Vec<String> {
    github.state().marked().iter().map(|body| body.split_once('\n').unwrap().1.to_owned()).collect()
}

#[test]
fn the_second_run_updates_the_comment_of_the_first() {
    let github = GitHub::start();
    assert!(matches!(post(&github, 1, "one"), Posted::Created { .. }));
    assert_eq!(github.state().count("GET /repos"), 2, "once it is listed, nobody waits for more");
    assert!(matches!(post(&github, 2, "two"), Posted::Updated { .. }));
    assert_eq!(texts(&github), ["two"]);
}

/// Somebody deletes it between the list and the update.
#[test]
fn a_comment_that_has_just_gone_is_written_anew() {
    let github = GitHub::start();
    post(&github, 1, "one");
    github.inject("PATCH", "/comments", 1, Fault::Status(404, &[], "Not Found"));
    github.state().before_create = Some(Box::new(|state| state.comments.clear()));
    assert!(matches!(post(&github, 2, "two"), Posted::Created { .. }));
    assert_eq!(texts(&github), ["two"]);
}

/// Ours is never listed, a faster job's is: what is there once it comes is one comment all the same.
#[test]
fn ours_counts_also_while_it_is_not_listed() {
    let github = GitHub::start();
    github.state().lag = Duration::from_secs(3600);
    github.state().before_create = Some(Box::new(|state| {
        let body = "<!-- bench-diff suite=smoke gpu=nvidia-h100 run=5 -->\nfaster";
        let faster = state.add_comment("github-actions[bot]", "NONE", body);
        state.list_at_once(faster);
    }));
    let patience = Patience { answer: Duration::from_secs(2), waiting: Duration::from_secs(1) };
    let client = Client::new(&github.url, Token::parse("actions-token").unwrap().unwrap(), patience).unwrap();
    let repository = Repository::parse("acme/candle").unwrap();
    let mut conversation = Conversation::open(&client, &repository, 7).unwrap();
    let marker = Marker::new("smoke", "nvidia-h100", 5);
    let posted = conversation.upsert(&marker, "slower", When::Always, true).unwrap();
    assert!(matches!(posted, Posted::Updated { .. }), "{posted:?}");
    assert_eq!(texts(&github), ["slower"]);
}

#[test]
fn the_comment_is_found_among_130_others() {
    let github = GitHub::start();
    (0..130).for_each(|i| _ = github.state().add_comment("octocat", "NONE", &format!("comment {i}")));
    post(&github, 1, "one");
    (0..130).for_each(|i| _ = github.state().add_comment("octocat", "NONE", &format!("later comment {i}")));
    post(&github, 2, "two");
    assert_eq!(texts(&github), ["two"]);
    assert_eq!(github.state().comments.len(), 261);
}

#[test]
fn a_planted_marker_is_nobodys_business() {
    let github = GitHub::start();
    let planted = "<!-- bench-diff suite=smoke gpu=nvidia-h100 run=1 -->\nplanted";
    github.state().add_comment("mallory", "NONE", planted);
    github.state().add_comment("mallory-app[bot]", "NONE", planted);
    assert!(matches!(post(&github, 1, "one"), Posted::Created { .. }));
    post(&github, 2, "two");
    assert_eq!(texts(&github), ["planted", "planted", "two"]);
}

#[test]
fn other_suites_and_gpus_have_their_own_comment() {
    let github = GitHub::start();
    let client = client(&github, "actions-token");
    let repository = Repository::parse("acme/candle").unwrap();
    for (suite, gpu) in [("a", "b"), ("a", "b c"), ("a b", "c"), ("a", "--><h1>"), ("a", "b")] {
        let mut conversation = Conversation::open(&client, &repository, 7).unwrap();
        conversation.upsert(&Marker::new(suite, gpu, 1), "text", When::Always, true).unwrap();
    }
    assert_eq!(texts(&github).len(), 4);
    let state = github.state();
    assert!(state.marked().iter().all(|body| body.lines().next().unwrap().matches("-->").count() == 1));
}

#[test]
fn a_lost_answer_does_not_make_a_second_comment() {
    for fault in [Fault::DropAfter, Fault::FailAfter, Fault::Slow(Duration::from_secs(3))] {
        let github = GitHub::start();
        github.inject("POST", "/comments", 1, fault.clone());
        post(&github, 1, "one");
        assert_eq!(texts(&github), ["one"], "{fault:?}");
        assert_eq!(github.state().count("POST"), 1);
    }
}

#[test]
fn a_lost_request_is_sent_again() {
    let resent = |fault| {
        let github = GitHub::start();
        // Another workflow's comment is by the same author.
        github.state().add_comment("github-actions[bot]", "NONE", "coverage: 90%");
        github.inject("POST", "/comments", 1, fault);
        post(&github, 1, "one");
        assert_eq!(texts(&github), ["one"]);
    };
    // Side by side, as each waits for what may still come.
    std::thread::scope(|scope| {
        for fault in [Fault::DropBefore, Fault::Status(500, &[], "oops"), Fault::Status(503, &[], "busy")] {
            scope.spawn(|| resent(fault));
        }
    });
}

/// The request took effect, nobody said so, and the list doesn't show it yet.
#[test]
fn a_lost_answer_and_a_late_list_make_one_comment() {
    std::thread::scope(|scope| {
        for (fault, lag) in [(Fault::DropAfter, 2500), (Fault::FailAfter, 2500), (Fault::DropAfter, 4000)] {
            scope.spawn(move || {
                let github = GitHub::start();
                github.state().lag = Duration::from_millis(lag);
                github.inject("POST", "/comments", 1, fault.clone());
                post(&github, 1, "one");
                assert_eq!(texts(&github), ["one"], "{fault:?} {lag}");
            });
        }
    });
}

#[test]
fn jobs_at_the_same_time_leave_one_comment_however_late_the_list_is() {
    for (jobs, lag) in [(4, 500), (6, 1500)] {
        let github = GitHub::start();
        github.state().lag = Duration::from_millis(lag);
        std::thread::scope(|scope| {
            for run in 0..jobs {
                let github = &github;
                scope.spawn(move || upsert(github, "actions-token", run, &format!("text {run}")).unwrap());
            }
        });
        assert_eq!(texts(&github).len(), 1, "{jobs} {lag}");
        assert_eq!(github.state().comments[0]["id"], 1, "the lowest id stays");
    }
}

#[test]
fn a_lost_update_is_repeated() {
    let github = GitHub::start();
    post(&github, 1, "one");
    for fault in [Fault::DropAfter, Fault::DropBefore, Fault::Status(502, &[], "")] {
        github.inject("PATCH", "/comments", 1, fault);
    }
    post(&github, 2, "two");
    assert_eq!(texts(&github), ["two"]);
}

#[test]
fn a_faster_job_keeps_its_comment_and_gets_our_text() {
    let github = GitHub::start();
    github.state().before_create = Some(Box::new(|state| {
        state.add_comment(
            "github-actions[bot]",
            "NONE",
            "<!-- bench-diff suite=smoke gpu=nvidia-h100 run=5 -->\nfaster",
        );
    }));
    post(&github, 5, "slower");
    assert_eq!(texts(&github), ["slower"]);
    let state = github.state();
    assert_eq!(state.comments[0]["id"], 1, "the lower id stays");
}

#[test]
fn jobs_at_the_same_time_leave_one_comment() {
    let github = GitHub::start();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| upsert(&github, "actions-token", 5, "text"));
        }
    });
    assert_eq!(texts(&github), ["text"]);
}

#[test]
fn duplicates_of_the_past_are_removed() {
    let github = GitHub::start();
    for text in ["old", "older"] {
        let body = format!("<!-- bench-diff suite=smoke gpu=nvidia-h100 run=1 -->\n{text}");
        github.state().add_comment("github-actions[bot]", "NONE", &body);
    }
    post(&github, 2, "new");
    assert_eq!(texts(&github), ["new"]);
}

#[test]
fn an_older_run_does_not_replace_a_newer_one() {
    let github = GitHub::start();
    post(&github, 9, "new");
    assert!(matches!(post(&github, 8, "old"), Posted::Superseded { .. }));
    assert_eq!(texts(&github), ["new"]);
}

/// What a workflow's own comment says, when any workflow of the repository may have written it.
fn plant(github: &GitHub, run: u64, text: &str) {
    let body = format!("<!-- bench-diff suite=smoke gpu=nvidia-h100 run={run} -->\n{text}");
    github.state().add_comment("github-actions[bot]", "NONE", &body);
}

#[test]
fn a_run_that_never_was_silences_nobody() {
    for (first, then) in [(8, u64::MAX), (u64::MAX, 8), (9, 10)] {
        let github = GitHub::start();
        github.state().runs = [8, 11].into();
        plant(&github, first, "planted");
        plant(&github, then, "planted");
        assert!(matches!(post(&github, 8, "ours"), Posted::Updated { .. }));
        assert_eq!(texts(&github), ["ours"]);
    }
}

#[test]
fn an_invented_run_doesnt_hide_a_real_newer_one() {
    let github = GitHub::start();
    github.state().runs = [8, 9].into();
    plant(&github, u64::MAX, "planted");
    plant(&github, 9, "newer");
    assert!(matches!(post(&github, 8, "ours"), Posted::Superseded { .. }));
    assert_eq!(texts(&github), ["newer"]);
    // Only as long as it is newer.
    github.state().runs.insert(10);
    post(&github, 10, "newest");
    assert_eq!(texts(&github), ["newest"]);
    assert_eq!(github.state().count("GET /repos/acme/candle/actions/runs"), 3, "only of what claims to be later");
}

/// A token that may not ask about runs hears that there are none, or that it may not.
#[test]
fn where_nobody_tells_the_newer_number_counts() {
    for status in [404, 403] {
        let github = GitHub::start();
        github.state().runs = [8].into();
        github.inject("GET", "/actions/runs", 99, Fault::Status(status, &[], "no"));
        plant(&github, 9, "newer");
        assert!(matches!(post(&github, 8, "ours"), Posted::Superseded { .. }), "{status}");
    }
}

#[test]
fn another_app_learns_its_name_from_its_own_comment() {
    let github = GitHub::start();
    github.state().logins.insert("app-token".into(), "speed-app[bot]".into());
    upsert(&github, "app-token", 1, "one").unwrap();
    upsert(&github, "app-token", 2, "two").unwrap();
    github.inject("POST", "/comments", 1, Fault::DropAfter);
    upsert(&github, "app-token", 3, "three").unwrap();
    assert_eq!(texts(&github), ["three"]);
}

/// One of two apps, both with comments that carry the marker.
fn app(graphql: bool, own_only: bool) -> GitHub {
    let github = GitHub::start();
    let mut state = github.state();
    state.logins.insert("app-token".into(), "speed-app[bot]".into());
    (state.graphql, state.own_only) = (graphql, own_only);
    for login in ["speed-app", "other-app[bot]", "speed-app[bot]", "mallory"] {
        let body = format!("<!-- bench-diff suite=smoke gpu=nvidia-h100 run=1 -->\nred, says {login}");
        state.add_comment(login, "NONE", &body);
    }
    drop(state);
    github
}

/// What was red must not stay red, whoever comments.
#[test]
fn another_apps_token_finds_its_own_comment() {
    for (graphql, own_only) in [(true, false), (true, true), (false, false), (false, true)] {
        for when in [When::Always, When::Changed] {
            let github = app(graphql, own_only);
            for (run, text) in [(2, "green"), (3, "still green")] {
                let client = client(&github, "app-token");
                let repository = Repository::parse("acme/candle").unwrap();
                let mut conversation = Conversation::open(&client, &repository, 7).unwrap();
                let marker = Marker::new("smoke", "nvidia-h100", run);
                let posted = conversation.upsert(&marker, text, when, false).unwrap();
                assert!(matches!(posted, Posted::Updated { .. }), "{graphql} {own_only} {when:?}: {posted:?}");
                let expected = ["red, says speed-app", "red, says other-app[bot]", text, "red, says mallory"];
                assert_eq!(texts(&github), expected, "{graphql} {own_only} {when:?}");
            }
            assert_eq!(github.state().count("POST /repos"), if graphql { 0 } else { 2 });
        }
    }
}

#[test]
fn a_person_may_be_the_author() {
    let github = GitHub::start();
    github.state().logins.insert("pat".into(), "Ada".into());
    let planted = "<!-- bench-diff suite=smoke gpu=nvidia-h100 run=1 -->\nplanted";
    github.state().add_comment("github-actions[bot]", "NONE", planted);
    upsert(&github, "\n pat \n", 1, "one").unwrap();
    upsert(&github, "pat", 2, "two").unwrap();
    assert_eq!(texts(&github), ["planted", "two"]);
}

#[test]
fn a_link_to_another_host_is_not_followed() {
    let (github, stranger) = (GitHub::start(), Stranger::start());
    (0..130).for_each(|i| _ = github.state().add_comment("octocat", "NONE", &format!("comment {i}")));
    github.inject("GET", "/comments", 1, Fault::LinkTo(stranger.url.clone()));
    post(&github, 1, "one");
    assert_eq!(texts(&github), ["one"]);
    assert_eq!(stranger.visits(), 0);
}

#[test]
fn rate_limits_are_waited_for_within_reason() {
    let github = GitHub::start();
    github.inject("POST", "/comments", 1, Fault::Status(403, &[("retry-after", "1")], "secondary rate limit"));
    github.inject("GET", "/comments", 1, Fault::Status(429, &[("retry-after", "0")], "slow down"));
    post(&github, 1, "one");
    assert_eq!(texts(&github), ["one"]);

    for headers in
        [&[("retry-after", "3600")][..], &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "99999999999")]]
    {
        let github = GitHub::start();
        github.inject("POST", "/comments", 9, Fault::Status(403, headers, "limit"));
        let error = upsert(&github, "actions-token", 1, "one").unwrap_err();
        assert!(matches!(error, ApiError::RateLimited { .. }), "{error}");
        assert!(github.state().comments.is_empty());
    }
}

#[test]
fn a_refusal_is_told_with_what_to_do() {
    let github = GitHub::start();
    github.state().read_only = true;
    let told = |error: ApiError| error.in_one_line();
    insta::assert_snapshot!("refusal_read_only", told(upsert(&github, "actions-token", 1, "x").unwrap_err()));
    insta::assert_snapshot!("refusal_wrong_token", told(upsert(&github, "wrong-token", 1, "x").unwrap_err()));
    github.inject("GET", "/comments", 9, Fault::Status(404, &[], "Not Found"));
    insta::assert_snapshot!("refusal_not_found", told(upsert(&github, "actions-token", 1, "x").unwrap_err()));
    let error = Token::parse("two words").unwrap_err();
    insta::assert_snapshot!("refusal_token_with_space", told(error));
}

#[test]
fn a_token_is_never_shown() {
    let github = GitHub::start();
    github.state().logins.insert("s3cr3t".into(), "github-actions[bot]".into());
    github.inject("POST", "/comments", 1, Fault::Status(422, &[], "you sent s3cr3t"));
    let error = upsert(&github, "s3cr3t", 1, "x").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cr3t"));
    assert_eq!(format!("{:?}", Token::parse("s3cr3t").unwrap()), "Some(Token(***))");
    assert!(Token::parse(" \n").unwrap().is_none());
}

#[test]
fn only_when_something_changed() {
    let github = GitHub::start();
    let client = client(&github, "actions-token");
    let repository = Repository::parse("acme/candle").unwrap();
    let say = |run, when, changed| {
        let mut conversation = Conversation::open(&client, &repository, 7).unwrap();
        conversation.upsert(&Marker::new("smoke", "cpu", run), "text", when, changed).unwrap()
    };
    assert_eq!(say(1, When::Changed, false), Posted::Skipped);
    assert_eq!(say(1, When::Never, true), Posted::Skipped);
    assert!(matches!(say(1, When::Changed, true), Posted::Created { .. }));
    // What was red must not stay red.
    assert!(matches!(say(2, When::Changed, false), Posted::Updated { .. }));
}
