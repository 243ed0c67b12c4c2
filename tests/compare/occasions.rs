//! What counts as independent is when sessions were measured, not how many there are.

use bench_diff::results::{Outcome, Results, Session};
use bench_diff::stats;
use serde_json::{Value, json};

use crate::compare_support::{Files, run, session};
use crate::{SUCCESS, results_files};

/// A base of sessions that start at these times, with a level of its own each.
fn base(starts: &[&str]) -> Results {
    let mut results = session(|_, _| 1.0);
    results.sessions = starts
        .iter()
        .enumerate()
        .map(|(index, start)| {
            let mut one = session(|_, _| 1.0 + 0.001 * index as f64).sessions.remove(0);
            one.id = format!("base-{index}");
            (one.started, one.finished) = ((*start).to_owned(), Some((*start).to_owned()));
            one
        })
        .collect();
    results
}

/// Case 0 is slower by this factor than in the middle of the base.
fn head(factor: f64) -> Results {
    let mut results = session(|case, _| if case == 0 { factor } else { 1.002 });
    results.sessions[0].id = "head".into();
    results
}

fn days() -> Results {
    base(&[
        "2026-01-01T02:00:00Z",
        "2026-01-02T02:10:00Z",
        "2026-01-03T01:50:00Z",
        "2026-01-04T02:00:00Z",
        "2026-01-05T02:00:00Z",
    ])
}

fn compared(base: &Results, head: &Results) -> Value {
    let (exit, out, err) = run(&results_files(base, head), &["--format", "json", "--fail-on", "regression"]);
    let comparison: Value = serde_json::from_str(&out).expect(&err);
    assert_eq!(exit == SUCCESS, comparison["counts"]["regressed"] == 0, "{err}");
    comparison
}

fn warnings(comparison: &Value) -> String {
    comparison["warnings"].to_string()
}

#[test]
fn sessions_of_five_days_are_a_history() {
    let comparison = compared(&days(), &head(1.05));
    assert_eq!((&comparison["tier"], &comparison["counts"]["regressed"]), (&json!("history"), &json!(2)));
    assert_eq!(comparison["base_occasions"], 5);
    assert_eq!(comparison["warnings"], json!([]));
}

/// They agree with each other, whatever the machine does tomorrow.
#[test]
fn sessions_of_one_day_are_one_occasion() {
    let (five, apart) = ("5 sessions on 1 occasion", "4 more sessions of the base, at least 6 hours apart");
    for starts in [
        // One loop, a working day, and any day without a pause of six hours.
        [
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:01:00Z",
            "2026-01-01T00:02:00Z",
            "2026-01-01T00:03:00Z",
            "2026-01-01T00:04:00Z",
        ],
        [
            "2026-01-01T08:00:00Z",
            "2026-01-01T10:00:00Z",
            "2026-01-01T12:00:00Z",
            "2026-01-01T14:00:00Z",
            "2026-01-01T16:00:00Z",
        ],
        [
            "2026-01-01T00:00:00Z",
            "2026-01-01T20:00:00Z",
            "2026-01-01T05:00:00Z",
            "2026-01-01T10:00:00Z",
            "2026-01-01T15:00:00Z",
        ],
        // Nobody knows when.
        ["", "yesterday", "2026-01-03", "1970-01-04T00:00:00Z", "0000-00-00T00:00:00Z"],
        [
            "2990-01-01T00:00:00Z",
            "2990-01-02T00:00:00Z",
            "2990-01-03T00:00:00Z",
            "2990-01-04T00:00:00Z",
            "2990-01-05T00:00:00Z",
        ],
        ["2026-01-01T02:00:00Z"; 5],
    ] {
        let comparison = compared(&base(&starts), &head(1.05));
        assert_eq!((&comparison["tier"], &comparison["base_occasions"]), (&json!("single-baseline"), &json!(1)));
        let said = warnings(&comparison);
        assert!(said.contains(five) && said.contains(apart), "{starts:?}: {said}");
    }
}

/// What ended before it began has no time at all; what lasts long ends late.
#[test]
fn a_session_lasts() {
    let mut reversed = days();
    for session in &mut reversed.sessions {
        session.finished = Some("2026-01-01T01:00:00Z".into());
    }
    assert_eq!(compared(&reversed, &head(1.05))["base_occasions"], 1);
    let mut long = days();
    long.sessions[0].finished = Some("2026-01-02T00:00:00Z".into());
    assert_eq!(compared(&long, &head(1.05))["base_occasions"], 4);
}

