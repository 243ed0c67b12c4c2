//! A file where a directory belongs is said so, and not taken for an empty one.

use crate::Place;

#[test]
fn a_file_in_place_of_the_baselines_is_no_empty_directory() {
    let place = Place::new();
    std::fs::write(place.path("baselines"), "").unwrap();
    for action in ["list", "show", "verify"] {
        let (exit, out, err) = place.run(&["baseline", action]);
        assert_eq!((exit, out.as_str()), (2, ""), "{action}: {err}");
        assert!(err.contains("baselines is a file, not a directory") && err.contains("\n  hint: "), "{err}");
    }
}

#[test]
fn doctor_finds_what_ci_would_fail_on() {
    let place = Place::new();
    let head = place.program("head", "100", "aaaaaaa");
    std::fs::write(place.path(".bench-diff"), "").unwrap();
    let (exit, _, err) = place.ci(&["--head-binary", &head]);
    assert_eq!(exit, 2, "{err}");
    let (exit, out, err) = place.run(&["doctor"]);
    assert_eq!(exit, 1, "{out}{err}");
    let said = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(".bench-diff is a file, not a directory"), "{out}");
    assert!(!std::fs::metadata(place.path(".bench-diff")).unwrap().is_dir(), "it is left as it is");
}
