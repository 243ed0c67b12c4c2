//! `bench-diff published`, and what `compare --published` shows.

use std::io::stdin;
use std::path::Path;

use clap::ValueEnum;

use super::format::ReportFormat as Format;
use crate::case::Quantization;
use crate::error::{Error, Exit, Result};
use crate::flags;
use crate::formats;
use crate::io::Io;
use crate::page::{Page, github, terminal};
use crate::published::{self, Published, Software, rows};
use crate::render::published::{beside_csv, beside_page, csv, page};
use crate::results::{self, Results};
use crate::suggest;

/// Show the numbers that Qwen published for Qwen2.5: its Speed Benchmark on A100 80GB cards
///
/// `bench-diff compare results.json --published` shows your own beside them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only this model: its size (`7B`), or its id [default: all]
    model: Option<String>,
    /// Only numbers of this software
    #[arg(long, alias = "published", value_parser = flags::word::<Software>())]
    software: Option<Software>,
    /// Only this quantization; `none` is bf16
    #[arg(long, value_parser = flags::word::<Quantization>())]
    quantization: Option<Quantization>,
    /// Only these prompt lengths, in tokens
    #[arg(long, aliases = ["context", "context-length"], value_delimiter = ',', value_name = "N,...")]
    context_lengths: Vec<u32>,
    /// How to show them
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const EXAMPLES: &str = "Examples:
  bench-diff published 7B
  bench-diff published Qwen/Qwen2.5-72B-Instruct-AWQ --software vllm
  bench-diff published --quantization none --context-lengths 1,6144 --format csv";

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let rows = wanted(args)?;
    match args.format {
        Format::Json => io.out.json(&rows)?,
        Format::Csv => io.out.text(&csv(&rows))?,
        Format::Table | Format::Markdown => show(&page(&rows), args.format, io)?,
    }
    Ok(Exit::Success)
}

fn wanted(args: &Args) -> Result<Vec<Published>> {
    let of_model = |row: &&Published| args.model.as_ref().is_none_or(|model| row.is_of(model));
    let of_model: Vec<&Published> = rows().iter().filter(of_model).collect();
    if let Some(model) = args.model.as_ref().filter(|_| of_model.is_empty()) {
        let names: Vec<&str> = rows().iter().map(|row| row.model).collect();
        let hint = suggest::nearest(model, names).map_or(
            "`bench-diff published 7B` shows those of a size, and `bench-diff published` all".to_owned(),
            |near| format!("did you mean `bench-diff published {near}`?"),
        );
        return Err(Error::usage(format!("Qwen published no numbers of `{model}`")).hint(hint));
    }
    let is_wanted = |row: &&Published| {
        args.software.is_none_or(|software| row.software == software)
            && args.quantization.is_none_or(|quantization| row.quantization == quantization)
            && (args.context_lengths.is_empty() || args.context_lengths.contains(&row.context_length))
    };
    let found: Vec<Published> = of_model.into_iter().filter(is_wanted).cloned().collect();
    if found.is_empty() {
        return Err(
            Error::usage("Qwen published no such numbers").hint("leave out a flag: `bench-diff published` shows all")
        );
    }
    Ok(found)
}

/// Whose published numbers results are shown beside.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum Whose {
    /// Those of all software
    #[default]
    All,
    /// Those of Hugging Face transformers
    Transformers,
    /// Those of vLLM
    Vllm,
}

impl Whose {
    fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Transformers => "transformers",
            Self::Vllm => "vllm",
        }
    }

    fn software(self) -> Option<Software> {
        match self {
            Self::All => None,
            Self::Transformers => Some(Software::Transformers),
            Self::Vllm => Some(Software::Vllm),
        }
    }
}

/// What is to stand beside published numbers: they are of Qwen2.5, and so are bench-diff's own results alone for certain. `-`
/// is standard input.
fn own_results(path: &Path) -> Result<Results> {
    let (name, text) = match path == Path::new("-") {
        true => ("standard input".to_owned(), results::read_bounded(stdin().lock(), Path::new("standard input"))?),
        false => (path.display().to_string(), results::read_bytes(path)?),
    };
    let foreign = formats::recognize(&text).filter(|_| results::schema_of(&text).is_none());
    match foreign {
        None => results::parse(&name, text),
        Some(format) => Err(Error::usage(format!(
            "{name} is of {}, and only results of bench-diff are shown beside published numbers",
            format.tool
        ))
        .hint(format!(
            "measure with `bench-diff run`, or compare two files of {}: `bench-diff compare OLD NEW`",
            format.tool
        ))),
    }
}

/// Two files, where one belongs beside the published numbers.
pub(super) fn check_alone(head: Option<&Path>) -> Result<()> {
    let Some(head) = head else { return Ok(()) };
    let hint = match Whose::from_str(&head.display().to_string(), true) {
        Ok(whose) => format!("did you mean `--published={}`?", whose.word()),
        Err(_) => format!("leave out one of them: `bench-diff compare {} --published`", head.display()),
    };
    Err(Error::usage("--published shows one file beside the published numbers, and two are named").hint(hint))
}

/// Results beside the published numbers. Whatever the ratios are, that is a success.
pub(super) fn beside(path: &Path, whose: Whose, format: Format, io: &mut Io) -> Result<Exit> {
    let results = own_results(path)?;
    let beside = published::beside(&results, whose.software());
    match format {
        Format::Json => io.out.json(&beside)?,
        Format::Csv => io.out.text(&beside_csv(&beside))?,
        Format::Table | Format::Markdown => show(&beside_page(&results, &beside), format, io)?,
    }
    Ok(Exit::Success)
}

fn show(page: &Page, format: Format, io: &mut Io) -> Result<()> {
    match format {
        Format::Markdown => io.out.text(&github::write(page, github::DOCUMENT)),
        _ => io.out.text(&terminal::for_stdout(page)),
    }
}
