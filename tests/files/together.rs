//! Several processes and one file.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Place, Said, numbers, together};

fn held(said: &Said) -> bool {
    said.code == Some(2)
        && (said.err.contains(" is writing ") || said.err.contains(" exists already\n  hint: `bench-diff run --resume"))
}

#[test]
fn of_four_runs_of_a_new_file_one_writes_it() {
    let place = Place::new();
    for round in 0..5 {
        let name = format!("{round}.json");
        let before = place.measured();
        let said = together((0..4).map(|_| place.measuring(&["--output", &name])).collect());
        let (fine, refused): (Vec<_>, Vec<_>) = said.iter().partition(|said| said.code == Some(0));
        assert_eq!((fine.len(), refused.len()), (1, 3), "{said:?}");
        assert!(refused.iter().all(|said| held(said)), "{refused:?}");
        assert_eq!(numbers(&place.results(&name)).len(), place.measured() - before, "all that was measured is there");
    }
    assert_eq!(place.litter("."), [""; 0]);
}

/// However the file is named: its holder is said, and nothing is measured in vain.
#[test]
fn a_second_run_learns_who_writes_the_file() {
    let place = Place::held();
    fs::create_dir(place.path("elsewhere")).unwrap();
    symlink(place.path("results.json"), place.path("elsewhere/link.json")).unwrap();
    symlink(place.path("."), place.path("elsewhere/here")).unwrap();
    let first = place.measuring(&[]).spawn().unwrap();
    place.wait_until("measuring", || place.path("results.json").exists());
    let absolute = place.path("results.json").display().to_string();
    let names = [
        "./results.json",
        &absolute,
        "elsewhere/../results.json",
        "elsewhere/link.json",
        "elsewhere/here/results.json",
    ];
    for name in names {
        for how in [&["--output", name][..], &["--output", name, "--force"], &["--resume", name]] {
            let said = place.run(how);
            assert_eq!(said.code, Some(2), "{how:?}: {said:?}");
            let holder = format!("process {} on ", first.id());
            let told = format!(" is writing {name}\n  hint: wait until it ends, stop it, or write somewhere else\n");
            assert!(said.err.contains(&holder) && said.err.ends_with(&told), "{how:?}: {said:?}");
        }
    }
    place.release();
    let first = Said::of(&first.wait_with_output().unwrap());
    assert_eq!(first.code, Some(0), "{first:?}");
    let kept = numbers(&place.results("results.json"));
    assert_eq!((kept.len(), place.measured()), (4, 4));
    assert_eq!(place.litter("."), [""; 0]);
}

#[test]
fn of_four_that_carry_on_with_a_file_none_loses_anothers_runs() {
    let place = Place::new();
    assert_eq!(place.run(&["--runs", "1"]).code, Some(0));
    let carry_on = || place.measuring(&["--resume", "results.json", "--runs", "5"]);
    let said = together((0..4).map(|_| carry_on()).collect());
    assert!(said.iter().any(|said| said.code == Some(0)), "{said:?}");
    assert!(said.iter().all(|said| said.code == Some(0) || held(said)), "{said:?}");
    assert_eq!((numbers(&place.results("results.json")).len(), place.measured()), (10, 10));
}

/// Its results and report are of one run.
#[test]
fn a_second_ci_learns_who_writes_the_folder() {
    let place = Place::held();
    let first = place.ci(&["--output", "kept"]).spawn().unwrap();
    place.wait_until("measuring", || place.path("kept/results.json").exists());
    symlink(place.path("kept"), place.path("also-kept")).unwrap();
    for how in [&["--output", "./kept"][..], &["--output", "also-kept"], &["--output", "kept", "--resume"]] {
        let said = Said::of(&place.ci(how).output().unwrap());
        assert_eq!(said.code, Some(2), "{how:?}: {said:?}");
        assert!(said.err.contains(&format!("process {} on ", first.id())), "{how:?}: {said:?}");
    }
    let alone = place.run(&["--output", "kept/results.json", "--force"]);
    assert!(held(&alone), "{alone:?}");
    place.release();
    let first = Said::of(&first.wait_with_output().unwrap());
    assert_eq!(first.code, Some(0), "{first:?}");
    let kept = ["kept/base.json", "kept/results.json"].map(|name| numbers(&place.results(name)).len());
    assert_eq!(kept.iter().sum::<usize>(), place.measured());
    assert_eq!(place.litter("kept"), [""; 0]);
}

#[test]
fn sessions_that_are_added_at_once_are_all_in_the_baseline() {
    let place = Place::new();
    let names: Vec<String> = (0..8).map(|number| format!("{number}.json")).collect();
    for name in &names {
        assert_eq!(place.run(&["--runs", "1", "--output", name]).code, Some(0));
    }
    let said = together(names.iter().map(|name| place.command(&["baseline", "update", name])).collect());
    assert!(said.iter().all(|said| said.code == Some(0)), "{said:?}");
    let directory = place.path("baselines/test");
    let files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let kept = bench_diff::results::read(&files[0]).unwrap();
    assert_eq!(kept.sessions.len(), 8);
}

/// The names of these files have whole seconds.
#[test]
fn exports_into_one_directory_keep_each_others_files() {
    let place = Place::new();
    let runs =
        (0..4).map(|number| place.measuring(&["--runs", "1", "--output", &format!("{number}.json"), "--csv", "seed"]));
    let said = together(runs.collect());
    assert!(said.iter().all(|said| said.code == Some(0)), "{said:?}");
    let files = fs::read_dir(place.path("seed/vllm")).unwrap();
    // One for each context length.
    assert_eq!(files.count(), 4 * 2);
    assert_eq!(place.litter("seed"), [""; 0]);
}

#[test]
fn of_several_init_one_writes_the_file() {
    let place = Place::new();
    let said = together((0..6).map(|_| place.command(&["init", "new.toml"])).collect());
    assert_eq!(said.iter().filter(|said| said.code == Some(0)).count(), 1, "{said:?}");
    assert!(said.iter().all(|said| said.code == Some(0) || said.err.contains("exists already")), "{said:?}");
}
