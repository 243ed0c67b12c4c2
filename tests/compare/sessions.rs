//! What is comparable: sessions interleaved, apart or many, machines, and programs that fell back.

use bench_diff::compare::{NoteKind, ReasonCode, Tier, Verdict, disk};
use bench_diff::engine::candle::Implementation;
use bench_diff::results::{Ceilings, Failure, FailureKind, Outcome, Results, Run};
use serde_json::json;

use crate::compare_support::{Files, Printed, case, compare_json, run, session};
use crate::{SUCCESS, other_session, regression, results_files};

#[test]
fn sessions_in_both_files_were_interleaved() {
    let files = results_files(&session(|_, _| 1.0), &session(|case, _| if case == 0 { 1.04 } else { 1.0 }));
    let comparison = compare_json(&files, &[]);
    assert_eq!((comparison.tier, comparison.verdict), (Tier::SameSession, Verdict::Regressed));
    // Only the metrics that matter, until all are asked for.
    let metrics = |comparison: &Printed| comparison.rows.iter().filter(|row| row.case == case(0).id).count();
    assert_eq!(metrics(&comparison), 3);
    assert_eq!(metrics(&compare_json(&files, &["--metric", "all"])), 4);
    assert_eq!(metrics(&compare_json(&files, &["--metric", "tpot"])), 1);
}

#[test]
fn sessions_apart_drift() {
    let files = results_files(&session(|_, _| 1.0), &other_session(|case, _| if case == 0 { 1.04 } else { 1.0 }));
    let comparison = compare_json(&files, &[]);
    assert_eq!((comparison.tier, comparison.counts.regressed), (Tier::SingleBaseline, 0));
    assert!(comparison.warnings.iter().any(|warning| warning.starts_with("single baseline session")));
}

#[test]
fn when_everything_moves_the_devices_limits_show_a_likely_cause() {
    let warnings = |base: Option<Ceilings>, head: Option<Ceilings>| {
        let (mut old, mut new) = (session(|_, _| 1.0), other_session(|_, _| 1.04));
        old.sessions[0].ceilings = base;
        new.sessions[0].ceilings = head;
        let warnings = compare_json(&results_files(&old, &new), &[]).warnings;
        warnings.into_iter().filter(|warning| warning.contains("cause")).collect::<Vec<_>>()
    };
    let limits = |bandwidth_gb_s, matmul_tflop_s| Some(Ceilings { bandwidth_gb_s, matmul_tflop_s });
    let shifts = |suspicion: &str| {
        let shift = |metric, direction| format!("{metric} is {direction} in nearly every case{suspicion}");
        vec![shift("decode_throughput", "down by 3.8%"), shift("itl_p99", "up by 4%"), shift("ttft", "up by 4%")]
    };
    assert_eq!(warnings(limits(3000.0, 790.0), None), shifts(": the machine may be the cause"));
    let alike = shifts(", while the device's measured limits are alike: a shared cause is likely");
    assert_eq!(warnings(limits(3000.0, 790.0), limits(2854.0, 750.0)), alike);
    let slow = warnings(limits(3000.0, 790.0), limits(2700.0, 790.0));
    assert_eq!(
        slow[0],
        "the device's measured memory bandwidth in GB/s differs (3000 in the base, 2700 in the head): the machine may be the cause"
    );
    assert_eq!(slow[1..], shifts(": the machine may be the cause"));
}

#[test]
fn five_sessions_are_a_history() {
    let mut base = session(|_, _| 1.0);
    for index in 2..=5 {
        let mut more = session(|_, _| 1.0 + 0.001 * f64::from(index)).sessions.remove(0);
        more.id = format!("s-{index}");
        (more.started, more.finished) = (format!("2026-01-{index:02}T00:00:00Z"), None);
        base.sessions.push(more);
    }
    let mut head = session(|case, _| if case == 0 { 1.05 } else { 1.0035 });
    head.sessions[0].id = "head".into();
    let comparison = compare_json(&results_files(&base, &head), &[]);
    // 5% is within the threshold of ITL p99.
    assert_eq!((comparison.tier, comparison.counts.regressed), (Tier::History, 2));
    assert_eq!(comparison.rows[0].df_pooled, Some(4.0));
}

