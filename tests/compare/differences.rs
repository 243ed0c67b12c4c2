//! In what two measurements may differ: each field of the machine, the settings and the cases, and what it means.

use bench_diff::case::{Case, DeviceKind, ModelIdentity};
use bench_diff::compare::Verdict;
use bench_diff::results::{Environment, Results, Settings};

use crate::compare_support::{Printed, case, compare_json, run, session};
use crate::{other_session, results_files};

/// Both sides on machines that say everything about themselves, and then as `change` says.
fn compared(change: impl FnOnce(&mut Results, &mut Results)) -> Printed {
    let [mut base, mut head] = [session(|_, _| 1.0), other_session(|_, _| 1.0)];
    for side in [&mut base, &mut head] {
        let machine = &mut side.sessions[0].environment;
        machine.gpus[0].power_limit_w = Some(700.0);
        machine.gpus[0].ecc = Some(true);
        machine.gpus[0].max_sm_clock_mhz = Some(1980);
        machine.cuda_version = Some("13.0".into());
        machine.memory_mib = Some(64_000);
        (machine.os, machine.kernel) = (Some("Linux".into()), Some("6.8".into()));
    }
    change(&mut base, &mut head);
    compare_json(&results_files(&base, &head), &[])
}

fn differences(comparison: &Printed) -> Vec<(&str, &str, &str, bool)> {
    comparison.differences.iter().map(|it| (it.field.as_str(), it.base.as_str(), it.head.as_str(), it.blocks)).collect()
}

type Change = fn(&mut Environment);

#[test]
fn hardware_makes_incomparable_and_software_is_named() {
    let changes: [(Change, _); 12] = [
        (|e| e.gpus[0].name = "NVIDIA H200".into(), ("gpu", "NVIDIA H100 80GB HBM3", "NVIDIA H200", true)),
        (|e| e.gpus.clear(), ("gpu", "NVIDIA H100 80GB HBM3", "none", true)),
        (|e| e.gpus[0].memory_mib = Some(70_000), ("gpu_memory_mib", "81559", "70000", true)),
        (|e| e.gpus[0].power_limit_w = Some(350.0), ("gpu_power_limit_w", "700", "350", true)),
        (|e| e.gpus[0].ecc = Some(false), ("gpu_ecc", "true", "false", true)),
        (|e| e.gpus[0].max_sm_clock_mhz = Some(1755), ("gpu_max_sm_clock_mhz", "1980", "1755", false)),
        (|e| e.driver_version = Some("600.1".into()), ("driver_version", "580.0", "600.1", false)),
        (|e| e.cuda_version = Some("13.1".into()), ("cuda_version", "13.0", "13.1", false)),
        // The device of these cases is the GPU.
        (|e| e.cpu = Some("Other CPU".into()), ("cpu", "Some CPU", "Other CPU", false)),
        (|e| e.cpu_cores = Some(9), ("cpu_cores", "8", "9", false)),
        (|e| e.memory_mib = Some(128_000), ("memory_mib", "64000", "128000", false)),
        (|e| e.kernel = Some("6.9".into()), ("kernel", "6.8", "6.9", false)),
    ];
    for (change, expected) in changes {
        let comparison = compared(|_, head| change(&mut head.sessions[0].environment));
        assert_eq!(differences(&comparison), [expected]);
        assert_eq!(comparison.verdict == Verdict::NotComparable, expected.3, "{expected:?}");
    }
}

/// What a side doesn't know is no difference; nor is what a driver keeps of the memory.
#[test]
fn what_is_unknown_or_about_the_same_is_no_difference() {
    let changes: [Change; 6] = [
        |_| (),
        |e| *e = Environment { gpus: e.gpus.clone(), ..Environment::default() },
        |e| e.gpus[0].memory_mib = None,
        |e| e.gpus[0].ecc = None,
        |e| e.gpus[0].memory_mib = Some(80_000),
        |e| e.memory_mib = Some(63_000),
    ];
    for change in changes {
        for known in [0, 1] {
            let comparison = compared(|base, head| change(&mut [base, head][known].sessions[0].environment));
            assert_eq!(differences(&comparison), []);
            assert_ne!(comparison.verdict, Verdict::NotComparable);
        }
    }
}

#[test]
fn several_gpus_are_counted_and_named() {
    let gpus = |count: usize, last: &'static str| {
        move |base: &mut Results, head: &mut Results| {
            for (side, last) in [(base, None), (head, Some(last))] {
                let gpus = &mut side.sessions[0].environment.gpus;
                *gpus = vec![gpus[0].clone(); count];
                last.into_iter().for_each(|name| gpus[count - 1].name = name.into());
            }
        }
    };
    let h100 = "NVIDIA H100 80GB HBM3";
    assert_eq!(differences(&compared(gpus(2, h100))), []);
    let (two, mixed) = (format!("2 x {h100}"), format!("{h100} + H200"));
    assert_eq!(differences(&compared(gpus(2, "H200"))), [("gpu", two.as_str(), mixed.as_str(), true)]);
    // One that doesn't know its memory says nothing about all.
    let comparison = compared(|base, head| {
        gpus(2, h100)(base, head);
        head.sessions[0].environment.gpus[1].memory_mib = None;
        head.sessions[0].environment.gpus[0].memory_mib = Some(40_000);
    });
    assert_eq!(differences(&comparison), []);
}

