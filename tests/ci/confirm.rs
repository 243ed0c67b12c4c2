//! What looks changed against a baseline is measured again with the base, until it is settled or the budget is spent.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Place, Said, read};

/// For [`Place::note`]: every run.
pub static ALWAYS: LazyLock<String> = LazyLock::new(|| (1..=999).map(|count| format!("{count}\n")).collect());

/// A committed baseline of a program of 100 tokens a second.
fn with_baseline() -> Place {
    let place = Place::new();
    let old = place.program("old", "100", "aaaaaaa");
    assert_eq!(place.ci(&["--head-binary", &old]).0, 0);
    let (exit, out, err) = place.run(&["baseline", "update", ".bench-diff/latest/results.json"]);
    assert_eq!((exit, err.as_str()), (0, ""), "{out}");
    place
}

impl Place {
    fn confirmed(&self, speeds: [&str; 2], flags: &[&str]) -> Said {
        let (base, head) = (self.program("base", speeds[0], "aaaaaaa"), self.program("head", speeds[1], "bbbbbbb"));
        self.ci(&[&["--head-binary", &head, "--base-binary", &base, "--fail-on", "regression"], flags].concat())
    }

    /// What is noted beside a program of the test.
    pub fn note(&self, program: &str, what: &str, text: &str) {
        std::fs::write(self.path(&format!("{program}.{what}")), text).unwrap();
    }

    fn rows(&self) -> Vec<Value> {
        self.report()["comparison"]["rows"].as_array().unwrap().clone()
    }

    /// Those that were decided by fresh runs.
    fn confirmed_rows(&self) -> Vec<Value> {
        let rows: Vec<Value> = self.rows().into_iter().filter(|row| row["confirmed"] == true).collect();
        assert!(!rows.is_empty());
        rows
    }

    fn warnings(&self) -> String {
        self.report()["comparison"]["warnings"].to_string()
    }

    fn fresh(&self, side: &str) -> Value {
        read(&self.path(&format!(".bench-diff/latest/confirm-{side}.json")))["sessions"][0].clone()
    }

    /// Fresh runs that were measured again, of all who took turns.
    fn discarded(&self) -> usize {
        let count = |side| self.fresh(side)["discarded"].as_array().map_or(0, Vec::len);
        ["base", "results", "base-again"].map(count).iter().sum()
    }

    /// Starts `ci` and stops it as Ctrl-C does, once `file` holds a run.
    pub fn interrupted(&self, args: &[&str], file: &str) -> Output {
        self.interrupted_in("ci", args, file)
    }