/// Unknown times add nothing to four known ones, but the numbers are not lost.
#[test]
fn a_session_without_a_time_is_no_occasion_of_its_own() {
    let mut base = days();
    base.sessions[2].started = "some day".into();
    let comparison = compared(&base, &head(1.05));
    assert_eq!((&comparison["tier"], &comparison["base_occasions"]), (&json!("single-baseline"), &json!(4)));
    assert_eq!(comparison["rows"][0]["base"]["n"], 15);
}

#[test]
fn a_copy_of_a_session_counts_once() {
    let mut base = days();
    for index in 1..5 {
        base.sessions[index].runs = base.sessions[0].runs.clone();
        // Neither another time nor another order makes it another measurement.
        base.sessions[index].runs.rotate_left(index);
    }
    let comparison = compared(&base, &head(1.05));
    assert_eq!((&comparison["tier"], &comparison["base_occasions"]), (&json!("single-baseline"), &json!(1)));
    assert_eq!(comparison["rows"][0]["base"]["n"], 3);
    assert!(warnings(&comparison).contains("4 copies of other sessions"), "{comparison}");
    // Under both ids in both files, it is still one.
    let mut head = base.clone();
    head.sessions.truncate(2);
    let shared = compared(&base, &head);
    assert_eq!((&shared["tier"], &shared["rows"][0]["base"]["n"]), (&json!("same-session"), &json!(3)));
}

/// Dropping a run, or changing a digit, makes no measurement of it; nor does writing all numbers anew.
#[test]
fn an_altered_copy_of_a_session_counts_once() {
    let values = |session: &mut Session, change: &dyn Fn(&mut f64)| {
        for run in &mut session.runs {
            let Outcome::Ok(measured) = &mut run.outcome else { continue };
            measured.metrics.values_mut().for_each(change);
        }
    };
    let mut base = days();
    for index in 1..5 {
        base.sessions[index].runs = base.sessions[0].runs.clone();
    }
    base.sessions[1].runs.pop();
    base.sessions[2].runs.truncate(9);
    let Outcome::Ok(measured) = &mut base.sessions[3].runs[4].outcome else { unreachable!() };
    measured.metrics.values_mut().for_each(|value| *value *= 1.1);
    values(&mut base.sessions[4], &|value| *value = value.next_up());
    let comparison = compared(&base, &head(1.05));
    assert_eq!((&comparison["tier"], &comparison["base_occasions"]), (&json!("single-baseline"), &json!(1)));
    assert_eq!(comparison["rows"][0]["base"]["n"], 3);
    assert!(warnings(&comparison).contains("4 copies of other sessions"), "{comparison}");
}

/// Coarse values agree by chance, but not in most runs.
#[test]
fn sessions_that_share_few_runs_are_their_own() {
    let mut base = days();
    for index in 1..5 {
        for run in 0..9 {
            base.sessions[index].runs[run] = base.sessions[0].runs[run].clone();
        }
    }
    let comparison = compared(&base, &head(1.05));
    assert_eq!((&comparison["tier"], &comparison["base_occasions"]), (&json!("history"), &json!(5)));
    assert!(!warnings(&comparison).contains("cop"), "{comparison}");
    // One more of 18 is most of them.
    base.sessions[1].runs[9] = base.sessions[0].runs[9].clone();
    assert_eq!(compared(&base, &head(1.05))["base_occasions"], 4);
}

/// Several sessions of a night are one value of the history; so are several of the head.
#[test]
fn an_occasion_is_one_value() {
    let mut twice = days();
    for mut more in days().sessions {
        more.id += "-again";
        more.started = more.started.replace(":00Z", ":30Z");
        for run in &mut more.runs {
            let Outcome::Ok(measured) = &mut run.outcome else { continue };
            measured.metrics.values_mut().for_each(|value| *value *= 1.0001);
        }
        twice.sessions.push(more);
    }
    let comparison = compared(&twice, &head(1.05));
    assert_eq!((&comparison["tier"], &comparison["base_occasions"]), (&json!("history"), &json!(5)));
    assert_eq!(comparison["rows"][0]["df_pooled"], 4.0);
    let mut heads = head(1.05);
    let mut more = head(1.0501).sessions.remove(0);
    more.id = "head-again".into();
    heads.sessions.push(more);
    assert_eq!(compared(&days(), &heads)["rows"][0]["df_pooled"], 4.0);
}

