//! `bench-diff init`

use std::path::{Path, PathBuf};

use crate::config;
use crate::engine::ADAPTERS;
use crate::error::{Error, Exit, Result};
use crate::files::Output;
use crate::io::Io;

/// Write a commented bench-diff.toml to start from, or the adapters for engines of others
///
/// With --adapters, PATH is a directory [default: the working directory]. Into its adapters/ go the programs in Python that
/// measure transformers and vLLM, into its suites/ Qwen's Speed Benchmark, which calls them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file to write, or the directory to write it into
    #[arg(default_value = config::FILE_NAME)]
    path: PathBuf,
    /// Write the adapters, and the suites that call them, instead
    #[arg(long)]
    adapters: bool,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "Examples:
  bench-diff init
  bench-diff init --force ci/bench-diff.toml
  bench-diff init --adapters engines
  bench-diff plan --config suites/qwen2.5-speed-benchmark.toml --suite vllm";

/// Every row that Qwen published.
const SPEED_BENCHMARK: (&str, &str) =
    ("qwen2.5-speed-benchmark.toml", include_str!("../../suites/qwen2.5-speed-benchmark.toml"));

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    if args.adapters {
        return write_adapters(args, io);
    }
    let path = if args.path.is_dir() { args.path.join(config::FILE_NAME) } else { args.path.clone() };
    write_all(&[(path.clone(), config::STARTER)], args.force)?;
    writeln!(io.out, "Wrote {}. Edit it, then see what it would run: bench-diff plan", path.display())?;
    Ok(Exit::Success)
}

/// As they lie in the source of bench-diff: the suites name the adapters by their place beside them.
fn write_adapters(args: &Args, io: &mut Io) -> Result<Exit> {
    let root = if args.path == Path::new(config::FILE_NAME) { Path::new("") } else { &args.path };
    let adapters = ADAPTERS.iter().map(|(name, text)| (root.join("adapters").join(name), *text));
    let (name, text) = SPEED_BENCHMARK;
    let suites = root.join("suites").join(name);
    for made in ["adapters", "suites"].map(|name| root.join(name)) {
        std::fs::create_dir_all(&made).map_err(|error| Error::writing(&made, error))?;
    }
    let files: Vec<(PathBuf, &str)> = adapters.chain([(suites.clone(), text)]).collect();
    write_all(&files, args.force)?;
    let names: Vec<String> = files.iter().map(|(path, _)| path.display().to_string()).collect();
    writeln!(
        io.out,
        "Wrote {}. See what it would run: bench-diff plan --config {}",
        names.join(", "),
        suites.display()
    )?;
    Ok(Exit::Success)
}

/// All of them, or with one in the way none.
fn write_all(files: &[(PathBuf, &str)], force: bool) -> Result<()> {
    let claimed = files.iter().map(|(path, text)| Ok((Output::wait_for(path)?, path, text)));
    let claimed = claimed.collect::<Result<Vec<_>>>()?;
    if let Some((_, path, _)) = claimed.iter().find(|(output, ..)| output.exists() && !force) {
        return Err(Error::usage(format!("{} exists already", path.display())).hint("use --force to replace it"));
    }
    for (output, path, text) in claimed {
        output.write(|out| out.write_all(text.as_bytes())).map_err(|error| Error::writing(path, error))?;
    }
    Ok(())
}
