//! `bench-diff base`

use std::path::PathBuf;

use crate::ci::{BaseCommits, Search};
use crate::error::{Advice, Error, Exit, Result};
use crate::escape;
use crate::github::event::Context;
use crate::github::outputs::Files;
use crate::github::{ApiError, Client, Patience, Token};
use crate::io::Io;

/// Find the commits that a pull request is judged by, and fetch them
///
/// The tip of the branch that it goes into, and where it left that branch: from the event, from GitHub, or the default
/// branch. It is a step of its own, before anything of the pull request runs: it needs a token (in GITHUB_TOKEN), and
/// what is measured must not have one. In a workflow it sets the outputs base-commit and merge-base, for the flags of
/// `bench-diff ci`. What can't be found is said, and is no failure.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The branch or commit that the pull request goes into [default: the event's, or as GitHub says]
    #[arg(long, value_name = "REF")]
    base_ref: Option<String>,
    /// The pull request, where the event doesn't name it
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pr_number: Option<u64>,
    /// The clone
    #[arg(long, value_name = "DIR", default_value = ".")]
    repository: PathBuf,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let variable = |name: &str| std::env::var(name).ok();
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
    Context::read(|name| std::env::var(name).ok()).or_else(|error| {
        writeln!(io.err, "warning: {}", error.in_one_line())?;
        Ok(None)
    })
}

/// A connection, where there is a token.
pub fn client(context: &Context, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Client>, ApiError> {
    let Some(token) = Token::parse(&variable("GITHUB_TOKEN").unwrap_or_default())? else { return Ok(None) };
    Client::new(&context.api_url, token, Patience::default()).map(Some)
}