/// The CPU is hardware like a GPU where it is what is measured, on both sides.
#[test]
fn the_cpu_is_the_device_of_cpu_cases() {
    for (on_cpu, blocks) in [([true, true], true), ([true, false], false), ([false, true], false)] {
        let comparison = compared(|base, head| {
            head.sessions[0].environment.cpu_cores = Some(9);
            for (side, on_cpu) in [base, head].into_iter().zip(on_cpu) {
                side.cases[0].device = if on_cpu { DeviceKind::Cpu } else { DeviceKind::Cuda }.into();
            }
        });
        assert_eq!(differences(&comparison), [("cpu_cores", "8", "9", blocks)], "{on_cpu:?}");
    }
}

#[test]
fn settings_of_measuring_make_incomparable() {
    let changes: [(fn(&mut Settings), _); 5] = [
        (|s| s.warmup = 2, ("warmup", "1", "2", true)),
        (|s| s.warmup_length = Some(4), ("warmup_length", "whole", "4", true)),
        (|s| s.iterations = 3, ("iterations", "1", "3", true)),
        (|s| s.threads = Some(2), ("threads", "any", "2", true)),
        (|s| s.prompt = "seed".into(), ("prompt", "repeat", "seed", true)),
    ];
    for (change, expected) in changes {
        let comparison = compared(|_, head| change(&mut head.settings));
        assert_eq!((differences(&comparison), comparison.verdict), (vec![expected], Verdict::NotComparable));
    }
    // More runs are more evidence of the same.
    assert_eq!(differences(&compared(|_, head| head.settings.runs = 5)), []);
}

#[test]
fn settings_of_a_case_make_it_incomparable() {
    type Change = fn(&mut Case);
    let changes: [(Change, &str); 8] = [
        (|c| c.model = "Qwen/Other".into(), "model Qwen/Qwen2.5-1B → Qwen/Other"),
        (|c| c.weights = "hub".into(), "weights generated → hub"),
        (|c| c.engine = "other".into(), "engine candle → other"),
        (|c| c.dtype = "f32".into(), "dtype bf16 → f32"),
        (|c| c.batch_size = 4, "batch_size 1 → 4"),
        (|c| c.context_length = 1, "context_length 6144 → 1"),
        (|c| c.generated_length = 64, "generated_length 32 → 64"),
        (|c| c.gpus = 2, "gpus 1 → 2"),
    ];
    for (change, reason) in changes {
        let comparison = compared(|_, head| change(&mut head.cases[0]));
        let rows: Vec<_> = comparison.rows.iter().filter(|row| row.case == case(0).id).collect();
        assert!(
            rows.iter().all(|row| (row.verdict, row.reason.as_str()) == (Verdict::NotComparable, reason)),
            "{rows:?}"
        );
        assert_eq!(comparison.counts.not_comparable, rows.len());
    }
}

/// A revision counts where both sides name one.
#[test]
fn another_revision_is_another_model() {
    for (base, head, reason) in [
        (Some("a"), Some("b"), "revision a → b"),
        (Some("a"), Some("a"), ""),
        (Some("a"), None, ""),
        (None, Some("b"), ""),
    ] {
        let comparison = compared(|old, new| {
            (old.cases[0].revision, new.cases[0].revision) = (base.map(str::to_owned), head.map(str::to_owned));
        });
        assert_eq!(comparison.rows[0].verdict == Verdict::NotComparable, !reason.is_empty());
        assert!(comparison.rows[0].reason.contains(reason));
    }
}

/// What the base measured is lost, as under another name. One cell costs one cell: the others are compared.
#[test]
fn a_metric_of_another_direction_or_unit_is_another() {
    let file = |unit: &str, better: &str| {
        let cells = [("x", unit, better), ("y", "ms", "lower")].map(|(metric, unit, better)| {
            serde_json::json!({"case": "a", "metric": metric, "unit": unit, "better": better, "samples": [1.0, 1.1]})
        });
        serde_json::json!(cells)
    };
    for (head, reason) in [
        (file("ms", "higher"), "`x` is another: better lower → higher"),
        (file("tok/s", "lower"), "`x` is another: unit ms → tok/s"),
    ] {
        let files = crate::Files::new(&file("ms", "lower"), &head);
        let comparison = compare_json(&files, &["--allow-mismatch"]);
        assert_eq!(comparison.notes.iter().map(|note| note.reason.as_str()).collect::<Vec<_>>(), [reason]);
        assert_eq!(comparison.rows.iter().map(|row| row.metric.as_str()).collect::<Vec<_>>(), ["y"]);
        assert_ne!(run(&files, &["--fail-on", "regression"]).0, crate::SUCCESS);
    }
}

