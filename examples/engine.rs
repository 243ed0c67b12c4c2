//! An engine of your own, measured by bench-diff: candle-transformers' Qwen2 behind the engine protocol
//! (docs/engine-protocol.md). It takes no times, so they are those at which its lines arrive.
//!
//! ```sh
//! cargo build --release --example engine
//! bench-diff check-engine --model ./my-model -- target/release/examples/engine
//! bench-diff run --model ./my-model --engine command --command target/release/examples/engine
//! ```

#![allow(clippy::print_stdout, reason = "standard output is the protocol")]

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Result, Tensor, bail};
use candle_nn::{VarBuilder, VarMap};
use candle_transformers::models::qwen2::{Config, ModelForCausalLM};
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    say(&json!({ "answer": "hello", "protocol": 1, "name": "engine-example", "version": env!("CARGO_PKG_VERSION") }))?;
    let mut model = None;
    for line in io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let answer = match request["request"].as_str() {
            Some("load") => load(&request).map(|loaded| {
                model = Some(loaded);
                json!({ "answer": "loaded", "implementation": "candle-transformers" })
            }),
            Some("generate") => {
                generate(model.as_mut(), &request).map(|ids| json!({ "answer": "generated", "token_ids": ids }))
            }
            Some("memory") => Ok(json!({ "answer": "memory" })),
            _ => break,
        };
        match answer {
            Ok(answer) => say(&answer)?,
            Err(error) => say(&json!({ "answer": "error", "kind": "failed", "message": first_line(&error) }))?,
        }
    }
    Ok(())
}

/// Each line at once: what waits in a buffer comes late.
fn say(answer: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{answer}")?;
    out.flush()
}

/// A model and where it runs.
type Loaded = (ModelForCausalLM, Device);

fn load(request: &Value) -> Result<Loaded> {
    let device = match request["device"].as_str() {
        Some("cpu") => Device::Cpu,
        Some("cuda") => Device::new_cuda(0)?,
        other => bail!("this engine runs on cpu and cuda, not on {other:?}"),
    };
    let dtype = match request["dtype"].as_str() {
        Some("bf16") => DType::BF16,
        Some("f16") => DType::F16,
        _ => DType::F32,
    };
    let Some(directory) = request["directory"].as_str().map(Path::new) else {
        bail!("this engine reads local models: name a directory");
    };
    let config: Config =
        serde_json::from_slice(&std::fs::read(directory.join("config.json"))?).map_err(candle_core::Error::wrap)?;
    let weights = match request["weights"].as_str() {
        Some("generated") => VarBuilder::from_varmap(&VarMap::new(), dtype, &device),
        #[expect(unsafe_code, reason = "nobody changes the files while they are mapped")]
        // SAFETY: nobody changes a model's files while it is measured.
        _ => unsafe { VarBuilder::from_mmaped_safetensors(&files(directory)?, dtype, &device)? },
    };
    Ok((ModelForCausalLM::new(&config, weights)?, device))
}

fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|it| it == "safetensors")).collect())
}

fn generate(loaded: Option<&mut Loaded>, request: &Value) -> Result<Vec<u32>> {
    let Some((model, device)) = loaded else { bail!("no model is loaded") };
    let ids = |value: &Value| {
        value.as_array().map(|ids| ids.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect())
    };
    let prompt: Vec<u32> = ids(&request["prompt"]).unwrap_or_default();
    let wanted = request["tokens"].as_u64().unwrap_or(0) as usize;
    model.clear_kv_cache();
    let (mut next, mut position, mut tokens) = (prompt, 0, Vec::new());
    while tokens.len() < wanted {
        let input = Tensor::new(next.as_slice(), device)?.unsqueeze(0)?;
        let logits = model.forward(&input, position)?.flatten_all()?;
        position += next.len();
        // Asking for the token waits for the device: only then is it there.
        let token = logits.argmax(0)?.to_scalar::<u32>()?;
        say(&json!({ "answer": "chunk", "tokens": 1 }))?;
        tokens.push(token);
        next = vec![token];
    }
    Ok(tokens)
}

/// A backtrace may follow.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
