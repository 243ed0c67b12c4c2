//! What git answers.

use super::git_error::GitError;
use crate::child::Launch;

/// What git says, without white space around; or the last line of its complaint.
pub fn stdout_of(git: &Launch) -> Result<String, GitError> {
    output(git).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// What git wrote, as it is.
pub fn output(git: &Launch) -> Result<Vec<u8>, GitError> {
    let output = git.output().map_err(GitError::Unstarted)?;
    if output.status.success() {
        return Ok(output.out);
    }
    Err(GitError::Refused(output.err.trim().lines().last().unwrap_or_default().to_owned()))
}