fn identity(layers: u32, weights: &str) -> Option<ModelIdentity> {
    let shape = [("num_hidden_layers", layers.to_string()), ("hidden_size", "896".to_owned())];
    let shape = shape.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Some(ModelIdentity { shape, weights_sha256: Some(weights.to_owned()) })
}

/// Folders and files of one name may hold anything: another shape is other work, and is never compared silently.
#[test]
fn another_shape_under_one_name_is_another_model() {
    for (base, head, reason) in [
        (identity(24, "00"), identity(28, "11"), "num_hidden_layers of the model 24 → 28"),
        (identity(24, "00"), identity(24, "00"), ""),
        (None, identity(28, "00"), ""),
        (identity(24, "00"), None, ""),
    ] {
        let identities = |old: &mut Results, new: &mut Results| {
            (old.cases[0].identity, new.cases[0].identity) = (base.clone(), head.clone());
        };
        let comparison = compared(identities);
        let row = &comparison.rows[0];
        assert_eq!(row.verdict == Verdict::NotComparable, !reason.is_empty(), "{row:?}");
        assert!(row.reason.contains(reason), "{row:?}");
        assert_eq!(differences(&comparison), []);
    }
    let [mut base, mut head] = [session(|_, _| 1.0), other_session(|_, _| 1.0)];
    (base.cases[0].identity, head.cases[0].identity) = (identity(24, "00"), identity(28, "00"));
    let allowed = compare_json(&results_files(&base, &head), &["--allow-mismatch"]);
    assert_eq!(differences(&allowed), [("num_hidden_layers of the model", "24", "28", true)]);
    assert_ne!(allowed.rows[0].verdict, Verdict::NotComparable);
}

/// Other numbers in the same shape: as fast, with other answers.
#[test]
fn other_weights_of_one_shape_are_compared_and_said() {
    let comparison = compared(|base, head| {
        for (index, (old, new)) in base.cases.iter_mut().zip(&mut head.cases).enumerate().take(2) {
            (old.identity, new.identity) = (identity(24, &format!("0{index}")), identity(24, "11"));
        }
        for run in head.sessions.iter_mut().flat_map(|session| &mut session.runs) {
            let bench_diff::results::Outcome::Ok(measured) = &mut run.outcome else { continue };
            measured.token_hash = Some("others".to_owned());
        }
    });
    let field = "weights of the model";
    assert_eq!(differences(&comparison), [(field, "00", "11", false), (field, "01", "11", false)]);
    assert_eq!(comparison.differences[0].cases, [case(0).id]);
    assert_eq!(comparison.counts.not_comparable, 0);
    let said = |index: usize| comparison.notes[index].reason.as_str();
    assert_eq!(said(0), "other tokens, and the model of this name has other weights");
    assert!(said(2).starts_with("other tokens with equal settings"), "{}", said(2));
    let warned = comparison.warnings.iter().filter(|warning| warning.contains(field)).collect::<Vec<_>>();
    assert_eq!(warned, ["base and head differ in weights of the model: a change may come from there"]);
}

/// Two lists of cases that have nothing to do with each other would hide that it is one model.
#[test]
fn quantizations_of_one_model_are_brought_together() {
    let named =
        |model: &str, context: u32| bench_diff::engine::ModelSpec::generated(model, DeviceKind::Cuda).case(context, 32);
    let comparison = compared(|base, head| {
        for (side, model) in [(base, "Qwen/Qwen2.5-7B-Instruct-AWQ"), (head, "Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4")] {
            let [old, new] = [side.cases[0].id.clone(), named(model, 6144).id];
            side.cases[0] = named(model, 6144);
            let runs = side.sessions.iter_mut().flat_map(|session| &mut session.runs);
            runs.filter(|run| run.case == old).for_each(|run| run.case.clone_from(&new));
        }
    });
    let notes: Vec<_> = comparison.notes.iter().map(|note| (note.case.as_str(), note.reason.as_str())).collect();
    let (awq, gptq) = ("Qwen2.5-7B-Instruct-AWQ/awq/6144", "Qwen2.5-7B-Instruct-GPTQ-Int4/gptq-int4/6144");
    let only = "differs from it only in the model's quantization";
    assert_eq!(notes[0], (awq, format!("in the base only: `{gptq}` of the head {only}").as_str()));
    assert_eq!(notes[1], (gptq, format!("in the head only: `{awq}` of the base {only}").as_str()));
}