#[test]
fn another_machine_is_not_comparable() {
    let mut head = other_session(|_, _| 2.0);
    head.sessions[0].environment.gpus[0].name = "NVIDIA H200".into();
    head.sessions[0].environment.driver_version = Some("600.1".into());
    let files = results_files(&session(|_, _| 1.0), &head);
    let (exit, out, _) = run(&files, &["--fail-on", "regression"]);
    assert_eq!(exit, SUCCESS);
    insta::assert_snapshot!(out);
    let comparison = compare_json(&files, &["--allow-mismatch"]);
    assert!(comparison.rows.iter().all(|row| row.unconfirmed), "twice as slow, but on another machine");
    assert!(comparison.warnings.iter().any(|warning| warning.contains("--allow-mismatch")));
}

#[test]
fn other_work_is_not_comparable() {
    let mut head = other_session(|_, _| 1.0);
    head.cases[1].generated_length = 64;
    let comparison = compare_json(&results_files(&session(|_, _| 1.0), &head), &[]);
    let verdicts =
        |id: &str| comparison.rows.iter().filter(|row| row.case == id).map(|row| row.verdict).collect::<Vec<_>>();
    assert_eq!(verdicts(&case(1).id), [Verdict::NotComparable; 3]);
    assert!(!verdicts(&case(0).id).contains(&Verdict::NotComparable));
    let told = |row: &&disk::Row| row.reason == "generated_length 32 → 64";
    let row = comparison.rows.iter().find(told).expect("the case's row");
    assert_eq!(row.reason_code, Some(ReasonCode::CaseDiffers.into()));
    head.cases[1].generated_length = 32;
    head.settings.warmup = 0;
    let comparison = compare_json(&results_files(&session(|_, _| 1.0), &head), &[]);
    assert_eq!(comparison.verdict, Verdict::NotComparable);
    assert_eq!(comparison.counts.not_comparable, comparison.rows.len());
    assert!(comparison.rows.iter().all(|row| row.reason_code == Some(ReasonCode::SidesDiffer.into())));
}

/// Results in which `case` was run by `ran`, whatever was asked for; with nothing else to tell apart.
fn run_by(ran: Implementation, case_index: usize, factor: f64) -> Results {
    let mut results = session(|index, _| if index == case_index { factor } else { 1.0 });
    for run in results.sessions[0].runs.iter_mut().filter(|run| run.case == case(case_index).id) {
        let Outcome::Ok(measured) = &mut run.outcome else { panic!("every run is well") };
        measured.implementation = Some(ran.into());
    }
    results
}

/// Results whose times are of `clock`.
fn timed_by(clock: &str) -> Results {
    let mut results = session(|_, _| 1.0);
    for run in &mut results.sessions[0].runs {
        let Outcome::Ok(measured) = &mut run.outcome else { panic!("every run is well") };
        measured.clock = Some(clock.into());
    }
    results
}

/// What a client sees holds more than a device's work: such numbers say nothing about each other.
#[test]
fn times_of_another_clock_arent_compared() {
    let device = timed_by("device");
    for other in ["client", "sundial"] {
        let comparison = compare_json(&results_files(&device, &timed_by(other)), &[]);
        assert_eq!(comparison.verdict, Verdict::NotComparable, "{other}");
        assert!(comparison.rows[0].reason.contains(&format!("clock of the times device → {other}")), "{other}");
    }
    // Files from before it was told, such as every baseline of schema 1.
    let comparison = compare_json(&results_files(&session(|_, _| 1.0), &device), &[]);
    assert_eq!(comparison.verdict, Verdict::Unchanged);
}

