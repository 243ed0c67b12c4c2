//! The folders that `ci` and `ab` are told to write: they clear their own, and leave somebody's alone.

use crate::Place;

const SOMEBODYS: &str = "{\"of\": \"somebody\"}";

/// A file under one of the command's names, in a folder that the command never wrote.
fn is_refused(place: &Place, command: &[&str], name: &str, directory: &str) {
    let file = place.path(directory).join(name);
    std::fs::create_dir_all(place.path(directory)).unwrap();
    std::fs::write(&file, SOMEBODYS).unwrap();
    for more in [&[][..], &["--resume"]] {
        let (exit, _, err) = place.run(&[command, &["--quiet", "--output", directory], more].concat());
        assert_eq!(exit, 2, "{command:?} {name}: {err}");
        assert!(err.contains(name) && err.contains("\n  hint: "), "{err}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), SOMEBODYS, "{command:?} {name}");
        let here: Vec<_> =
            std::fs::read_dir(place.path(directory)).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert!(directory == "." || here.len() == 1, "nothing is written beside it: {here:?}");
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn what_somebody_has_there_is_never_overwritten() {
    let place = Place::new();
    let head = place.program("head", "100", "aaaaaaa");
    for directory in ["out", "."] {
        for name in ["results.json", "base.json", "report.json", "checkout.json"] {
            is_refused(&place, &["ci", "--head-binary", &head], name, directory);
        }
        for name in ["old.json", "new.json", "old-again.json"] {
            is_refused(&place, &["ab", &head, &head], name, directory);
        }
    }
}

/// Results alone say nothing of who measured them: `run` writes the same.
#[test]
fn results_without_what_ci_writes_beside_them_stay() {
    let place = Place::new();
    let head = place.program("head", "100", "aaaaaaa");
    let (exit, _, err) = place.ci(&["--head-binary", &head, "--output", "out"]);
    assert_eq!(exit, 0, "{err}");
    std::fs::create_dir(place.path("kept")).unwrap();
    std::fs::copy(place.path("out/results.json"), place.path("kept/results.json")).unwrap();
    let (exit, _, err) = place.ci(&["--head-binary", &head, "--output", "kept"]);
    assert_eq!(exit, 2, "{err}");
}

#[test]
fn its_own_folder_is_written_again() {
    let place = Place::new();
    let head = place.program("head", "100", "aaaaaaa");
    for command in [&["ci", "--head-binary", &head][..], &["ab", &head, &head, "--runs", "4"]] {
        for more in [&[][..], &[], &["--resume"]] {
            let (exit, _, err) = place.run(&[command, &["--quiet", "--output", command[0]], more].concat());
            assert_eq!(exit, 0, "{command:?} {more:?}: {err}");
        }
    }
    // Only the report of a failure.
    for _ in 0..2 {
        let (exit, _, err) = place.ci(&["--failed", "no build", "--output", "failed"]);
        assert_eq!(exit, 3, "{err}");
    }
}
