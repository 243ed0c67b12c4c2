//! Engines that are programs of their own, as `bench-diff run` measures them and `bench-diff check-engine` checks them.
//! `engine/program.sh` plays them, well or badly.

use bench_diff::case::Clock;
use bench_diff::results::Program;

use super::*;

pub fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/program.sh")
}

/// A run of one case with that program.
pub fn measured(mode: &str, args: &[&str]) -> (Finished, Results) {
    measured_often(mode, "1", args)
}

/// So many runs of it.
pub fn measured_often(mode: &str, runs: &str, args: &[&str]) -> (Finished, Results) {
    let bench = Bench::new();
    let command = format!("engine = \"command\"\ncommand = [{:?}, {mode:?}]\n", program());
    bench.write("bench-diff.toml", &format!("{command}{}", CONFIG.replace("load-seconds = 60", "load-seconds = 5")));
    let args = [&["--model", "./one", "--context-lengths", "8", "--runs", runs], args].concat();
    let finished = Finished::of(bench.plain(&args).output().unwrap());
    let results = bench.results();
    (finished, results)
}

pub fn why(mode: &str) -> String {
    let (finished, results) = measured(mode, &[]);
    assert_eq!(finished.code, Some(3), "{mode}: {}", finished.err);
    let [(_, reason)] = &failures(&results)[..] else { panic!("{mode}: one failed run") };
    reason.clone()
}

#[test]
fn a_program_is_measured_by_our_clock_or_by_its_own() {
    let (finished, results) = measured("well", &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    assert_eq!((results.cases[0].engine.as_str(), &run.clock), ("command", &Some(Clock::Client.into())));
    assert_eq!(run.implementation.as_ref().unwrap().as_str(), "eager", "what it says that it ran");
    let program = run.program.clone().unwrap();
    assert_eq!((&*program.name, program.commit.as_deref()), ("fake", Some("0123456789abcdef")));
    assert_eq!(run.warnings, ["no fast kernels: eager ran instead"]);
    assert!(run.token_hash.is_some() && run.metrics.keys().any(|name| name.as_str() == "peak_memory"));
    let allocated = run.metrics.iter().find(|(name, _)| name.as_str() == "allocated_memory");
    assert_eq!(allocated.map(|(_, mib)| *mib), Some(3.0));

    let (_, results) = measured("own-clock", &[]);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    assert_eq!(run.clock, Some(Clock::Device.into()));
    let value = |name: &str| run.metrics.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| *value);
    assert_eq!((value("ttft"), value("decode_throughput"), value("e2e_latency")), (Some(1.0), Some(1000.0), Some(4.5)));
}

#[test]
fn tokens_that_come_together_are_one_arrival() {
    let (_, results) = measured("merged", &[]);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    assert_eq!((run.itl.as_ref().map(|itl| itl.count), &run.token_hash), (Some(1), &None));
}

/// Each is a row with one sentence.
#[test]
fn what_a_program_does_wrong_is_its_cases_reason() {
    for (mode, reason) in [
        ("gone", "ended: it ended with exit code 1; it said: no module named torch"),
        ("talks-first", "wrote a line that is no answer: `Loading checkpoint shards: 100%`"),
        ("version-0", "says that it speaks version 0 of the protocol"),
        ("unsupported", "fake reads no weights of its own: use another model"),
        ("memoryless", "out of memory: the cache needs 90 GiB"),
        ("short", "the engine gave 3 tokens instead of 4"),
        ("both", "`chunk` lines and `times`"),
        ("neither", "neither `chunk` lines nor `times`"),
        ("sundial", "the clock `sundial`"),
        ("microseconds", "the engine says that 4.0 s passed, but "),
        ("timeless", "the engine says that its first token took 0.0001 ms, as no token can"),
        ("greedy", "the engine says that it had 17592186044415 MiB in use, but this machine has "),
        ("dies", "ended: it ended with exit code 7; it said: CUDA error: an illegal memory access"),
        ("chatty", "wrote a line that is no answer: `Generating: 10%`"),
        ("endless", "wrote a line that is no answer: `xxxx"),
    ] {
        let said = why(mode);
        assert!(said.contains(reason) && !said.contains('\n'), "{mode}: {said}");
    }
}

