//! "This regression is intended": a maintainer's comment, `bench-accept: <reason>` on a line of its own.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::sticky::Comment;
use super::{ApiError, Client, Repository};
use crate::report::Acceptance;

/// How the line starts.
pub const WORD: &str = "bench-accept:";
const MAX_REASON: usize = 500;
/// Each costs a request, and a crowd must not use up the rate limit.
const MAX_PEOPLE: usize = 20;

/// The latest acceptance on the pull request by somebody who may write to the repository.
pub fn find(client: &Client, repository: &Repository, number: u64) -> Result<Option<Acceptance>, ApiError> {
    let comments: Vec<Comment> = client.list(&format!("/repos/{repository}/issues/{number}/comments"))?;
    let mut accepting: Vec<_> = comments
        .iter()
        .rev()
        .filter_map(|comment| Some((comment, comment.user.as_ref()?, reason(comment.body())?)))
        .collect();
    // Members first: a crowd of strangers must not hide a maintainer.
    accepting.sort_by_key(|(comment, ..)| is_stranger(comment));
    let mut known = BTreeMap::new();
    for (comment, user, reason) in accepting {
        if !known.contains_key(&user.login) {
            if known.len() == MAX_PEOPLE {
                tracing::warn!("more than {MAX_PEOPLE} people say `{WORD}`: the others are not asked about");
                break;
            }
            known.insert(user.login.clone(), may_write(client, repository, comment, &user.login)?);
        }
        if known[&user.login] {
            return Ok(Some(Acceptance { by: user.login.clone(), reason, url: comment.html_url.clone() }));
        }
    }
    Ok(None)
}

fn is_stranger(comment: &Comment) -> bool {
    !matches!(comment.author_association.as_deref(), Some("OWNER" | "MEMBER" | "COLLABORATOR"))
}

/// Asks GitHub for the author's permission. If the token isn't allowed to ask, the author's association decides, which
/// GitHub computes and nobody can forge. Then a collaborator doesn't count: it may be one who can only read.
fn may_write(client: &Client, repository: &Repository, comment: &Comment, login: &str) -> Result<bool, ApiError> {
    let login = utf8_percent_encode(login, NON_ALPHANUMERIC);
    match client.get::<Permission>(&format!("/repos/{repository}/collaborators/{login}/permission")) {
        Ok(held) => Ok(matches!(held.permission.as_str(), "admin" | "maintain" | "write")),
        Err(error) if matches!(error.status(), Some(403 | 404)) => {
            Ok(matches!(comment.author_association.as_deref(), Some("OWNER" | "MEMBER")))
        }
        Err(error) => Err(error),
    }
}

#[derive(Deserialize)]
struct Permission {
    permission: String,
}

/// Not inside a quotation or a code block: the line starts with the word.
fn reason(body: &str) -> Option<String> {
    let mut fenced = false;
    for line in body.lines() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            fenced = !fenced;
        }
        if !fenced
            && let Some(reason) = line.strip_prefix(WORD)
            && !reason.trim().is_empty()
        {
            return Some(reason.trim().chars().take(MAX_REASON).collect());
        }
    }
    None
}

/// Comments `bench-accept: <reason>`; the comment's address.
pub fn write(client: &Client, repository: &Repository, number: u64, reason: &str) -> Result<String, ApiError> {
    let body = serde_json::json!({ "body": format!("{WORD} {reason}") });
    client.post::<Comment>(&format!("/repos/{repository}/issues/{number}/comments"), &body).map(|made| made.html_url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_of_its_own_accepts() {
        assert_eq!(reason("Fine.\nbench-accept: safer rounding \nbye").as_deref(), Some("safer rounding"));
        for no in ["> bench-accept: quoted", "say `bench-accept: x`", "```\nbench-accept: x\n```", "bench-accept:  "] {
            assert_eq!(reason(no), None, "{no}");
        }
    }
}
