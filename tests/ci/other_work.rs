//! Base and head that did other work, as by an implementation that was renamed: no machine and no setting is to blame, and
//! measuring again doesn't help.

use std::path::Path;

use crate::{Place, repository};

impl Place {
    /// A program whose runs say which implementation ran.
    fn running(&self, name: &str, implementation: &str) -> String {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ci/program.sh");
        let script = std::fs::read_to_string(template).unwrap().replace("SPEED", "100").replace("COMMIT", name);
        let hash = "\\\"token_hash\\\"";
        assert!(script.contains(hash));
        let said = format!("\\\"implementation\\\":\\\"{implementation}\\\",{hash}");
        self.install(name, &script.replace(hash, &said))
    }
}

const WHAT: &str = "implementation that ran fast → quick";

#[test]
fn a_renamed_implementation_is_said_and_can_be_compared() {
    let place = Place::new();
    let (old, new) = (place.running("aaaaaaa", "fast"), place.running("bbbbbbb", "quick"));
    let (_, out, err) = place.run(&["ab", "--quiet", "--runs", "4", "--output", "out", &old, &new]);
    assert!(out.starts_with(&format!("Nothing was compared: base and head did other work ({WHAT})")), "{out}{err}");
    assert!(out.contains("Base and head were measured interleaved in one session, but did other work."), "{out}");
    assert!(!out.contains("different machines") && !out.contains("same hardware"), "{out}");
    assert!(out.contains("if only a name changed, compare their results with `--allow-mismatch`"), "{out}");
    // The advice holds.
    let files = ["out/old.json", "out/new.json"].map(|file| place.path(file).display().to_string());
    let (_, out, err) = place.run(&["compare", &files[0], &files[1], "--allow-mismatch"]);
    assert!(out.starts_with("No change"), "{out}{err}");
}

#[test]
fn of_a_pull_request_a_maintainer_says_that_it_is_meant() {
    let (place, base) = repository();
    let (old, new) = (place.running("aaaaaaa", "fast"), place.running("bbbbbbb", "quick"));
    let ((code, _, err), (_, comment, _)) = place.judged(&base, &["--head-binary", &new, "--base-binary", &old]);
    assert_eq!(code, 0, "{err}");
    assert!(comment.contains("but did other work."), "{comment}");
    assert!(comment.contains("or only changed a name, a maintainer comments `bench-accept: <reason>`"), "{comment}");
    assert!(!comment.contains("measure the base on this hardware"), "{comment}");
}