/// `graph` was asked for on both sides. In the head it couldn't run a case: another program than the base's was timed.
#[test]
fn a_fallback_of_the_head_is_said_and_fails() {
    let files = results_files(&run_by(Implementation::Graph, 1, 1.0), &run_by(Implementation::Plain, 1, 5.0));
    let (exit, out, _) = run(&files, &["--fail-on", "regression"]);
    assert_eq!(exit, regression());
    insta::assert_snapshot!(out);
    // Files from before this was recorded ran what was asked for.
    let old = results_files(&session(|_, _| 1.0), &run_by(Implementation::Plain, 1, 5.0));
    assert_eq!(run(&old, &["--fail-on", "regression"]).1, out);
    let comparison = compare_json(&files, &["--allow-mismatch"]);
    assert_eq!((comparison.counts.regressed, comparison.counts.not_comparable), (3, 0));
}

#[test]
fn a_fallback_on_both_sides_is_compared_and_said() {
    let plain = run_by(Implementation::Plain, 1, 1.0);
    let comparison = compare_json(&results_files(&plain, &plain), &[]);
    assert_eq!(comparison.verdict, Verdict::Unchanged);
    assert_eq!(comparison.notes, []);
    let said = format!("`plain` ran instead of `graph` in `{}`", case(1).id);
    assert_eq!(comparison.warnings.iter().filter(|warning| warning.ends_with(&said)).count(), 2);
    let graph = run_by(Implementation::Graph, 1, 1.0);
    let mended = compare_json(&results_files(&plain, &graph), &[]);
    assert_eq!(mended.verdict, Verdict::NotComparable);
    assert_eq!(mended.notes, [], "the head lost nothing");
}

/// Lost, failed, new and never-run cases, other tokens, throttling, and a session that was cut off.
#[test]
fn what_has_no_verdict_is_still_said() {
    let base = session(|_, _| 1.0);
    let mut head = session(|_, _| 1.0);
    head.cases.retain(|planned| planned.id != case(1).id);
    head.cases.push(bench_diff::case::Case { id: "new|case".into(), ..case(1) });
    let session = &mut head.sessions[0];
    session.finished = None;
    session.runs.retain(|run| run.case != case(1).id && run.case != case(2).id);
    for run in &mut session.runs {
        let Outcome::Ok(measured) = &mut run.outcome else { continue };
        if run.case == case(0).id {
            measured.token_hash = Some("other".into());
            measured.device.get_or_insert_default().throttle_reasons = vec!["SW_POWER_CAP".into()];
        } else if run.case == case(3).id {
            let failure = Failure { kind: FailureKind::OutOfMemory, reason: "the GPU's memory ran out".into() };
            run.outcome = Outcome::Failed(failure);
        }
    }
    let files = results_files(&base, &head);
    let (exit, out, _) = run(&files, &["--fail-on", "regression"]);
    assert_eq!(exit, regression());
    insta::assert_snapshot!(out);
    let comparison = compare_json(&files, &[]);
    let kinds: Vec<NoteKind> = comparison.notes.iter().map(|note| note.kind).collect();
    assert_eq!(kinds, [NoteKind::OutputChanged, NoteKind::Missing, NoteKind::Missing, NoteKind::Failed, NoteKind::New]);
}