/// Drift can explain what a single occasion shows, however much: it is told, and is no verdict.
#[test]
fn a_screen_never_says_regressed() {
    for (factor, direction) in [(1.5, "slower"), (0.6, "faster")] {
        let comparison = compared(&base(&["2026-01-01T02:00:00Z"]), &head(factor));
        assert_eq!((&comparison["tier"], &comparison["verdict"]), (&json!("single-baseline"), &json!("inconclusive")));
        assert_eq!((&comparison["counts"]["regressed"], &comparison["counts"]["improved"]), (&json!(0), &json!(0)));
        let row = &comparison["rows"][0];
        assert_eq!((&row["verdict"], &row["unconfirmed"]), (&json!("inconclusive"), &json!(true)));
        let reason = row["reason"].as_str().unwrap();
        let asked = "unconfirmed: 4 more sessions of the base, at least 6 hours apart, or base and head measured \
                     interleaved would settle it";
        assert!(reason.contains(direction) && reason.contains(asked), "{reason}");
    }
}

#[test]
fn what_a_screen_cannot_promise_is_not_promised() {
    let files = results_files(&base(&["2026-01-01T02:00:00Z", "2026-01-01T03:00:00Z"]), &head(1.2));
    let (_, table, _) = run(&files, &[]);
    let (_, markdown, _) = run(&files, &["--format", "markdown", "--only-changed"]);
    insta::assert_snapshot!(format!("{table}\n---\n{markdown}"));
    for text in [table, markdown] {
        assert!(!text.contains("false alarms in at most"), "{text}");
    }
    let (_, history, _) = run(&results_files(&days(), &head(1.05)), &[]);
    assert!(history.contains("5% of reports, if the machine drifts no more"), "{history}");
}

/// Plain samples don't say when: their sessions are taken at the caller's word, and that is said.
#[test]
fn sessions_of_plain_samples_are_occasions() {
    let cell = |sessions: Value| json!([{"case": "a", "metric": "ttft", "sessions": sessions}]);
    let head = cell(json!([[10.6, 10.61]]));
    let five = cell(json!([[10.0, 10.01], [10.02, 10.03], [9.98, 9.99], [10.01, 10.0], [10.03, 10.05]]));
    let read = |base: &Value| -> Value {
        serde_json::from_str(&run(&Files::new(base, &head), &["--format", "json"]).1).expect("JSON")
    };
    let comparison = read(&five);
    assert_eq!((&comparison["tier"], &comparison["verdict"]), (&json!("history"), &json!("regressed")));
    assert!(warnings(&comparison).contains("doesn't say when"), "{comparison}");
    let copies = cell(json!([[10.0, 10.01], [10.0, 10.01], [9.98, 9.99], [10.01, 10.0], [10.03, 10.05]]));
    let comparison = read(&copies);
    assert_eq!((&comparison["tier"], &comparison["base_occasions"]), (&json!("single-baseline"), &json!(4)));
}

/// Base and head with the sessions s-0, s-1 and s-2; `copy` is the one that on a side repeats the runs of s-0.
fn shared(copies: [Option<usize>; 2]) -> [Results; 2] {
    copies.map(|copy| {
        let mut results = base(&["2026-01-01T02:00:00Z", "2026-01-01T03:00:00Z", "2026-01-01T04:00:00Z"]);
        if let Some(index) = copy {
            results.sessions[index].runs = results.sessions[0].runs.clone();
        }
        results
    })
}

/// What was measured interleaved counts unless a side's session is a copy; then the other side's tells nothing either.
#[test]
fn a_shared_session_counts_unless_it_is_a_copy_on_a_side() {
    for (copies, runs) in [([None, None], 9), ([Some(2), None], 6), ([None, Some(2)], 6), ([Some(1), Some(2)], 3)] {
        let [base, head] = shared(copies);
        let comparison = compared(&base, &head);
        assert_eq!(comparison["tier"], "same-session");
        let row = &comparison["rows"][0];
        assert_eq!((&row["base"]["n"], &row["head"]["n"]), (&json!(runs), &json!(runs)), "{copies:?}");
        let others = 6 - runs / 3 * 2;
        let said = warnings(&comparison);
        assert_eq!(said.contains("left out"), others > 0, "{said}");
        assert!(others == 0 || said.contains(&format!("are compared: {others} others are left out")), "{said}");
    }
}

