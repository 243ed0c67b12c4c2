//! "Next" and "Reproduce" print a command that measures the same again, in the user's own repository.

use crate::{BUILD, Place, repository};

/// The calls of bench-diff that a text prints, as a shell splits them. Each is one that the program knows.
fn printed(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("bench-diff "));
    let calls: Vec<Vec<String>> = lines.map(|line| shlex::split(line).expect("whole words")).collect();
    for call in &calls {
        let parsed = bench_diff::command_line().try_get_matches_from(call);
        assert!(parsed.is_ok(), "{call:?}: {}", parsed.err().map(|error| error.to_string()).unwrap_or_default());
    }
    assert!(!calls.is_empty(), "no command in: {text}");
    calls
}

fn words(call: &[String]) -> Vec<&str> {
    call.iter().map(String::as_str).collect()
}

#[test]
fn two_commits_are_measured_again_with_the_same_settings() {
    let (place, base) = repository();
    let head = place.git(&["rev-parse", "HEAD"]);
    std::fs::copy(place.path("bench-diff.toml"), place.path("benches.toml")).unwrap();
    let settings = ["--config", "benches.toml", "--context-lengths", "256", "--iterations", "2", "--threads", "1"];
    let build = ["--build-command", BUILD, "--head-binary", "./program", "--base-ref", "main"];
    let (exit, out, err) = place.ci(&[&settings[..], &build, &["--fail-on", "regression", "--runs", "4"]].concat());
    assert_eq!(exit, 1, "{err}");
    let calls = printed(&out);
    let call = words(&calls[0]);
    let expected = [
        &["bench-diff", "ab", &base, &head, "--config", "benches.toml", "--suite", "small"][..],
        &["--context-lengths", "256", "--iterations", "2", "--threads", "1"],
    ]
    .concat();
    assert_eq!(call, expected, "the repository's commits, and nothing else is left out: {out}");
    // Pasted, with what builds this repository, it finds the same.
    let again = [&call[1..], &["--quiet", "--build-command", BUILD, "--product", "program"]].concat();
    let (exit, again, err) = place.run(&again);
    assert_eq!(exit, 1, "{err}");
    assert!(again.starts_with("Slower: decode -20"), "{again}");
}

/// A head with changes that nobody has committed is the working tree.
#[test]
fn changes_are_measured_where_they_are() {
    let (place, base) = repository();
    std::fs::write(place.path("speed"), "70").unwrap();
    let (exit, out, err) = place.ci(&["--build-command", BUILD, "--head-binary", "./program", "--base-ref", "main"]);
    assert_eq!(exit, 0, "{err}");
    assert_eq!(words(&printed(&out)[0])[..4], ["bench-diff", "ab", &base, "."]);
}

#[test]
fn two_candles_are_measured_again() {
    let place = Place::candle("");
    let base = place.commit_candle("candle", "100");
    place.git(&["-C", "candle", "switch", "--quiet", "--create", "slower"]);
    let head = place.commit_candle("candle", "80");
    let (exit, out, err) = place.with_cargo(&["ci", "--quiet"], &["--candle", "candle", "--base-ref", "main"]);
    assert_eq!(exit, 0, "{err}");
    let calls = printed(&out);
    let call = words(&calls[0]);
    assert_eq!(call[..4], ["bench-diff", "ab", &base, &head]);
    let (exit, again, err) = place.with_cargo(&["ab", "--quiet"], &call[2..]);
    assert_eq!(exit, 1, "{again}{err}");
    // The candle that a configuration names is one of an address: its commits are known by the programs.
    let place = Place::candle("candle = { git = \"./candle\", rev = \"slower\" }");
    let base = place.commit_candle("candle", "100");
    place.git(&["-C", "candle", "switch", "--quiet", "--create", "slower"]);
    let head = place.commit_candle("candle", "80");
    let (exit, again, err) = place.with_cargo(&["ab", "--quiet"], &[&base, &head]);
    assert_eq!(exit, 1, "{again}{err}");
}

/// What can't be built from commits is the program's own `ci`, or takes programs.
#[test]
fn programs_stand_for_themselves() {
    let place = Place::new();
    let (old, new) = (place.program("old", "100", "aaaaaaa"), place.program("new", "90", "bbbbbbb"));
    let (_, out, _) = place.ci(&["--head-binary", &old, "--iterations", "3"]);
    assert_eq!(
        words(&printed(&out)[0])[..],
        ["bench-diff", "ci", "--head-binary", "PROGRAM", "--suite", "small", "--iterations", "3"]
    );
    let (_, out, _) = place.ci(&["--head-binary", &new, "--base-binary", &old]);
    assert_eq!(
        words(&printed(&out)[0])[..],
        ["bench-diff", "ab", "BASE", "HEAD", "--suite", "small"],
        "no path of another machine: {out}"
    );
}

/// On a terminal as well, and what is printed runs.
#[test]
fn an_own_build_is_measured_again_by_what_is_printed() {
    let place = Place::with_config(
        "[suites.tiny]\ndevice = \"cpu\"\nweights = \"generated\"\nmodels = [\"./model\"]\ncontext-lengths = [3]\ngenerated-length = 4\nruns = 2\n",
    );
    std::fs::create_dir(place.path("model")).unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/qwen2.5-tiny/config.json");
    std::fs::copy(config, place.path("model/config.json")).unwrap();
    let (exit, out, err) = place.ci(&["--context-lengths", "5", "--warmup", "0"]);
    assert_eq!(exit, 0, "{err}");
    let calls = printed(&out);
    assert_eq!(words(&calls[0])[1..], ["ci", "--suite", "tiny", "--context-lengths", "5", "--warmup", "0"]);
    let (exit, out, err) = place.run(&[&words(&calls[0])[1..], &["--quiet", "--format", "json"]].concat());
    assert_eq!(exit, 0, "{err}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["comparison"]["rows"][0]["case"], "model/f32/5");
    let program = env!("CARGO_BIN_EXE_bench-diff");
    let (_, out, err) = place.run(&["ab", program, program, "--quiet", "--runs", "2", "--metric", "ttft"]);
    assert!(err.is_empty(), "{err}");
    let lines: Vec<&str> = out.lines().filter(|line| line.trim().starts_with("bench-diff ")).collect();
    lines.iter().for_each(|line| drop(printed(line)));
}
