//! `bench-diff base`

use std::path::PathBuf;

use super::variable;
use crate::ci::{BaseCommits, Search};
use crate::error::{Advice, Error, Exit, Result};
use crate::escape;
use crate::github::event::Context;
use crate::github::outputs::Files;
use crate::github::{ApiError, Client, Patience, Token};
use crate::io::Io;

/// Find the commits that a pull request is compared with, and fetch them
///
/// Prints the tip of the branch that the pull request goes into (base-commit), and the commit where the pull request left
/// that branch (merge-base). In a workflow it also sets them as outputs of the step, for the flags --base-commit and
/// --merge-base of `bench-diff ci`. A commit that can't be found is reported on stderr; the exit code is 0 all the same.
///
/// The Action runs it as a step of its own, before anything of the pull request: it reads a token from GITHUB_TOKEN, which
/// the measured code must never see.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The branch or commit that the pull request goes into [default: from the event or from GitHub, else the default
    /// branch]
    #[arg(long, value_name = "REF")]
    base_ref: Option<String>,
    /// The pull request, if the event doesn't name one
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pr_number: Option<u64>,
    /// The clone in which to look
    #[arg(long, value_name = "DIR", default_value = ".")]
    repository: PathBuf,
}

const EXAMPLES: &str = "Examples:
  bench-diff base                            # in a workflow of a pull request
  bench-diff base --base-ref origin/main     # in a clone";

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let context = context(io)?;
    let client = context.as_ref().map(|context| client(context, variable)).transpose().or_else(|error| {
        writeln!(io.err, "warning: {}", error.in_one_line())?;
        Result::<_>::Ok(None)
    })?;
    let client = client.flatten();
    let search = Search {
        context: context.as_ref(),
        client: client.as_ref(),
        base_ref: args.base_ref.as_deref(),
        pr_number: args.pr_number,
        repository: &args.repository,
    };
    let BaseCommits { tip, merge_base } = search.run().map_err(|error| Error::of(Exit::Usage, error))?;
    let files = Files::read(variable);
    for (name, found) in [("base-commit", &tip), ("merge-base", &merge_base)] {
        match found {
            Ok(commit) => {
                writeln!(io.out, "{name} {commit}")?;
                let failed = |error| Error::usage(format!("can't set the output {name}")).because(error);
                files.set(name, commit).map_err(failed)?;
            }
            Err(why) => writeln!(io.err, "no {name}: {}", escape::line(&why.in_one_line()))?,
        }
    }
    Ok(Exit::Success)
}

/// Whatever is wrong with the event, measuring can go on.
pub fn context(io: &mut Io) -> Result<Option<Context>> {
    Context::read(variable).or_else(|error| {
        writeln!(io.err, "warning: {}", error.in_one_line())?;
        Ok(None)
    })
}

/// A connection, where there is a token.
pub fn client(context: &Context, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Client>, ApiError> {
    let Some(token) = Token::parse(&variable("GITHUB_TOKEN").unwrap_or_default())? else { return Ok(None) };
    Client::new(&context.api_url, token, Patience::default()).map(Some)
}
