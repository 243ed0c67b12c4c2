//! `compare` with more than two files: each against the first.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Args, check_metrics, options};
use crate::commands::format::ReportFormat as Format;
use crate::compare::{self, Comparison, Side};
use crate::error::{Error, Exit, Result};
use crate::io::{Io, unwritable};
use crate::page::{github, terminal};
use crate::render;
use crate::render::side_by_side::{Against, keep_changed, page};

/// More columns than this, nobody compares.
const MOST: usize = 16;

/// The schema of what `--format json` prints.
const SCHEMA: u32 = 1;

/// What `--format json` prints of more than two files.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Sides", description = "What `bench-diff compare --format json` prints of more than two files.")]
pub struct Output<'a> {
    /// The version of this format: 1.
    schema: u32,
    /// The file that all others are compared with.
    base: &'a str,
    /// The others, in the order of the command line.
    sides: Vec<OutputSide<'a>>,
}

/// A file, compared with the base.
#[derive(Serialize, JsonSchema)]
struct OutputSide<'a> {
    /// Its path.
    name: &'a str,
    /// Of base and this file. Its `alpha` is this side's share of what was asked for.
    #[serde(flatten)]
    comparison: &'a Comparison,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    if args.heads.len() > MOST {
        return Err(Error::usage(format!(
            "{} files are too many to compare with one: at most {MOST}",
            args.heads.len()
        )));
    }
    let files = [std::slice::from_ref(&args.base), &args.heads].concat();
    let loaded = compare::load_all(&files, args.from)?;
    let (base, heads) = loaded.split_first().expect("the base was named");
    let mut sides = heads.iter().map(|head| against(args, base, head)).collect::<Result<Vec<Against>>>()?;
    let failed = sides.iter().any(|side| args.fail_on.fails(&side.comparison.failings()));
    if args.only_changed {
        keep_changed(&mut sides);
    }
    show(&base.name, &sides, args.format, io)?;
    Ok(if failed { Exit::Regression } else { Exit::Success })
}

/// The chance of a false alarm is the report's: each side has its share of it.
fn against(args: &Args, base: &Side, head: &Side) -> Result<Against> {
    let mut options = options(args, base, head);
    options.alpha /= args.heads.len() as f64;
    check_metrics(&args.metrics, &options.metrics, base, head)?;
    let mut comparison = compare::compare(base, head, &options)?;
    comparison.acquit(compare::same_program(base, head));
    comparison.explain_files(base, head);
    Ok(Against { name: head.name.clone(), comparison })
}

fn show(base: &str, sides: &[Against], format: Format, io: &mut Io) -> Result<()> {
    match format {
        Format::Table => io.out.text(&terminal::for_stdout(&page(base, sides))),
        Format::Markdown => io.out.text(&github::write(&page(base, sides), github::DOCUMENT)),
        Format::Csv => {
            let rows = sides.iter().flat_map(|side| side.comparison.rows.iter().map(|row| (side.name.as_str(), row)));
            render::csv::write_sides(rows, io.out.raw()).and_then(|()| io.out.raw().flush()).map_err(unwritable)
        }
        Format::Json => {
            let sides = sides.iter().map(|side| OutputSide { name: &side.name, comparison: &side.comparison });
            io.out.json(&Output { schema: SCHEMA, base, sides: sides.collect() })
        }
    }
}
