//! Whoever ends `check-engine` ends the engine with it; and who ends what `run` started is named.

use super::programs::program;
use super::*;

/// `check-engine` of a program that never answers, once that runs: with the program's process.
fn checking(place: &TempDir) -> (Child, u32) {
    let file = place.path().join("pid");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    command.args(["check-engine", "--"]).arg(program()).arg("hangs").arg(&file);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pid = None;
    until(|| {
        pid = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        pid.is_some()
    });
    (child, pid.unwrap())
}

fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it never came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap().success());
}

fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}

#[test]
fn a_stopped_check_ends_the_engine() {
    let place = TempDir::new().unwrap();
    let (mut child, engine) = checking(&place);
    signal("INT", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    until(|| is_gone(engine));
}

#[test]
fn a_killed_check_ends_the_engine() {
    let place = TempDir::new().unwrap();
    let (mut child, engine) = checking(&place);
    signal("KILL", child.id());
    child.wait().unwrap();
    until(|| is_gone(engine));
}

/// The guard ends the program with a signal of its own, which says nothing.
#[test]
fn a_signal_to_the_guard_is_the_one_that_is_said() {
    let bench = Bench::behaving("one/f32/1 hang\n");
    let mut child = bench.command(&["--runs", "1", "--model", "./one", "--context-lengths", "1"]).spawn().unwrap();
    bench.wait_for_lines("log", 2);
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let mut guard = None;
    until(|| {
        guard = fs::read_to_string(&children).ok().and_then(|all| all.split_whitespace().next()?.parse().ok());
        guard.is_some()
    });
    signal("TERM", guard.unwrap());
    child.wait().unwrap();
    let said = &failures(&bench.results())[0].1;
    assert!(said.contains("it was killed by signal 15") && !said.contains("memory"), "{said}");
}
