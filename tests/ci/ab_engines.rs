//! `bench-diff ab` where an engine of somebody's own is meant.

use crate::Place;

fn engine_at(place: &Place, name: &str) -> String {
    let program = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/program.sh");
    place.install(name, &std::fs::read_to_string(program).unwrap())
}

fn with_suite(engine: &str) -> Place {
    Place::with_config(&format!(
        "[suites.tiny]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"Qwen/Qwen2.5-0.5B\"]\n{engine}\n\
         context-lengths = [3]\ngenerated-length = 4\nruns = 2\n"
    ))
}

/// Two programs would start the suite's engine, both the same one.
#[test]
fn programs_are_not_compared_by_an_engine_that_is_neither() {
    for engine in ["command = [\"no-such-engine\"]", "server = { url = \"http://127.0.0.1:9/v1\" }"] {
        let place = with_suite(engine);
        let (old, new) = (place.program("old", "100", "aaaaaaa"), place.program("new", "90", "bbbbbbb"));
        let (exit, _, err) = place.run(&["ab", &old, &new]);
        assert_eq!(exit, 2, "{err}");
        assert!(err.contains("OLD would start the same one as NEW") && err.contains("docs/own-engine.md"), "{err}");
        assert!(!err.contains("is an engine"), "{err}");
        let (old, new) = (engine_at(&place, "old-engine"), engine_at(&place, "new-engine"));
        let (exit, _, err) = place.run(&["ab", &old, &new]);
        assert_eq!(exit, 2, "{err}");
        assert!(err.contains("old-engine is an engine, not a bench-diff: give two commits"), "{err}");
    }
}

/// They answer hello: it is known what they are, and what to do.
#[test]
fn engines_in_place_of_programs_are_known_as_such() {
    let place = with_suite("");
    let (old, new) = (engine_at(&place, "old-engine"), engine_at(&place, "new-engine"));
    let (exit, _, err) = place.run(&["ab", "--quiet", "--runs", "2", &old, &new]);
    assert_eq!(exit, 3, "{err}");
    assert!(err.contains("every run of ") && err.contains("is an engine, not a bench-diff"), "{err}");
}
