//! kill -9 at any moment.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use super::{Place, Said, numbers};

/// Forty times killed after some time, from before there is a file to well into measuring.
#[test]
fn what_was_said_to_be_measured_survives_any_kill() {
    let place = Place::with_cases_of("0.01");
    let mut kept = Vec::new();
    for kill in 0..40_u64 {
        let carry_on = place.path("results.json").exists();
        let how = if carry_on { ["--resume", "results.json"] } else { ["--output", "results.json"] };
        let mut child = place.measuring(&[&how[..], &["--runs", "500"]].concat()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(kill * 37 % 250));
        child.kill().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let said: Vec<_> = said.filter(|line| line.starts_with('[')).collect();
        child.wait().unwrap();
        if place.path("results.json").exists() {
            let now = numbers(&place.results("results.json"));
            assert!(now.starts_with(&kept), "kill {kill}: {} runs, then {}", kept.len(), now.len());
            assert!(now.len() >= kept.len() + said.len(), "kill {kill}: {said:?}; {} new", now.len() - kept.len());
            kept = now;
        } else {
            assert_eq!(said, [""; 0], "kill {kill}");
        }
    }
    assert!(!kept.is_empty(), "no kill came late enough");
    let rounds = (kept.len() / 2 + 1).to_string();
    // Unlike with `--runs`, the file says how many are wanted.
    let mut file = serde_json::to_value(place.results("results.json")).unwrap();
    file["settings"]["runs"] = rounds.parse::<u32>().unwrap().into();
    fs::write(place.path("results.json"), file.to_string()).unwrap();
    let last = place.run(&["--resume", "results.json"]);
    assert_eq!(last.code, Some(0), "{last:?}");
    let all = numbers(&place.results("results.json"));
    assert!(all.starts_with(&kept) && all.len() == 2 * (kept.len() / 2 + 1), "{} of {}", kept.len(), all.len());
    assert_eq!(place.litter("."), [""; 0]);
}

/// As a kill between writing and renaming leaves them.
#[test]
fn the_next_writer_uses_up_what_a_killed_one_left() {
    let place = Place::new();
    fs::write(place.path(".results.json.bench-diff-new"), "half a fi").unwrap();
    fs::write(place.path(".results.json.bench-diff-lock"), "process 1 on nowhere since 1970").unwrap();
    // Not ours.
    fs::write(place.path(".other.json.bench-diff-new"), "half another").unwrap();
    let said = place.run(&[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(numbers(&place.results("results.json")).len(), 4);
    assert_eq!(place.litter("."), [".other.json.bench-diff-new"]);
}

#[test]
fn what_has_the_name_but_not_the_kind_of_ours_stays() {
    for name in [".results.json.bench-diff-new", ".results.json.bench-diff-lock"] {
        let place = Place::new();
        fs::create_dir(place.path(name)).unwrap();
        let said = place.run(&[]);
        assert_eq!(said.code, Some(2), "{name}: {said:?}");
        assert!(said.err.contains("is in the way"), "{name}: {said:?}");
        assert!(place.path(name).is_dir());

        fs::remove_dir(place.path(name)).unwrap();
        fs::write(place.path("precious"), "precious").unwrap();
        std::os::unix::fs::symlink("precious", place.path(name)).unwrap();
        let said = place.run(&[]);
        assert_eq!(said.code, Some(2), "{name}: {said:?}");
        assert_eq!(fs::read_to_string(place.path("precious")).unwrap(), "precious");
    }
}

#[test]
fn a_killed_ci_leaves_a_folder_that_the_next_one_can_use() {
    let place = Place::with_cases_of("0.02");
    for kill in 0..12_u64 {
        let mut child = place.ci(&["--output", "kept"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(kill * 83 % 400));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let said = Said::of(&place.ci(&["--output", "kept"]).output().unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(place.litter("kept"), [""; 0]);
    let hidden = place.litter(".bench-diff");
    assert_eq!(hidden, [".gitignore"]);
}
