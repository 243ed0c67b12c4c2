//! `bench-diff convert`

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::compare::foreign_format;
use crate::compare::{self, Content, Side, foreign_side, plain_samples};
use crate::error::{Error, Exit, Result};
use crate::escape;
use crate::formats::{Format, WRITERS, Writer};
use crate::io::{Io, unwritable};
use crate::plural::counted;

/// Write a file of measurements in another tool's format, or another tool's file in ours
///
/// Reads whatever `compare` reads. The result goes to standard output; what it can't hold is said on standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file or folder, or `-` for standard input
    file: PathBuf,
    /// The format to write
    #[arg(long, value_name = "FORMAT", value_parser = target())]
    to: Target,
    /// The format of the file, as `compare` names it [default: what it looks like]
    #[arg(long, value_name = "FORMAT", value_parser = foreign_format(), hide_possible_values = true)]
    from: Option<&'static Format>,
}

const EXAMPLES: &str = "Examples:
  bench-diff convert results.json --to bencher > bmf.json
  bench-diff convert llama-bench.jsonl --to ours > samples.json
  bench-diff convert results.json --to go > new.txt           # for benchstat";

/// What is written.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// Results stay results; what others measured becomes samples, which don't claim to know how.
    Ours,
    Foreign(&'static Writer),
}

const OURS: &str = "ours";

fn target() -> impl TypedValueParser<Value = Target> {
    let ours = PossibleValue::new(OURS)
        .alias("bench-diff")
        .help("bench-diff's own: results in their newest schema, samples of other tools as a samples file");
    let others = WRITERS.iter().map(|writer| PossibleValue::new(writer.name).help(writer.what));
    PossibleValuesParser::new([ours].into_iter().chain(others))
        .map(|name| WRITERS.iter().find(|writer| writer.name == name).map_or(Target::Ours, Target::Foreign))
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let content = compare::read(&args.file, args.from)?;
    if let (Target::Ours, Content::Results(results)) = (args.to, &content) {
        results.write(io.out.raw()).map_err(unwritable)?;
        return Ok(Exit::Success);
    }
    let side = match content {
        Content::Results(results) => Side::from_results(args.file.display().to_string(), &results),
        Content::Samples(side, _) => side,
    };
    let (text, warnings) = written(&side, args.to)?;
    for warning in side.warnings.iter().cloned().chain(left_out(&side)).chain(warnings) {
        writeln!(io.err, "warning: {}", escape::short_line(&warning, LONGEST))?;
    }
    io.out.text(&text)?;
    Ok(Exit::Success)
}

/// A warning names foreign text, which may be of any length.
const LONGEST: usize = 1000;

fn written(side: &Side, to: Target) -> Result<(String, Vec<String>)> {
    if side.cases.iter().all(|case| case.cells.iter().all(|cell| cell.sessions.is_empty())) {
        return Err(Error::usage(format!("{} holds no numbers", side.name)));
    }
    match to {
        Target::Ours => Ok((plain_samples::write(side)?, Vec::new())),
        Target::Foreign(writer) => {
            let written = writer.write(foreign_side::cells(side))?;
            Ok((written.text, written.warnings))
        }
    }
}

/// What was measured and gave no number: no format has a place for it.
fn left_out(side: &Side) -> impl Iterator<Item = String> {
    let failed = side.cases.iter().filter_map(|case| {
        let reason = case.failures.first()?;
        let (runs, are) = (case.failures.len(), if case.failures.len() == 1 { "is" } else { "are" });
        Some(format!("{} of `{}` failed and {are} left out: {reason}", counted(runs, "run"), case.id))
    });
    let dropped = side.cases.iter().flat_map(|case| case.cells.iter().map(move |cell| (case, cell)));
    let dropped = dropped.filter(|(_, cell)| cell.dropped > 0 && cell.good_zeros() == 0).map(|(case, cell)| {
        format!("{} values of `{}` of `{}` are no numbers and are left out", cell.dropped, cell.metric, case.id)
    });
    failed.chain(dropped)
}
