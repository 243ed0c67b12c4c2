//! `bench-diff models pull`

use std::path::{Path, PathBuf};

use super::pull_progress::Shown;
use crate::case::{DeviceKind, Quantization, WeightsSource};
use crate::child::Stop;
use crate::config;
use crate::engine::{ENGINES, ModelSpec};
use crate::error::{Advice as _, Error, Exit, Result};
use crate::flags;
use crate::hub::{self, Fault, HubError, HubName, ModelId, Selection};
use crate::io::Io;
use crate::{escape, models, suggest};

/// Download models into the hub's cache
///
/// What is there already isn't downloaded again, and what was interrupted goes on. Sizes and SHA-256 are checked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Ids of models; `Qwen/` may be left out. Of a GGUF model, with the file that is meant: `ID:q4_k_m`
    #[arg(required = true, value_name = "ID")]
    models: Vec<String>,
    /// Which hub to download from, and whose cache to use [default: `hub` of the configuration file, of the model or above it;
    /// else huggingface]
    #[arg(long, value_parser = flags::word::<HubName>())]
    hub: Option<HubName>,
    /// Configuration file [default: bench-diff.toml here or in a parent directory]
    #[arg(long, value_name = "FILE", env = "BENCH_DIFF_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Branch, tag or commit [default: main, or ModelScope's master]
    #[arg(long)]
    revision: Option<String>,
    /// Only files whose names match, `*` being anything (repeatable)
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
}

const EXAMPLES: &str = "Examples:
  bench-diff models pull Qwen/Qwen2.5-0.5B-Instruct Qwen2.5-7B-Instruct
  bench-diff models pull Qwen/Qwen2.5-7B-Instruct --hub modelscope
  bench-diff models pull Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_k_m
  bench-diff models pull Qwen/Qwen2.5-0.5B-Instruct-GGUF --include '*q4*'";

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let models: Vec<_> = args.models.iter().map(|model| wanted(model, &args.include)).collect::<Result<_>>()?;
    let hubs = hubs(args, &models)?;
    let stop = Stop::on_signals();
    for ((model, wanted), hub) in models.iter().zip(hubs) {
        if let Selection::Gguf(kind) = wanted {
            warn_of_kind(&format!("{model}:{kind}"), io)?;
        }
        let mut shown = Shown::new(model, stop, &mut io.err);
        let snapshot = hub::pull(hub, model, args.revision.as_deref(), wanted, &mut shown);
        shown.end();
        let snapshot = snapshot.map_err(failed)?;
        writeln!(io.out, "{model} is in {}", snapshot.directory.display())?;
        if *wanted == Selection::Model {
            warn_of_model(model, &snapshot.directory, io)?;
        }
    }
    Ok(Exit::Success)
}

/// Other programs may read what bench-diff's engine doesn't.
fn warn_of_kind(id: &str, io: &mut Io) -> Result<()> {
    let spec = ModelSpec { weights: WeightsSource::Hub, ..ModelSpec::generated(id, DeviceKind::Cpu) };
    let refused = ENGINES[0].refusals(&spec).into_iter().find(|refusal| refusal.setting == "quantization");
    refused.map_or(Ok(()), |refusal| warn(&refusal.reason, io))
}

/// The same, where its files tell.
fn warn_of_model(model: &ModelId, directory: &Path, io: &mut Io) -> Result<()> {
    match ENGINES[0].shape(&model.name, Some(directory)) {
        Ok(_) => Ok(()),
        Err(error) => warn(&error.in_one_line(), io),
    }
}

fn warn(reason: &str, io: &mut Io) -> Result<()> {
    let reason = escape::line(reason);
    writeln!(io.err, "warning: bench-diff can't run it: {reason}")?;
    Ok(())
}

/// Which hub has each: who says it by a flag needs no file.
fn hubs(args: &Args, models: &[(ModelId, Selection)]) -> Result<Vec<HubName>> {
    if let Some(hub) = args.hub {
        return Ok(vec![hub; models.len()]);
    }
    let config = config::load(args.config.as_deref())?;
    Ok(models.iter().map(|(id, _)| config.hub_of(&id.to_string())).collect())
}

/// A model, and what of it: the file that its name says, or what `include` does.
fn wanted(text: &str, include: &[String]) -> Result<(ModelId, Selection)> {
    let (model, of_name) = named(text)?;
    let is_gguf = || models::find(text).is_some_and(|model| model.quantization == Quantization::Gguf);
    if of_name == Selection::Weights && include.is_empty() && is_gguf() {
        return Err(Error::usage(format!("{model} holds the model in several quantizations, and one is meant"))
            .hint(format!("name it, as in {model}:q4_k_m, or choose files with --include")));
    }
    let of_all = if of_name == Selection::Weights { Selection::Model } else { of_name };
    Ok((model, if include.is_empty() { of_all } else { Selection::Matching(include.to_vec()) }))
}

/// One of the collection, or anything else that looks like an id.
fn named(text: &str) -> Result<(ModelId, Selection)> {
    if let Some(model) = models::find(text) {
        return Selection::of(&models::whole_name(model, text)).map_err(failed);
    }
    Selection::of(text).map_err(|_| {
        let ids = models::all().iter().map(|model| model.id.as_str());
        let hint = match suggest::nearest(text, ids) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                "`bench-diff models` lists those of Qwen2.5; others have an owner, as in `Qwen/Qwen2.5-7B`".to_owned()
            }
        };
        Error::usage(format!("`{text}` is no model's id")).hint(hint)
    })
}

fn failed(error: HubError) -> Error {
    let exit = if error.fault == Fault::Stopped { Exit::Interrupted } else { Exit::Usage };
    Error::of(exit, error)
}
