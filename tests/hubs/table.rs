//! `bench-diff models`.

use serde_json::Value;

use crate::{Machine, files};

/// A machine with a model in each cache, one of them not whole.
fn machine() -> Machine {
    let machine = Machine::new(&[]);
    let write = |directory: &str, names: &[&str]| {
        std::fs::create_dir_all(machine.path(directory)).unwrap();
        names.iter().for_each(|name| std::fs::write(machine.path(directory).join(name), &files()[name]).unwrap());
    };
    write(
        ".cache/huggingface/hub/models--Qwen--Qwen2.5-0.5B-Instruct/snapshots/0123",
        &["config.json", "model.safetensors"],
    );
    write(
        ".cache/modelscope/models/Qwen--Qwen2.5-0.5B-Instruct/snapshots/master",
        &["config.json", "model.safetensors"],
    );
    write(".cache/modelscope/hub/models/Qwen/Qwen2___5-7B", &["config.json"]);
    machine
}

#[test]
fn what_is_here_and_what_fits() {
    let shown = machine().run(&["models", "--device-memory", "80"]).fine();
    insta::assert_snapshot!(shown);
}

#[test]
fn without_a_gpu_it_says_so() {
    let machine = machine().with("CUDA_VISIBLE_DEVICES", "");
    let shown = machine.run(&["models"]).fine();
    let (head, rest) = shown.split_once("\n\n").unwrap();
    let end = rest.lines().skip_while(|line| !line.starts_with("- ") && !line.contains("no GPU here"));
    insta::assert_snapshot!(format!("{head}\n...\n{}", end.collect::<Vec<_>>().join("\n")));
}

#[test]
fn programs_read_it_as_json() {
    let shown = machine().run(&["models", "--device-memory", "24", "--format", "json"]).fine();
    let json: Value = serde_json::from_str(&shown).unwrap();
    let models = json["models"].as_array().unwrap();
    assert_eq!(models.len(), 42);
    let of = |id: &str| models.iter().find(|model| model["id"] == format!("Qwen/Qwen2.5-{id}")).unwrap();
    assert_eq!(of("0.5B-Instruct")["download_bytes"], 988_065_536);
    assert_eq!(of("0.5B-Instruct")["cached"].as_array().unwrap().len(), 2);
    assert_eq!(of("7B")["cached"][0]["complete"], false);
    assert_eq!((&of("72B")["fits"], &of("72B")["longest_context"]), (&false.into(), &Value::Null));
    // A GGUF model's size depends on the file.
    assert_eq!(
        (&of("7B-Instruct-GGUF")["download_bytes"], &of("7B-Instruct-GGUF")["fits"]),
        (&Value::Null, &Value::Null)
    );
    let refused = Machine::new(&[]).run(&["models", "--device-memory", "-1"]);
    assert_eq!(refused.exit, 2);
}
