//! Every command that the documentation and the help show is one that the program knows; those that need no GPU, no
//! network and no minutes are run.

use crate::Place;
use crate::help::every_command;
use crate::markdown::pages;
use crate::mentions::{Wrong, parse};
use crate::shell::calls;

/// A call, and where it is shown.
struct Shown {
    place: String,
    args: Vec<String>,
}

/// Those in blocks of code, and those that `--help` gives as examples.
fn shown() -> Vec<Shown> {
    let mut shown = Vec::new();
    for page in pages() {
        for (line, block) in page.parts().blocks {
            shown.extend(calls(&block).into_iter().map(|args| Shown { place: page.place(line), args }));
        }
    }
    for (name, command) in every_command() {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        shown.extend(calls(&examples).into_iter().map(|args| Shown { place: format!("{name} --help"), args }));
    }
    shown
}

#[test]
fn every_command_that_is_shown_parses() {
    let shown = shown();
    assert!(shown.len() > 40, "only {} were found", shown.len());
    let wrong = shown.iter().filter_map(|Shown { place, args }| {
        let Wrong(why) = parse(args).err()?;
        Some(format!("{place}: {}: {why}", args.join(" ")))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "the program doesn't know:\n{}", wrong.join("\n"));
}

/// How a command that is shown has to end here; `None` for those that measure, and those that ask GitHub.
fn expected_exits(args: &[String]) -> Option<&'static [i32]> {
    match args.get(1)?.as_str() {
        _ if args.contains(&"--fail-on".to_owned()) => Some(&[0, 1]),
        // Of a large model, nothing may fit here.
        "plan" => Some(&[0, 1]),
        "compare" | "schema" | "init" | "baseline" | "publish" => Some(&[0]),
        _ => None,
    }
}

#[test]
fn every_command_that_can_run_here_does() {
    let mut wrong = Vec::new();
    let mut run = 0;
    for Shown { place, args } in shown() {
        let needs_a_machine = ["run", "ci", "ab", "calibrate"].contains(&args.get(1).map_or("", String::as_str));
        let Some(exits) = expected_exits(&args).filter(|_| !needs_a_machine) else { continue };
        let directory = Place::new();
        if args[1] == "init" {
            std::fs::remove_file(directory.0.path().join("bench-diff.toml")).unwrap();
        }
        std::fs::create_dir_all(directory.0.path().join("benchmarks/baselines")).unwrap();
        let output = directory.run(&args[1..]);
        run += 1;
        if !exits.contains(&output.status.code().unwrap_or(-1)) {
            let said = String::from_utf8_lossy(&output.stderr);
            wrong.push(format!("{place}: {}: {:?}: {said}", args.join(" "), output.status.code()));
        }
    }
    assert!(run > 20, "only {run} were run");
    assert!(wrong.is_empty(), "these fail:\n{}", wrong.join("\n"));
}
