//! `bench-diff accept`

use super::variable;
use crate::error::{Error, Exit, Result};
use crate::escape;
use crate::github::event::Context;
use crate::github::{ApiError, Client, Patience, Repository, Token, acceptance};
use crate::io::Io;

/// Accept the regressions of one pull request, with a reason that everybody can read
///
/// Comments `bench-accept: <reason>` on the pull request, as the owner of the token in GITHUB_TOKEN. A comment written by
/// hand does the same. It counts if its author may write to the repository. Re-run the check afterwards to let it pass.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  GITHUB_TOKEN=$(gh auth token) bench-diff accept --repository acme/candle --pr-number 12 \\
      --reason 'exact softmax costs 3% of decode'")]
pub struct Args {
    /// The repository of the pull request; in a workflow, the one it runs in
    #[arg(long, value_name = "OWNER/NAME", env = "GITHUB_REPOSITORY", hide_env_values = true)]
    repository: String,
    /// The pull request
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pr_number: u64,
    /// Why the regression is worth it
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub fn run(args: &Args, io: &mut Io) -> Result<Exit> {
    let reason = escape::short_line(args.reason.trim(), 500);
    if reason.is_empty() {
        return Err(Error::usage("--reason is empty").hint("say why the regression is worth it"));
    }
    let repository = Repository::parse(&args.repository)
        .ok_or_else(|| Error::usage(format!("--repository is `{}`, not OWNER/NAME", escape::line(&args.repository))))?;
    let url = comment(&repository, args.pr_number, &reason).map_err(|error| Error::of(Exit::Usage, error))?;
    writeln!(io.out, "{}", escape::line(&url))?;
    Ok(Exit::Success)
}

fn comment(repository: &Repository, number: u64, reason: &str) -> Result<String, ApiError> {
    let token = Token::parse(&variable("GITHUB_TOKEN").unwrap_or_default())?.ok_or_else(|| {
        ApiError::setup_with("there is no token", "set GITHUB_TOKEN to one of yours, such as from `gh auth token`")
    })?;
    let api_url = variable("GITHUB_API_URL").filter(|url| !url.is_empty());
    let client = Client::new(api_url.as_deref().unwrap_or(Context::DEFAULT_API_URL), token, Patience::default())?;
    acceptance::write(&client, repository, number, reason)
}
