//! Sessions that were cut off, and carried on.

use super::*;

#[test]
fn a_killed_session_is_carried_on_with_nothing_measured_twice() {
    let bench = Bench::behaving("f32 slow\n");
    let mut child = bench.command(&[]).spawn().unwrap();
    bench.wait_for_lines("log", 5);
    signal(&child, "-KILL");
    child.wait().unwrap();
    let before = bench.results();
    assert!(before.sessions[0].finished.is_none());
    let measured = before.sessions[0].runs.clone();
    assert!((2..8).contains(&measured.len()), "{}", measured.len());

    fs::remove_file(bench.path("log")).unwrap();
    let finished = bench.run(&["--resume", "results.json"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let after = bench.results();
    assert_eq!(after.sessions[0].id, before.sessions[0].id);
    assert_eq!(after.sessions[0].runs[..measured.len()], measured);
    let mut all = runs(&after);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 8, "every run once");
    let cases = bench.read("log").lines().filter(|line| *line != "start").count();
    assert_eq!(cases, 8 - measured.len(), "only what was missing");
}

#[test]
fn ctrl_c_keeps_what_was_measured_and_says_how_to_carry_on() {
    let bench = Bench::behaving("f32 slow\n");
    let child = bench.command(&[]).spawn().unwrap();
    bench.wait_for_lines("log", 3);
    signal(&child, "-INT");
    let finished = Finished::of(child.wait_with_output().unwrap());
    assert_eq!(finished.code, Some(130));
    let hint = "stopped; what was measured is in results.json; continue with: bench-diff run --resume results.json\n";
    assert!(finished.err.ends_with(hint), "{}", finished.err);
    let results = bench.results();
    assert!(results.sessions[0].finished.is_none() && !results.sessions[0].runs.is_empty());
    assert!(failures(&results).is_empty(), "being stopped is no failure of a case");
    let lines = bench.read("log").lines().count();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(bench.read("log").lines().count(), lines, "the worker is gone");
}

#[test]
fn failed_runs_are_tried_again_when_carried_on() {
    let bench = Bench::behaving("one/f32/1 crash\n");
    assert_eq!(bench.run(&["--runs", "1"]).code, Some(3));
    fs::remove_file(bench.path("behaviour")).unwrap();
    fs::remove_file(bench.path("log")).unwrap();
    assert_eq!(bench.run(&["--resume", "results.json"]).code, Some(0));
    assert_eq!(bench.read("log"), "start\none/f32/1\n");
    assert_eq!(runs(&bench.results()).len(), 4);
}

#[test]
fn other_settings_cant_be_carried_on() {
    let bench = Bench::new();
    bench.run(&["--runs", "1"]);
    for flags in [["--generated-length", "3"], ["--warmup", "2"], ["--model", "./one"], ["--prompt", "vllm"]] {
        let finished = bench.run(&[&["--resume", "results.json"], &flags[..]].concat());
        assert_eq!(finished.code, Some(2), "{flags:?}: {}", finished.err);
        assert!(finished.err.contains("can't resume"), "{flags:?}: {}", finished.err);
    }
}

/// How a session is measured stands in its file.
#[test]
fn flags_that_say_how_to_measure_need_not_be_given_again() {
    let bench = Bench::new();
    let flags = ["--iterations", "3", "--warmup", "2", "--warmup-length", "3", "--threads", "1", "--prompt", "vllm"];
    let first = bench.run(&[&["--runs", "1"], &flags[..]].concat());
    assert_eq!(first.code, Some(0), "{}", first.err);
    let settings = bench.results().settings;
    assert_eq!((settings.iterations, settings.warmup, settings.threads), (3, 2, Some(1)));
    let resumed = bench.run(&["--resume", "results.json", "--runs", "2"]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.err);
    let results = bench.results();
    assert_eq!(results.settings, results::Settings { runs: 2, ..settings });
    assert_eq!(runs(&results).len(), 8);
}

/// It says the same of itself, and no commit.
#[test]
fn another_build_of_the_program_cant_be_carried_on() {
    let bench = Bench::new();
    let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run/worker.sh");
    let build = |end: &str| {
        bench.write("source", &(fs::read_to_string(&worker).unwrap() + end));
        let made = Command::new("install").arg("-m755").arg(bench.path("source")).arg(bench.path("worker")).status();
        assert!(made.unwrap().success());
    };
    let run = |args: &[&str]| Finished::of(bench.plain(&[args, &["--worker", "worker"]].concat()).output().unwrap());
    build("");
    assert_eq!(run(&["--runs", "1"]).code, Some(0));
    let kept = bench.read("results.json");
    build("# rebuilt\n");
    let refused = run(&["--resume", "results.json", "--runs", "2"]);
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    assert!(refused.err.contains("can't resume: ") && refused.err.contains("is another build"), "{}", refused.err);
    assert_eq!(bench.read("results.json"), kept);
    build("");
    assert_eq!(run(&["--resume", "results.json", "--runs", "2"]).code, Some(0));
}

#[test]
fn results_arent_overwritten_by_accident() {
    let bench = Bench::new();
    bench.run(&["--runs", "1"]);
    let before = bench.read("results.json");
    let refused = bench.run(&["--runs", "1"]);
    assert_eq!(refused.code, Some(2));
    let hint = "hint: `bench-diff run --resume results.json` resumes it; --force replaces it; --output names another\n";
    assert!(refused.err.ends_with(hint), "{}", refused.err);
    assert_eq!(bench.read("results.json"), before);
    assert_eq!(bench.run(&["--runs", "1", "--force"]).code, Some(0));
    assert_ne!(bench.read("results.json"), before);
}