/// Names and warnings go into every run's results.
#[test]
fn what_a_program_calls_itself_is_kept_in_part() {
    let (finished, results) = measured("long-winded", &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let run = measurement(&results.sessions[0].runs[0]).unwrap();
    let program = run.program.clone().unwrap();
    let (name, component) = program.components.iter().next().unwrap();
    let commit = component.commit.as_ref().unwrap();
    for said in [&program.name, &program.version, program.commit.as_ref().unwrap(), name, commit] {
        assert_eq!(said.chars().count(), 201, "200 and an ellipsis: {said}");
    }
    assert!(run.implementation.as_ref().unwrap().as_str().len() < 300 && run.warnings[0].chars().count() == 1001);
}

#[test]
fn a_program_that_never_answers_is_late() {
    let (finished, results) = measured("mute", &[]);
    assert_eq!(finished.code, Some(3));
    assert!(matches!(&failures(&results)[..], [(FailureKind::TimedOut, why)] if why.contains("limit of 5 s")));
}

#[test]
fn a_noisy_one_and_one_that_leaves_children_are_measured() {
    for mode in ["floods", "child", "stays"] {
        let (finished, results) = measured(mode, &[]);
        assert_eq!((finished.code, failures(&results).len()), (Some(0), 0), "{mode}: {}", finished.err);
    }
}

#[test]
fn what_runs_is_shown_and_a_difference_of_it_too() {
    let (_, results) = measured("well", &[]);
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut other = results.clone();
    for run in &mut other.sessions[0].runs {
        let Outcome::Ok(measured) = &mut run.outcome else { panic!("it was measured") };
        measured.program = Some(Program { version: "2.0".into(), ..measured.program.clone().unwrap() });
    }
    fs::write(path("old.json"), serde_json::to_string(&results).unwrap()).unwrap();
    fs::write(path("new.json"), serde_json::to_string(&other).unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    let output = command.args(["compare", "old.json", "new.json"]).current_dir(&directory).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(" fake 1.0 ") && said.contains(" fake 2.0"), "{said}");
}

pub fn checked(mode: &str) -> (Option<i32>, String) {
    let limits = ["--limit", "5", "--hello-limit", "5"];
    let checked = check_engine(&[&limits[..], &["--", program().to_str().unwrap(), mode]].concat());
    (checked.code, checked.out)
}

fn check_engine(args: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    Finished::of(command.arg("check-engine").args(args).env("COLUMNS", "100").output().unwrap())
}

/// Whoever waits for a program that says nothing knows what for, and waits once.
#[test]
fn checking_says_what_it_waits_for() {
    let well = program().display().to_string();
    let mute = ["--hello-limit", "2", "--", &*well, "mute"];
    let checked = check_engine(&mute);
    assert_eq!(checked.code, Some(3), "{}", checked.out);
    assert!(checked.err.starts_with("the program says hello?\nerror: "), "nothing else is tried: {}", checked.err);
    assert_eq!(checked.out.matches("WRONG").count(), 1, "{}", checked.out);
    assert!(checked.out.contains("1 promise of the engine protocol broken"), "{}", checked.out);
    let quiet = check_engine(&[&["--quiet"], &mute[..]].concat());
    assert!(quiet.err.starts_with("error: the program doesn't speak"), "{}", quiet.err);
    let well = check_engine(&["--", &well, "well"]);
    let said: Vec<&str> = well.err.lines().collect();
    assert!(said.len() == 13 && said[1] == "the program loads the model?", "{}", well.err);
}

/// What isn't there breaks no promise.
#[test]
fn there_is_nothing_to_check() {
    let directory = TempDir::new().unwrap();
    let no_model = format!("{}/none", directory.path().display());
    let well = program().display().to_string();
    for (args, why) in [
        (&["--", "./none"][..], "error: there is nothing to check: the program `./none` isn't there\n"),
        (
            &["--", "no-such-engine"],
            "error: there is nothing to check: the program `no-such-engine` isn't on the PATH\n",
        ),
        (&["--", "sh", "none.sh"], "error: there is nothing to check: the script `none.sh` isn't there\n"),
        (&["--model", &no_model, "--", &well, "well"], "error: --model: there is no directory "),
        (&["--model", "./none", "--", &well, "well"], "error: --model: there is no directory ./none\n  hint: "),
    ] {
        let checked = check_engine(args);
        assert_eq!((checked.code, checked.out.as_str()), (Some(2), ""), "{}", checked.err);
        assert!(checked.err.starts_with(why), "{why}: {}", checked.err);
    }
}

#[test]
fn a_program_that_speaks_well() {
    let (code, said) = checked("well");
    assert_eq!(code, Some(0), "{said}");
    insta::assert_snapshot!(said);
}

/// What is optional is tried: what isn't done has to be said, by leaving it out or with a reason.
#[test]
fn optional_fields_are_kept_or_said_not_to_be() {
    let (code, said) = checked("able");
    assert_eq!(code, Some(0), "{said}");
    insta::assert_snapshot!(said);
}

/// What is wrong is found, and only that.
#[test]
fn promises_that_are_broken() {
    let broken = [
        ("gone", "says hello", "no module named torch"),
        ("mute", "says hello", "no answer within 5 s"),
        ("unsupported", "loads the model", "reads no weights"),
        ("short", "generates 1 token", "the engine gave 0 tokens instead of 1"),
        ("wandering", "gives the same tokens", "became"),
        ("stays", "ends with 0 when", "still there after 10 s"),
        ("child", "leaves no process", "still there"),
        ("careless", "refuses a device", "`loaded` instead of `error`"),
        ("batch", "loads the model", "says `batch_size` 2 in `loaded`, which it wasn't asked for"),
        ("halves", "generates in batches", "asked for a batch of 2, it says `batch_size` 1"),
        ("strict", "follows a seed protocol", "instead of loading or answering `error`"),
        ("microseconds", "generates 1 token", "are its times in milliseconds?"),
        ("greedy", "tells its memory", "is `peak_bytes` in bytes?"),
    ];
    let check = |mode, promise, why| {
        let (code, said) = checked(mode);
        assert_eq!(code, Some(3), "{mode}: {said}");
        let wrong: Vec<&str> = said.lines().filter(|line| line.trim_start().starts_with("WRONG")).collect();
        assert!(wrong[0].contains(promise), "{mode}: {said}");
        assert!(said.split_whitespace().collect::<Vec<_>>().join(" ").contains(why), "{mode}: {said}");
    };
    // Most of the time is waiting for what doesn't come.
    std::thread::scope(|scope| {
        for some in broken.chunks(4) {
            scope.spawn(move || some.iter().for_each(|(mode, promise, why)| check(mode, promise, why)));
        }
    });
}