/// A power cap that holds down every run of a case, on both sides, is how the device runs it; what comes and goes isn't.
#[test]
fn throttling_is_a_warning_unless_it_is_always_there() {
    let throttled = |sides: [&[u32]; 2]| {
        let mut results = [session(|_, _| 1.0), other_session(|_, _| 1.0)];
        for (results, rounds) in results.iter_mut().zip(sides) {
            for run in results.sessions[0].runs.iter_mut().filter(|run| run.case == case(0).id) {
                let Outcome::Ok(measured) = &mut run.outcome else { continue };
                let reason = rounds.contains(&run.round).then(|| "sw_power_cap".into());
                measured.device.get_or_insert_default().throttle_reasons = reason.into_iter().collect();
            }
        }
        let warnings = compare_json(&results_files(&results[0], &results[1]), &[]).warnings;
        warnings.into_iter().filter(|warning| warning.contains("throttled")).collect::<Vec<_>>()
    };
    let said = |side: &str, runs: &str| {
        format!(
            "{side}.json: the device was throttled in {runs} (sw_power_cap) of cases that also ran unthrottled: their numbers may be low"
        )
    };
    assert!(throttled([&[1, 2, 3], &[1, 2, 3]]).is_empty());
    assert_eq!(throttled([&[1, 2, 3], &[1, 2]]), [said("base", "3 runs"), said("head", "2 runs")]);
    assert_eq!(throttled([&[], &[2]]), [said("head", "1 run")]);
    assert_eq!(throttled([&[1, 2, 3], &[]]), [said("base", "3 runs")]);
}

/// A run that was killed before its first result: everything is missing, nothing is invented.
#[test]
fn results_without_runs() {
    let mut head = other_session(|_, _| 1.0);
    head.sessions[0].runs.clear();
    head.sessions[0].finished = None;
    let files = results_files(&session(|_, _| 1.0), &head);
    let comparison = compare_json(&files, &[]);
    assert_eq!((comparison.rows.len(), comparison.notes.len()), (0, 6));
    assert_eq!(comparison.verdict, Verdict::NotComparable);
    assert_eq!(run(&files, &["--fail-on", "regression"]).0, regression());
    head.sessions.clear();
    assert_eq!(compare_json(&results_files(&session(|_, _| 1.0), &head), &[]).notes.len(), 6);
}

/// A case of both files whose runs are in sessions that the other file lacks was never measured interleaved.
#[test]
fn what_no_shared_session_holds_has_no_verdict() {
    let with_two = || {
        let mut results = session(|_, _| 1.0);
        results.sessions.push(other_session(|_, _| 1.0).sessions.remove(0));
        results
    };
    for apart in [0, 1] {
        let mut sides = [session(|_, _| 1.0), session(|_, _| 1.0)];
        sides[apart] = with_two();
        // The shared session lost case 0 on one side; there it is in the other session.
        sides[apart].sessions[0].runs.retain(|run| run.case != case(0).id);
        let comparison = compare_json(&results_files(&sides[0], &sides[1]), &[]);
        assert_eq!(comparison.tier, Tier::SameSession);
        let row = comparison.rows.iter().find(|row| row.case == case(0).id).expect("a row");
        assert_eq!((row.verdict, row.p), (Verdict::Inconclusive, None));
        assert_eq!(row.reason, "no values in the sessions that both sides share");
        assert!(comparison.rows.iter().any(|row| row.verdict == Verdict::Unchanged));
    }
}

#[test]
fn one_run_a_side_of_a_session_has_no_verdict() {
    let mut one = session(|_, _| 1.0);
    one.sessions.push(other_session(|_, _| 1.001).sessions.remove(0));
    for session in &mut one.sessions {
        session.runs.retain(|run| run.round == 1);
    }
    let comparison = compare_json(&results_files(&one, &one), &[]);
    assert_eq!((comparison.tier, comparison.verdict, comparison.family), (Tier::SameSession, Verdict::Inconclusive, 0));
    assert_eq!(comparison.rows[0].reason, "one run on each side of a session can't be distinguished from noise");
}

fn fell_over() -> Outcome {
    Outcome::Failed(Failure { kind: FailureKind::Crashed, reason: "it fell over".into() })
}

