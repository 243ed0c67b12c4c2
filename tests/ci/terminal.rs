//! What a person at a terminal sees: a table, in colour; and what they would in a pipe.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::Place;

/// Both ends of a terminal.
fn terminal() -> (File, OwnedFd) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
    (File::from(person), OpenOptions::new().read(true).write(true).open(name).unwrap().into())
}

/// What the program prints on a terminal.
fn on_a_terminal(place: &Place, args: &[&str], variables: &[(&str, &str)]) -> String {
    let (mut person, program) = terminal();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    command.args(args).current_dir(place.0.path()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("TERM", "xterm").env("COLUMNS", "120");
    command.envs(variables.iter().copied());
    let mut child = command.stdout(program).stderr(std::process::Stdio::null()).spawn().unwrap();
    // The command has the program's end open.
    drop(command);
    let (mut printed, mut buffer) = (Vec::new(), [0; 4096]);
    // Reading fails once the last program has closed it.
    while let Ok(read @ 1..) = person.read(&mut buffer) {
        printed.extend_from_slice(&buffer[..read]);
    }
    assert!(child.wait().unwrap().success());
    String::from_utf8(printed).unwrap().replace("\r\n", "\n")
}

#[test]
fn ci_prints_a_table_on_a_terminal_and_markdown_elsewhere() {
    let place = Place::new();
    let head = place.program("head", "100", "aaaaaaa");
    let ci = ["ci", "--quiet", "--head-binary", &head];
    let with = |format: &'static str| [&ci[..], &["--format", format]].concat();
    let is_markdown = |text: &str| text.starts_with("### ") && text.contains("|---");
    let is_table = |text: &str| text.starts_with("Suite small on ") && !text.contains("|---");
    let seen = on_a_terminal(&place, &ci, &[]);
    assert!(is_table(&seen), "{seen}");
    let seen = on_a_terminal(&place, &with("markdown"), &[]);
    assert!(is_markdown(&seen), "{seen}");
    let piped = place.run(&ci).1;
    assert!(is_markdown(&piped), "{piped}");
    let (exit, piped, err) = place.run(&with("table"));
    assert!(exit == 0 && !is_markdown(&piped) && piped.contains("decode"), "{piped}{err}");
}

const OLD: &str = r#"[{"case": "a", "metric": "ttft", "samples": [1.0, 1.001, 0.999]}]"#;
const NEW: &str = r#"[{"case": "a", "metric": "ttft", "samples": [2.0, 2.001, 1.999]}]"#;

#[test]
fn colors_are_for_those_who_want_them() {
    let place = Place::new();
    std::fs::write(place.path("old.json"), OLD).unwrap();
    std::fs::write(place.path("new.json"), NEW).unwrap();
    let compare = ["compare", "old.json", "new.json", "--same-session"];
    let with = |color: &'static str| [&compare[..], &["--color", color]].concat();
    let is_colored = |text: &str| text.contains("\u{1b}[");
    let seen = |args: &[&str], variables: &[(&str, &str)]| is_colored(&on_a_terminal(&place, args, variables));
    assert!(seen(&compare, &[]) && seen(&with("auto"), &[]));
    assert!(
        !seen(&compare, &[("NO_COLOR", "1")]) && !seen(&with("never"), &[]) && !seen(&compare, &[("TERM", "dumb")])
    );
    assert!(seen(&with("always"), &[("NO_COLOR", "1")]), "a flag wins over the environment");
    let piped = |args: &[&str], variables: &[(&str, &str)]| is_colored(&place.run_with(args, variables).1);
    assert!(!piped(&compare, &[]) && piped(&with("always"), &[]) && piped(&compare, &[("CLICOLOR_FORCE", "1")]));
}
