//! Engines that break the protocol: what is said of it names the fault, in `run` and in `check-engine`.

use super::programs::{checked, measured, measured_often, program, why};
use super::*;

fn broken(mode: &str) -> String {
    let (code, said) = checked(mode);
    assert_eq!(code, Some(3), "{mode}: {said}");
    let wrong = said.lines().skip_while(|line| !line.trim_start().starts_with("WRONG"));
    wrong.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// Lines that come when a buffer is full say nothing about when their tokens were there.
#[test]
fn buffered_lines_are_no_measurement() {
    for (mode, tokens, how) in [
        ("buffered", "64", "all 64 `chunk` lines arrived within "),
        ("half-buffered", "60", "48 of 60 `chunk` lines arrived "),
    ] {
        let (finished, results) = measured(mode, &["--generated-length", tokens]);
        assert_eq!(finished.code, Some(3), "{mode}: {}", finished.err);
        let [(_, reason)] = &failures(&results)[..] else { panic!("{mode}: one failed run") };
        assert!(reason.starts_with(how), "{mode}: {reason}");
        assert!(reason.contains("flush standard output after every line"), "{mode}: {reason}");
    }
    let said = broken("buffered");
    assert!(said.contains("WRONG flushes each `chunk`") && said.contains("flush standard output"), "{said}");
}

/// A step of some engines has several tokens.
#[test]
fn tokens_that_come_in_steps_are_measured() {
    let (finished, results) = measured("stepping", &["--generated-length", "64"]);
    assert_eq!((finished.code, failures(&results)), (Some(0), vec![]), "{}", finished.err);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    assert!(!run.warnings.iter().any(|warning| warning.contains("buffered")), "{:?}", run.warnings);
}

#[test]
fn a_line_that_is_no_answer_is_said_to_be_none_and_why() {
    for (mode, reason) in [
        ("chatty", "`Generating: 10%`: it is no JSON"),
        ("endless", ": it is longer than 4 MiB"),
        ("empty-line", ": it is empty"),
        ("nameless", ": it lacks `name`"),
        ("negative", ": `peak_bytes` must be a whole number above 0, and not integer `-5`"),
    ] {
        let said = why(mode);
        assert!(said.contains("wrote a line that is no answer: `") && said.contains(reason), "{mode}: {said}");
    }
}

/// How it ended says more than where.
#[test]
fn an_engine_that_dies_in_the_middle_of_a_line_has_ended() {
    let said = why("unfinished");
    let how = "it ended with exit code 3, in the middle of the line `{\"answer\":\"chu`; it said: CUDA error 700";
    assert!(said.contains(how), "{said}");
}

#[test]
fn an_answer_without_an_end_ends() {
    for (mode, reason) in [
        ("endless-chunks", "the engine gave more tokens than it was asked for (1)"),
        ("empty-chunks", "a `chunk` of 0 tokens"),
        ("endless-loading", "didn't come to the end of its answer within 5 s"),
    ] {
        let said = broken(mode);
        assert!(said.contains(reason), "{mode}: {said}");
    }
}

/// The fault is the line too many, and not the answer to the next question.
#[test]
fn what_comes_after_an_answer_is_said_to() {
    for mode in ["twice", "late"] {
        let said = broken(mode);
        let is_said = ["wrote `generated` after", "is it a second answer", "comes last and once"];
        assert!(is_said.iter().any(|how| said.contains(how)), "{mode}: {said}");
    }
    let said = broken("backwards");
    assert!(said.contains("wrote `chunk` after `generated`, which comes last"), "{said}");
    let said = broken("talks-last");
    assert!(said.contains("it wrote `Goodbye.` after `quit`"), "{said}");
}

/// A session measures one program.
#[test]
fn a_hello_that_changes_ends_the_session() {
    let (finished, results) = measured_often("changing", "2", &[]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    assert!(
        finished.err.contains("the engine changed in the middle of the session: its hello said fake "),
        "{}",
        finished.err
    );
    assert_eq!(results.sessions[0].runs.len(), 1, "what was measured before is kept");
    let said = broken("changing");
    assert!(said.contains("WRONG says the same hello each time"), "{said}");
}

/// In a session of its own it is nobody's child any more.
#[test]
fn what_a_program_leaves_in_another_session_is_found_and_ended() {
    let said = broken("daemon");
    assert!(said.contains("WRONG leaves no process behind still there: "), "{said}");
    let left = said.split("still there: ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    assert!(!Path::new(&format!("/proc/{}", left.trim_end_matches(','))).exists(), "{left}");
}

#[test]
fn a_command_that_names_no_program_is_a_mistake() {
    let bench = Bench::new();
    for (command, why) in
        [("", "`command` is empty"), ("[\"./engine.pl\"", "begins like a list, but isn't one in JSON")]
    {
        let finished = Finished::of(bench.plain(&["--engine", "command", "--command", command]).output().unwrap());
        assert_eq!(finished.code, Some(2), "{}", finished.err);
        assert!(finished.err.contains(why), "{command}: {}", finished.err);
    }
}

/// What one of them says of a session's time, the other says too.
#[test]
fn doctor_and_plan_agree_on_the_time_of_engines_that_tell_none() {
    let bench = Bench::new();
    let config = |models: &str| CONFIG.replace("models = [\"./one\", \"./two\"]", models);
    let of_another = format!("{{ model = \"./two\", command = [{:?}, \"well\"] }}", program());
    bench.write("bench-diff.toml", &config(&format!("models = [\"./one\", {of_another}]")));
    let (plan, doctor) = (bench.bench_diff(&["plan"]), bench.bench_diff(&["doctor"]));
    let words = |text: &str| text.replace('\u{a0}', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let time = |text: &str, mark: &str| {
        let rest = words(text).split_once(mark).map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        rest.split_whitespace().take(3).collect::<Vec<_>>().join(" ").trim_end_matches(',').to_owned()
    };
    let said = time(&doctor.out, "a session takes ");
    assert!(!said.is_empty(), "{}", doctor.out);
    assert_eq!(said, time(&plan.out, "2 runs each: "), "{}\n{}", plan.out, doctor.out);
    bench.write("bench-diff.toml", &config(&format!("models = [{of_another}]")));
    let plan = bench.bench_diff(&["plan", "--format", "json"]).out;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&plan).unwrap()["seconds"], 0.0, "nothing is known of it");
}
