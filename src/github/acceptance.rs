//! "This regression is intended": a maintainer's comment, `bench-accept: <reason>` on a line of its own.

use super::sticky::Comment;
use super::{ApiError, Client, Repository};
use crate::render::comment::Acceptance;

/// How the line starts.
pub const WORD: &str = "bench-accept:";
const MAX_REASON: usize = 500;

/// The latest acceptance on the pull request by somebody who may decide that.
pub fn find(client: &Client, repository: &Repository, number: u64) -> Result<Option<Acceptance>, ApiError> {
    let comments: Vec<Comment> = client.list(&format!("/repos/{repository}/issues/{number}/comments"))?;
    Ok(comments.iter().rev().filter(|comment| is_maintainer(comment)).find_map(|comment| {
        Some(Acceptance {
            by: comment.user.as_ref()?.login.clone(),
            reason: reason(comment.body())?,
            url: comment.html_url.clone(),
        })
    }))
}

/// GitHub computes the association; nobody can write it. A collaborator may have read access only, but the owner
/// invited them by name.
fn is_maintainer(comment: &Comment) -> bool {
    matches!(comment.author_association.as_deref(), Some("OWNER" | "MEMBER" | "COLLABORATOR"))
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