    /// The same of another command.
    pub fn interrupted_in(&self, command: &str, args: &[&str], file: &str) -> Output {
        let child = Command::new(env!("CARGO_BIN_EXE_bench-diff"))
            .args([&[command, "--quiet"], args].concat())
            .current_dir(self.0.path())
            .env_remove("GITHUB_REPOSITORY")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while !holds_a_run(&self.path(file)) {
            assert!(started.elapsed() < Duration::from_secs(60), "{file} never held a run");
            std::thread::sleep(Duration::from_millis(10));
        }
        interrupt(&child);
        child.wait_with_output().unwrap()
    }
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

fn holds_a_run(path: &Path) -> bool {
    let Ok(text) = std::fs::read(path) else { return false };
    let results: Value = serde_json::from_slice(&text).unwrap();
    results["sessions"][0]["runs"].as_array().is_some_and(|runs| !runs.is_empty())
}

fn runs(row: &Value) -> [u64; 2] {
    ["base", "head"].map(|side| row[side]["n"].as_u64().unwrap())
}

#[test]
fn a_clear_regression_is_settled_by_the_first_look() {
    let place = with_baseline();
    let (exit, out, err) = place.confirmed(["100", "90"], &[]);
    assert_eq!(exit, 1, "{err}");
    let report = place.report();
    assert_eq!(
        (&report["comparison"]["tier"], &report["comparison"]["verdict"]),
        (&json!("confirmed"), &json!("regressed"))
    );
    for row in &place.confirmed_rows() {
        let is_memory = row["metric"] == "peak_memory";
        let verdict = if is_memory { "unchanged" } else { "regressed" };
        assert_eq!((&row["verdict"], runs(row)), (&json!(verdict), [4, 4]), "{row}");
        assert!(is_memory || row["base_again"]["n"] == 4, "the base has been compared with itself: {row}");
    }
    assert_eq!(place.fresh("base-again")["id"], place.fresh("base")["id"], "one session");
    insta::assert_snapshot!("confirmed_comment", place.plain(&out).lines().take(14).collect::<Vec<_>>().join("\n"));
}

/// The baseline remembers a faster machine: the base is as slow as the head today, so nothing has changed.
#[test]
fn what_the_machine_did_is_acquitted() {
    let place = with_baseline();
    let (exit, _, err) = place.confirmed(["90", "90"], &[]);
    assert_eq!(exit, 0, "{err}");
    assert_eq!(place.report()["comparison"]["tier"], "confirmed");
    assert_eq!(place.report()["comparison"]["verdict"], "unchanged");
}

/// Memory as well: a newer driver takes more of it from the base, too.
#[test]
fn memory_is_judged_by_the_base_of_today() {
    let place = with_baseline();
    for (head, exit, verdict) in [("900", 0, "unchanged"), ("1200", 1, "regressed"), ("700", 0, "improved")] {
        place.note("base", "memory", "900");
        place.note("head", "memory", head);
        let (ended, out, err) = place.confirmed(["100", "100"], &[]);
        assert_eq!(ended, exit, "{out}{err}");
        for row in place.rows().iter().filter(|row| row["metric"] == "peak_memory" && row["confirmed"] == true) {
            assert_eq!((&row["verdict"], &row["base"]["mean"]), (&json!(verdict), &json!(900.0)), "{row}");
        }
        let memory = place.confirmed_rows().iter().filter(|row| row["metric"] == "peak_memory").count();
        assert_eq!(memory, 2, "of both cases");
    }
}

/// The comment shows the runs that decided, and doubts nothing that the drift of a baseline would explain.
#[test]
fn what_decided_is_what_is_shown() {
    let place = with_baseline();
    let (exit, out, err) = place.confirmed(["80", "60"], &[]);
    assert_eq!(exit, 1, "{err}");
    let rows = place.confirmed_rows();
    assert_eq!(rows.len(), place.rows().len(), "a case is measured again as a whole");
    let decode = &rows[0];
    assert!((decode["base"]["mean"].as_f64().unwrap() - 80.0).abs() < 1.0, "{decode}");
    let samples = out.split("Samples").nth(1).unwrap().lines().find(|line| line.contains("decode")).unwrap().to_owned();
    let values = |column: usize| -> Vec<f64> {
        let cell = samples.split('|').nth(column).unwrap();
        cell.split_whitespace().map(|value| value.parse().unwrap()).collect()
    };
    assert!(values(3).len() == 4 && values(3).iter().all(|value| (79.0..81.0).contains(value)), "{samples}");
    assert!(values(4).len() == 4 && values(4).iter().all(|value| (59.0..61.0).contains(value)), "{samples}");
    assert!(
        !place.warnings().contains("drift") && !place.warnings().contains("may be the cause"),
        "{}",
        place.warnings()
    );
    // What couldn't be measured again is in doubt.
    place.note("base", "throttled", &ALWAYS);
    place.confirmed(["100", "90"], &[]);
    assert!(place.warnings().contains("drift"), "{}", place.warnings());
}

/// Two in a row: the second and the third are the same run's, the fourth counts.
#[test]
fn a_throttled_run_is_repeated_at_once() {
    let place = with_baseline();
    place.note("base", "throttled", "2\n3\n");
    let (exit, _, err) = place.confirmed(["100", "90"], &[]);
    assert_eq!(exit, 1, "{err}");
    assert!(place.confirmed_rows().iter().all(|row| runs(row) == [4, 4]));
    assert!(!place.warnings().contains("throttled"));
    assert_eq!(place.discarded(), 4, "of two cases each");
}

/// A throttled run is half as fast here: as evidence, it would make the base slower than the head. Of four runs of the base's
/// program, twice the base and twice the base again, the second stays throttled through its repeats, and so the next two
/// aren't repeated in that block.
#[test]
fn throttled_runs_are_repeated_and_no_evidence() {
    let place = with_baseline();
    // Runs of the base's program: only confirming makes some.
    place.note("base", "throttled", "2\n3\n4\n5\n6\n7\n");
    let (exit, _, err) = place.confirmed(["100", "90"], &[]);
    assert_eq!(exit, 1, "{err}");
    let row = &place.confirmed_rows()[0];
    let again = row["base_again"]["n"].as_u64().unwrap();
    assert_eq!((&row["verdict"], runs(row)[1]), (&json!("regressed"), 6), "two more rounds");
    assert_eq!(runs(row)[0] + again, 9, "three runs left out");
    let warnings = place.warnings();
    assert!(warnings.contains("6 fresh runs were throttled: they are no evidence"), "two cases each: {warnings}");
}

/// A card at its power limit: every run of both sides is throttled. That can be compared, and costs its repeats once.
#[test]
fn what_is_always_throttled_on_both_sides_is_evidence() {
    let place = with_baseline();
    place.note("base", "throttled", &ALWAYS);
    place.note("head", "throttled", &ALWAYS);
    let (exit, _, err) = place.confirmed(["100", "90"], &[]);
    assert_eq!(exit, 1, "{err}");
    let row = &place.confirmed_rows()[0];
    assert_eq!((&row["verdict"], runs(row)), (&json!("regressed"), [4, 4]));
    let warnings = place.warnings();
    assert!(warnings.contains("was throttled in every fresh run of all sides (sw_thermal_slowdown)"), "{warnings}");
    assert!(!warnings.contains("no evidence"), "{warnings}");
    assert_eq!(place.discarded(), 4, "two repeats of two cases");
    let (exit, _, err) = place.confirmed(["90", "90"], &[]);
    assert_eq!((exit, &place.report()["comparison"]["verdict"]), (0, &json!("unchanged")), "{err}");
}

/// A side that alone is always throttled gives no evidence, and no endless measurement.
#[test]
fn without_a_run_that_counts_nothing_is_settled() {
    let place = with_baseline();
    place.note("base", "throttled", &ALWAYS);
    let (exit, _, err) = place.confirmed(["100", "90"], &[]);
    assert_eq!(exit, 0, "{err}");
    assert_eq!(place.report()["comparison"]["verdict"], "inconclusive");
    assert!(place.rows().iter().any(|row| row["reason"].as_str().unwrap().contains("couldn't be measured again")));
}

#[test]
fn when_the_budget_is_spent_the_rest_stays_open_with_what_would_tell() {
    let place = with_baseline();
    place.note("base", "sleep", "0.3");
    let (exit, _, err) = place.confirmed(["100", "97.7"], &["--confirm-budget", "0.01"]);
    assert_eq!(exit, 0, "{err}");
    let open = &place.confirmed_rows()[0];
    assert_eq!((&open["verdict"], runs(open)), (&json!("inconclusive"), [2, 2]));
    assert!(
        open["reason"].as_str().unwrap().contains("4 runs per side would settle it, 2 more than there are"),
        "{open}"
    );
    // Whoever goes on may take as long.
    let again = place.report()["reproduction"]["flags"].clone();
    assert!(again.as_array().unwrap().ends_with(&[json!("--confirm-budget"), json!("0.01")]), "{again}");
    let warnings = place.warnings();
    assert!(warnings.contains("2 cases could not be settled: the budget of 0.6 s was spent"), "{warnings}");
    let (exit, _, err) = place.confirmed(["100", "97.7"], &["--confirm-budget", "0"]);
    assert_eq!(exit, 2);
    assert!(err.contains("must be above 0: with --no-confirm nothing is measured again"), "{err}");
}

/// Without a baseline, too: what differs, and which a few more runs would settle, isn't left open while there is time.
#[test]
fn what_a_few_more_runs_would_settle_is_measured_on() {
    let place = Place::new();
    place.note("head", "noise", "26");
    let first = place.confirmed(["100", "90"], &["--no-confirm"]);
    let row = place.rows()[0].clone();
    assert_eq!((first.0, &row["verdict"]), (0, &json!("inconclusive")), "{row}");
    assert!(row["runs_needed"].as_u64().unwrap() <= 16, "{row}");
    std::fs::remove_dir_all(place.path(".bench-diff")).unwrap();
    std::fs::remove_file(place.path("head.count")).unwrap();
    std::fs::remove_file(place.path("base.count")).unwrap();
    let (exit, _, err) = place.confirmed(["100", "90"], &[]);
    assert_eq!(exit, 1, "{err}");
    assert_eq!(place.report()["comparison"]["tier"], "confirmed");
    assert_eq!(place.confirmed_rows()[0]["verdict"], "regressed");
}

#[test]
fn a_base_that_cannot_be_built_costs_the_confirmation_and_is_no_verdict() {
    let place = with_baseline();
    let head = place.program("head", "90", "bbbbbbb");
    place.git(&["init", "--quiet", "--initial-branch", "main"]);
    place.commit("all");
    place.git(&["switch", "--quiet", "--create", "branch"]);
    std::fs::write(place.path("more"), "").unwrap();
    place.commit("more");
    let flags = ["--head-binary", "./head", "--build-command", "false", "--base-ref", "main"];
    let (exit, _, err) = place.ci(&flags);
    assert_eq!(exit, 1, "{head}: {err}");
    assert_eq!(place.report()["comparison"]["verdict"], "inconclusive");
    let warnings = place.warnings();
    assert!(warnings.contains("what looks changed was not measured again: can't build "), "{warnings}");
}

/// Ctrl-C while confirming: what is known is reported, and `--resume` carries on where it stopped.
#[test]
fn stopped_while_confirming_it_is_carried_on() {
    let place = with_baseline();
    let (base, head) = (place.program("base", "100", "aaaaaaa"), place.program("head", "90", "bbbbbbb"));
    place.note("base", "sleep", "0.3");
    let flags = ["--head-binary", &head, "--base-binary", &base, "--fail-on", "regression"];
    let output = place.interrupted(&flags, ".bench-diff/latest/confirm-base.json");
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    insta::assert_snapshot!("stopped_stderr", String::from_utf8_lossy(&output.stderr));
    let report = place.report();
    assert_eq!(report["comparison"]["verdict"], "inconclusive");
    assert!(place.warnings().contains("could not be settled: measuring was stopped"));

    let kept = place.fresh("base");
    let (exit, _, err) = place.ci(&[&flags[..], &["--resume"]].concat());
    assert_eq!(exit, 1, "{err}");
    assert_eq!(place.report()["comparison"]["verdict"], "regressed");
    let session = place.fresh("base");
    assert_eq!((&session["id"], &session["runs"][0]), (&kept["id"], &kept["runs"][0]));
    let runs = |name: &str| std::fs::read_to_string(place.path(name)).unwrap().trim().to_owned();
    // Three runs of the head against the baseline, and four to confirm: nothing was measured twice, but for the run
    // that Ctrl-C cut off.
    assert!(["7", "8"].contains(&&*runs("head.count")), "{}", runs("head.count"));
}

/// Ctrl-C before the head is measured completely: the report is about what there is.
#[test]
fn stopped_while_measuring_the_rest_is_reported_as_missing() {
    let place = with_baseline();
    let head = place.program("head", "90", "bbbbbbb");
    place.note("head", "sleep", "0.3");
    let flags = ["--head-binary", &head, "--suite", "small"];
    std::fs::remove_dir_all(place.path(".bench-diff/latest")).unwrap();
    let output = place.interrupted(&flags, ".bench-diff/latest/results.json");
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("### "), "the comment is there: {said}");
    let report = place.report();
    assert!(report["comparison"]["warnings"].to_string().contains("did not finish"), "{report}");
    let count = |report: &Value| report["head"]["sessions"][0]["runs"].as_array().unwrap().len();
    assert!((1..6).contains(&count(&report)));
    let (exit, _, err) = place.ci(&[&flags[..], &["--resume"]].concat());
    assert_eq!(exit, 0, "{err}");
    assert_eq!(place.report()["head"]["sessions"][0]["id"], report["head"]["sessions"][0]["id"]);
    assert_eq!(count(&place.report()), 6);
}

/// A job's time limit may come while another process holds the device: who reads the comment is to know.
#[test]
fn stopped_while_waiting_says_what_for() {
    let place = Place::new();
    let head = place.program("head", "100", "bbbbbbb");
    let temporary = place.path("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let mut held = std::fs::File::create(temporary.join("bench-diff-cpu.lock")).unwrap();
    held.lock().unwrap();
    std::io::Write::write_all(&mut held, b"4242\n").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_bench-diff"))
        .args(["ci", "--suite", "small", "--head-binary", &head, "--format", "markdown"])
        .current_dir(place.0.path())
        .env_remove("GITHUB_REPOSITORY")
        .env("TMPDIR", &temporary)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap())).map(Result::unwrap);
    let waiting = lines.by_ref().find(|line| line.contains("4242")).expect("it says that it waits");
    assert_eq!(waiting, "process 4242 is measuring on this device; waiting for it to end");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{:?}", lines.collect::<Vec<_>>());
    let said = String::from_utf8(output.stdout).unwrap();
    let why = "stopped before there were any numbers, while it waited: process 4242 is measuring on this device";
    assert!(said.contains(why), "{said}");
}
