//! What was planted, where times alone tell nothing: runs that are too noisy, and a card that is held down for one side.

use serde_json::Value;

use crate::confirm::ALWAYS;
use crate::moved::{Machine, usual};
use crate::read;

/// The programs of a machine on which no run is like the next.
fn noisy(machine: &Machine) -> [String; 2] {
    let head = usual().with(|step| {
        step.kernels[3].2 = 72;
        step.copies = 2;
        step.kernels[1].3 += 500;
    });
    ["base", "head"].iter().for_each(|side| machine.0.note(side, "noise", "100"));
    [("base", usual()), ("head", head)].map(|(side, step)| machine.program(side, "100", &step))
}

/// Counts are exact, so it is told what else is asked for; how long a kernel took in a few traces isn't.
#[test]
fn what_noise_hides_is_named_by_what_is_exact() {
    let machine = Machine::new();
    let [base, head] = noisy(&machine);
    let ab = ["ab", "--quiet", "--runs", "4", "--metric", "decode_throughput", "--format", "markdown", &base, &head];
    let ci = ["ci", "--quiet", "--runs", "4", "--base-binary", &base, "--head-binary", &head];
    for args in [&ab[..], &ci[..]] {
        let (exit, out, err) = machine.run(args);
        assert_eq!(exit, 0, "{out}{err}");
        names_what_is_exact(&out.replace('\u{a0}', " "));
    }
}

fn names_what_is_exact(out: &str) {
    assert!(out.contains("Can't tell yet"), "{out}");
    let section = out.split("**What changed**: ").nth(1).unwrap_or_else(|| panic!("{out}"));
    let is_of_decode = |line: &&str| !line.starts_with("**") && !line.starts_with("And prefill");
    let said: Vec<&str> = section.lines().take_while(is_of_decode).filter(|line| !line.is_empty()).collect();
    let heading = "decode of `Qwen2.5-0.5B/bf16/1` asks for something else, in 3 traces of each side; what that costs isn't settled";
    let add = "- `add`: 48 → 72 calls a token, 1.001 µs each: **+24.0 µs**";
    assert_eq!(said, [heading, add, "- copies device to host: 1 → 2 a token, 4 → 8 bytes: **+3.00 µs**"]);
    // The copy and its bytes are told above.
    let counters: Vec<&str> = out.lines().filter(|line| line.starts_with("- decode: ")).collect();
    assert_eq!(counters, ["- decode: kernel launches 289 → 313 a token (+8.3%), `Qwen2.5-0.5B/bf16/1`"]);
}

/// On an H100, where `plain` was too noisy for a verdict, with one more launch a layer (tests/fixtures/traces).
#[test]
fn a_launch_more_a_layer_is_named_by_recorded_traces() {
    let machine = Machine::new();
    let [base, head] = noisy(&machine);
    for (side, recorded) in [("base", "planted-base"), ("head", "planted-launch")] {
        let recorded = format!("{}/tests/fixtures/traces/{recorded}.trace", env!("CARGO_MANIFEST_DIR"));
        for number in 0..3 {
            std::fs::copy(&recorded, machine.0.path(&format!("{side}.{number}.trace"))).unwrap();
        }
    }
    let args = ["ab", "--quiet", "--runs", "4", "--metric", "decode_throughput", "--format", "markdown"];
    let (exit, out, err) = machine.run(&[&args[..], &["--generated-length", "33", &base, &head]].concat());
    assert_eq!(exit, 0, "{out}{err}");
    let out = out.replace('\u{a0}', " ");
    let first =
        |title: &str| out.split(title).nth(1).and_then(|section| section.lines().find(|line| line.starts_with("- ")));
    assert_eq!(
        first("**What changed**"),
        Some("- `affine_bf16` is new: 24 calls a token, 1.250 µs each: **+30.0 µs**"),
        "{out}"
    );
    let launches = "- decode: kernel launches 749 → 773 a token (+3.2%), `Qwen2.5-0.5B/bf16/1`";
    assert_eq!(first("**Counters**"), Some(launches), "{out}");
}

/// Where nobody counted, nothing is known to be traced for.
#[test]
fn noise_alone_is_not_traced() {
    let machine = Machine::new();
    let [base, head] = noisy(&machine);
    let args = [
        "ab",
        "--quiet",
        "--runs",
        "4",
        "--metric",
        "decode_throughput",
        "--format",
        "json",
        "--counters=false",
        &base,
        &head,
    ];
    let (exit, out, err) = machine.run(&args);
    assert_eq!(exit, 0, "{out}{err}");
    let comparison: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&comparison["verdict"], &comparison["attributed"]), (&"inconclusive".into(), &Value::Null));
}

/// The same program beside somebody else's load: throttled runs are no evidence, and that is said, not that it never ran.
#[test]
fn a_card_that_is_held_down_for_one_side_is_told() {
    let machine = Machine::new();
    let [base, head] = ["base", "head"].map(|side| machine.program(side, "100", &usual()));
    machine.0.note("head", "throttled", &ALWAYS);
    let args = ["ab", "--quiet", "--runs", "2", "--metric", "decode_throughput", "--format", "markdown", &base, &head];
    let (_, out, err) = machine.run(&args);
    let told = "no numbers in the head: it was throttled in every run (sw\\_thermal\\_slowdown), which tells something about the \
                card and not the program";
    assert!(out.contains(told), "{out}{err}");
    // `ci` has a row from the first runs, which couldn't be confirmed.
    let (exit, out, err) =
        machine.run(&["ci", "--quiet", "--runs", "4", "--base-binary", &base, "--head-binary", &head]);
    assert_eq!(exit, 0, "{out}{err}");
    let report = read(&machine.0.path(".bench-diff/latest/report.json"));
    let rows = report["comparison"]["rows"].as_array().unwrap();
    let decode = rows.iter().find(|row| row["metric"] == "decode_throughput").unwrap();
    assert_eq!(decode["verdict"], "inconclusive", "{decode}");
    let evidence = "only the head was throttled (sw_thermal_slowdown)";
    assert_eq!(decode["cause"], serde_json::json!({ "word": "card", "evidence": evidence }), "{decode}");
}
