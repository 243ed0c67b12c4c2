//! Inside one kernel: workers that say what a decode step is made of, as `graph` does from the stamps of its kernel's blocks.

use serde_json::{Value, json};

use crate::moved::{CONFIG, Machine, Step, first_line, usual};
use crate::read;

const LAYERS: usize = 24;
/// Microseconds of work in each layer.
const OF_LAYERS: [(&str, f64); 5] =
    [("qkv", 4.0), ("attention", 6.0), ("output", 3.0), ("gate and up", 11.0), ("down", 7.0)];

/// A step whose `product` takes so many microseconds longer in the layers from `first` on. Each run has its own noise.
fn parts(run: usize, product: &str, first: usize, more: f64) -> Value {
    let noise = |place: usize| 1.0 + 0.002 * (((run * 31 + place * 17) % 11) as f64 / 10.0 - 0.5);
    let mut products: Vec<Value> = Vec::new();
    let mut sum = 0.05;
    for (place, (name, us)) in OF_LAYERS.into_iter().enumerate() {
        let later = |layer: usize| if name == product && layer >= first { more } else { 0.0 };
        let work: Vec<f64> = (0..LAYERS).map(|layer| us * noise(place + 3 * layer) + later(layer)).collect();
        let waiting: Vec<f64> = (0..LAYERS).map(|layer| 1.2 * noise(place + 5 * layer)).collect();
        sum += work.iter().chain(&waiting).sum::<f64>();
        products.push(json!({ "name": name, "work_us": work, "waiting_us": waiting, "apart_us": waiting }));
    }
    for (name, work, waiting) in [("head", 90.0 * noise(1), noise(2)), ("choosing", 0.0, 3.0 * noise(3))] {
        sum += work + waiting;
        products.push(json!({ "name": name, "work_us": [work], "waiting_us": [waiting], "apart_us": [0.0] }));
    }
    json!({ "steps": 8, "step_us": sum, "products": products, "unexplained_us": 0.05 })
}

fn graph(ns: u64) -> Step {
    usual().with(|step| {
        step.kernels = vec![("decode_64", 128, 1, ns)];
        step.pauses = 3000;
    })
}

/// The comment on a head whose kernel is slower by so much.
fn comment(machine: &Machine, product: &str, first: usize, more: f64) -> String {
    let slower = (more * (LAYERS - first) as f64 * 1000.0) as u64;
    for number in 0..3 {
        let note = |side: &str, parts: Value| machine.0.note(side, &format!("{number}.parts"), &parts.to_string());
        note("base", parts(number, "", 0, 0.0));
        note("head", parts(number + 3, product, first, more));
    }
    machine.comment(&graph(560_000), &graph(560_000 + slower))
}

#[test]
fn the_first_line_names_the_part_that_was_planted() {
    let machine = Machine::new();
    for (product, first, more, said) in [
        ("attention", 0, 0.5, "- attention of layers 0-23: **+12.0"),
        ("gate and up", 0, 0.7, "- gate and up of layers 0-23: **+16."),
        ("down", 20, 4.0, "- down of layers 20-23: **+1"),
    ] {
        let comment = comment(&machine, product, first, more);
        let line = first_line(&comment);
        assert!(line.starts_with(said), "{line}\n{comment}");
        assert!(line.ends_with(" µs** a token (p < 0.001), the rest unchanged"), "{line}");
        assert!(comment.contains("- decode is one kernel, `decode_64`: "), "{comment}");
        assert!(comment.contains(&format!("look at {product} of layers {first}-23 in `decode_64` first")), "{comment}");
        let found = &machine.comparison()["attributed"]["parts"][0];
        let us = |value: &Value, name: &str| value[name].as_f64().unwrap();
        let changes = found["parts"].as_array().unwrap().iter().map(|part| us(part, "head_us") - us(part, "base_us"));
        let sum = changes.sum::<f64>() + us(found, "unexplained_us");
        assert!((sum - (us(found, "head_us") - us(found, "base_us"))).abs() < 1e-6, "the parts add up: {found}");
    }
}

#[test]
fn the_comment_as_its_reader_sees_it() {
    let machine = Machine::new();
    let comment = comment(&machine, "attention", 0, 0.5);
    insta::assert_snapshot!("inside_a_kernel", machine.0.plain(&comment));
}

/// An older build says nothing of it: then nobody guesses.
#[test]
fn without_stamps_of_both_sides_nothing_is_divided() {
    let machine = Machine::new();
    for number in 0..3 {
        machine.0.note("head", &format!("{number}.parts"), &parts(number, "down", 0, 1.0).to_string());
    }
    let line = first_line(&machine.comment(&graph(560_000), &graph(584_000)));
    assert!(line.contains("`decode_64`, and what is inside it isn't divided"), "{line}");
    assert_eq!(machine.comparison()["attributed"]["parts"], Value::Null);
    // Other parts on both sides can't be compared either.
    let mut other = parts(0, "", 0, 0.0);
    other["products"][0]["name"] = json!("another");
    (0..3).for_each(|number| machine.0.note("base", &format!("{number}.parts"), &other.to_string()));
    let line = first_line(&machine.comment(&graph(560_000), &graph(584_000)));
    assert!(line.contains("isn't divided"), "{line}");
}

/// Names of parts come from the measured program.
#[test]
fn hostile_names_of_parts_stay_names() {
    let machine = Machine::new();
    for number in 0..3 {
        for (side, run, more) in [("base", number, 0.0), ("head", number + 3, 1.0)] {
            let text = parts(run, "down", 0, more).to_string();
            let text = text.replace("\"down\"", &json!("| `x` |\n\n# @maintainer <b>\u{1b}[31m").to_string());
            machine.0.note(side, &format!("{number}.parts"), &text);
        }
    }
    let comment = machine.comment(&graph(560_000), &graph(584_000));
    for forged in ["\n# @", "\u{1b}", "<b>", " @maintainer"] {
        assert!(!comment.contains(forged), "{forged:?}: {comment}");
    }
}

/// Beside the counters, in the results of a session.
#[test]
fn a_session_that_counts_keeps_the_parts() {
    let machine = Machine::new();
    let config = CONFIG.replace("device =", "counters = true\ndevice =");
    std::fs::write(machine.0.path("bench-diff.toml"), config).unwrap();
    comment(&machine, "attention", 0, 0.5);
    let found = read(&machine.0.path(".bench-diff/latest/results.json"));
    let session = &found["sessions"][0]["step_parts"][0];
    assert_eq!(session["case"], found["cases"][0]["id"]);
    assert_eq!(session["parts"]["products"][1]["name"], "attention");
}
