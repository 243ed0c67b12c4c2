//! A suite whose engine is a program of its own.

use super::Place;

/// Another build of bench-diff would start the same engine: it is no base for it, and no session of it is another's.
#[test]
fn an_engine_of_others_is_judged_by_a_baseline_alone() {
    let program = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/program.sh");
    let config = |mode: &str| {
        format!(
            "[suites.tiny]\ndevice = \"cpu\"\nweights = \"generated\"\nengine = \"command\"\ncommand = [{program:?}, {mode:?}]\n\
             models = [\"./model\"]\ncontext-lengths = [3]\ngenerated-length = 4\nruns = 2\n"
        )
    };
    let place = Place::with_config(&config("well"));
    let (_, _, err) = place.ci(&[]);
    assert!(err.contains("kept as the local baseline"), "{err}");
    std::fs::write(place.path("bench-diff.toml"), config("newer")).unwrap();
    let (_, out, err) = place.ci(&[]);
    assert!(err.contains("stays as it is"), "{err}");
    assert!(out.contains("fake 2.0"), "what ran is shown: {out}");
    let (_, _, err) = place.ci(&["--base-binary", env!("CARGO_BIN_EXE_bench-diff")]);
    assert!(err.contains("the base would start the head's"), "{err}");
}