/// Better a copy of what was interleaved than nothing.
#[test]
fn a_copy_that_is_all_that_is_shared_is_compared() {
    let [base, mut head] = shared([Some(1), None]);
    head.sessions.remove(0);
    head.sessions.remove(1);
    let comparison = compared(&base, &head);
    assert_eq!((&comparison["tier"], &comparison["rows"][0]["base"]["n"]), (&json!("same-session"), &json!(3)));
}

/// An occasion of few runs has a mean that varies more: docs/statistics.md has the formula.
#[test]
fn fewer_runs_of_the_head_are_worth_less_against_a_history() {
    let levels = [10.0, 10.02, 9.98, 10.01, 10.03];
    let base: Vec<_> = levels.map(|level| [level, level, level]).to_vec();
    let p = |head: Value| {
        let cell = |sessions: Value| json!([{"case": "a", "metric": "ttft", "sessions": sessions}]);
        let out = run(&Files::new(&cell(json!(base)), &cell(head)), &["--format", "json"]).1;
        let comparison: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(comparison["tier"], "history");
        comparison["rows"][0]["p_pooled"].as_f64().expect("p")
    };
    let logarithms = levels.map(f64::ln);
    let difference = 10.05f64.ln() - stats::mean(&logarithms).unwrap();
    // The heads' means don't differ, so they only add a degree of freedom for each occasion after the first.
    let expected = |occasions: f64, inflation: f64| {
        let df = 4.0 + occasions - 1.0;
        let variance = stats::sum_of_squares(&logarithms) / df;
        stats::two_sided_p(difference / (variance * (1.0 / 5.0 + inflation / occasions)).sqrt(), df)
    };
    let [one, three, six] = [vec![10.05], vec![10.05; 3], vec![10.05; 6]];
    for (head, expected) in [
        (json!([three]), expected(1.0, 1.0)),
        (json!([one]), expected(1.0, 3.0)),
        (json!([six]), expected(1.0, 1.0)),
        (json!([one, three]), expected(2.0, 2.0)),
    ] {
        let got = p(head.clone());
        assert!((got / expected - 1.0).abs() < 1e-6, "{head}: {got} instead of {expected}");
    }
}

/// Six hours are enough, a second less isn't.
#[test]
fn occasions_are_six_hours_apart() {
    for (second, occasions) in [("2026-01-01T08:00:00Z", 2), ("2026-01-01T07:59:59Z", 1)] {
        let comparison = compared(&base(&["2026-01-01T02:00:00Z", second]), &head(1.0));
        assert_eq!(comparison["base_occasions"], occasions, "{second}");
    }
}

#[test]
fn one_of_a_kind_is_singular() {
    let mut four = days();
    four.sessions[4].runs = four.sessions[3].runs.clone();
    let said = warnings(&compared(&four, &head(1.05)));
    assert!(said.contains("5 sessions on 4 occasions (1 copy of another session)"), "{said}");
    assert!(said.contains("1 more session of the base, at least 6 hours apart"), "{said}");
}

/// More sessions of a server that goes on running are never of another occasion: what helps is said.
#[test]
fn of_a_server_that_goes_on_running_the_advice_is_to_start_it() {
    let mut base = days();
    for run in base.sessions.iter_mut().flat_map(|session| &mut session.runs) {
        let Outcome::Ok(measured) = &mut run.outcome else { panic!("measured") };
        measured.shared_process = true;
    }
    let comparison = compared(&base, &head(1.05));
    assert_eq!((&comparison["base_occasions"], &comparison["base_shared_process"]), (&json!(1), &json!(true)));
    let advice = "4 more sessions of the base, at least 6 hours apart, each of a server that bench-diff starts (`start` in the \
                  configuration)";
    assert!(warnings(&comparison).contains(&format!("{advice}, would show it")), "{comparison}");
    assert!(comparison["rows"].to_string().contains(advice), "{comparison}");
    let (_, out, _) = run(&results_files(&base, &head(1.05)), &[]);
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    let next = "or add 4 more sessions, at least 6 hours apart, each of a server that bench-diff starts";
    assert!(out.contains(next), "{out}");
}