/// A case of the pull request's own may fail: there is nothing that it lost.
#[test]
fn a_new_case_that_failed_is_said_and_passes() {
    let mut head = session(|_, _| 1.0);
    head.cases.push(bench_diff::case::Case { id: "new".into(), ..case(1) });
    let note = |head: &Results| compare_json(&results_files(&session(|_, _| 1.0), head), &[]).notes.remove(0);
    let failed = Run { case: "new".into(), outcome: fell_over(), ..head.sessions[0].runs[0].clone() };
    let second = head.sessions[0].runs.iter().find(|run| run.round == 2).expect("round 2").clone();
    let fine = Run { case: "new".into(), ..second };
    for (runs, reason) in [
        (vec![], "in the head only: nothing to compare with"),
        (vec![failed.clone()], "in the head only, and failed: it fell over"),
        (vec![failed, fine], "in the head only: nothing to compare with"),
    ] {
        let mut head = head.clone();
        head.sessions[0].runs.extend(runs);
        let note = note(&head);
        assert_eq!((note.kind, note.fails, note.reason.as_str()), (NoteKind::New, false, reason));
    }
}

/// Only what the base had can be lost.
#[test]
fn a_case_that_failed_fails_only_if_the_base_has_its_numbers() {
    for (lost, exit, reason) in [
        ([true, true], SUCCESS, "no numbers on either side; in the head it failed: it fell over"),
        ([true, false], SUCCESS, "no numbers in the base: it failed: it fell over"),
        ([false, true], regression(), "no numbers in the head: it failed: it fell over"),
    ] {
        let [base, head] = lost.map(|lost| {
            let mut results = session(|_, _| 1.0);
            results.sessions[0]
                .runs
                .iter_mut()
                .filter(|run| lost && run.case == case(0).id)
                .for_each(|run| run.outcome = fell_over());
            results
        });
        let files = results_files(&base, &head);
        assert_eq!(run(&files, &["--fail-on", "regression"]).0, exit, "{reason}");
        let notes = compare_json(&files, &[]).notes;
        assert_eq!((notes.len(), notes[0].kind, notes[0].reason.as_str()), (1, NoteKind::Failed, reason));
    }
}

/// Who doesn't say which tokens came out may still have written the same.
#[test]
fn tokens_that_a_side_does_not_tell_have_not_changed() {
    let mut silent = session(|_, _| 1.0);
    for run in &mut silent.sessions[0].runs {
        let Outcome::Ok(measured) = &mut run.outcome else { panic!("every run is well") };
        measured.token_hash = None;
    }
    let telling = session(|_, _| 1.0);
    for (base, head) in [(&silent, &telling), (&telling, &silent)] {
        assert_eq!(compare_json(&results_files(base, head), &[]).notes, []);
    }
}

/// ITL is mostly decode's other name: one change is one line. What decode doesn't explain is counted on its own.
#[test]
fn what_follows_another_metric_is_not_counted_again() {
    let slower = |itl: f64| {
        let cost = move |index: usize, metric: &str| match metric {
            "decode_throughput" if index < 2 => 1.1,
            "itl_p99" if index < 2 => itl,
            _ => 1.0,
        };
        results_files(&session(|_, _| 1.0), &session(cost))
    };
    let lines = |files: &Files| -> Vec<String> { run(files, &[]).1.lines().take(2).map(str::to_owned).collect() };
    let explained = slower(1.1);
    let said = lines(&explained);
    assert_eq!(said[0], "Slower: decode -9.1% in 2 of 6 cases");
    assert!(said[1].starts_with("Also ITL p99 +10.0%, as decode explains. Unchanged: TTFT."), "{said:?}");
    let (_, json, _) = run(&explained, &["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let itl = json["by_metric"].as_array().unwrap().iter().find(|tally| tally["follows"] != json!(null)).unwrap();
    assert_eq!((&itl["metric"], &itl["follows"]), (&json!("itl_p99"), &json!("decode_throughput")));
    assert_eq!((&itl["cases"], &itl["of"], &itl["direction"]), (&json!(2), &json!(6), &json!("slower")));
    let said = lines(&slower(1.3));
    assert_eq!(said[0], "Slower: decode -9.1% in 2 of 6 cases, ITL p99 +30.0% in 2 of 6");
}
