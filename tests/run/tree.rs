//! A measured program and everything that it started end with bench-diff, however that ends.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Bench, Finished, runs, signal};

impl Bench {
    /// Measures a program that ignores signals and starts others, one of them in a session of its own.
    fn with_a_brood() -> Self {
        Self::behaving("one/f32/1 brood\n")
    }

    /// The processes that the program has started, and it itself.
    fn brood(&self) -> Vec<String> {
        let pids = self.read("brood").lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(pids.len(), 3);
        pids
    }

    fn wait_until_gone(&self, pids: &[String]) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let lives = |pid: &&String| Path::new("/proc").join(pid).exists();
        while pids.iter().any(|pid| lives(&pid)) {
            let left: Vec<_> = pids.iter().filter(lives).collect();
            assert!(Instant::now() < deadline, "{left:?} of {pids:?} are still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn killed_it_takes_all_that_was_started_with_it() {
    let bench = Bench::with_a_brood();
    let mut child = bench.command(&[]).spawn().unwrap();
    bench.wait_for_lines("brood", 3);
    signal(&child, "-KILL");
    child.wait().unwrap();
    bench.wait_until_gone(&bench.brood());
}

#[test]
fn a_second_ctrl_c_takes_all_that_was_started_with_it() {
    let bench = Bench::with_a_brood();
    let child = bench.command(&[]).spawn().unwrap();
    bench.wait_for_lines("brood", 3);
    signal(&child, "-INT");
    signal(&child, "-INT");
    assert_eq!(Finished::of(child.wait_with_output().unwrap()).code, Some(130));
    bench.wait_until_gone(&bench.brood());
}

#[test]
fn a_case_that_takes_too_long_takes_all_that_was_started_with_it() {
    let bench = Bench::with_a_brood().impatient();
    bench.run(&["--runs", "1", "--model", "./one"]);
    assert_eq!(runs(&bench.results()), ["one/f32/1 1 TimedOut", "one/f32/8 1"]);
    bench.wait_until_gone(&bench.brood());
}

/// What lingers is not waited for.
#[test]
fn a_program_that_ends_takes_all_that_it_has_started_with_it() {
    let bench = Bench::behaving("end litter\n");
    let finished = bench.run(&["--runs", "1", "--model", "./one"]);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    bench.wait_until_gone(&[bench.read("brood").trim().to_owned()]);
}

#[test]
fn a_bare_name_is_a_program_in_the_current_directory_or_on_the_path() {
    let bench = Bench::new();
    let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run/worker.sh");
    fs::create_dir(bench.path("bin")).unwrap();
    for name in ["here", "bin/there"] {
        let copied = std::process::Command::new("install").arg("-m755").arg(&worker).arg(bench.path(name)).status();
        assert!(copied.unwrap().success());
    }
    let path = format!("{}:{}", bench.path("bin").display(), std::env::var("PATH").unwrap());
    for (name, code) in [("here", 0), ("there", 0), ("nowhere", 2)] {
        let args = ["--runs", "1", "--force", "--worker", name];
        let finished = Finished::of(bench.plain(&args).env("PATH", &path).output().unwrap());
        assert_eq!(finished.code, Some(code), "{name}: {}", finished.err);
        if code == 2 {
            let said = "error: no program nowhere: it is neither in the current directory nor on the PATH";
            assert_eq!(finished.err, format!("{said}\n  hint: give its path\n"));
        }
    }
}
